// An instance of every service, whose methods all answer kUnimplemented; for tests that walk over all methods
// (target merpati_all_services).
#pragma once

#include <memory>
#include <vector>

#include "merpati/rpc/service.hpp"

namespace merpati::rpc {
std::vector<std::unique_ptr<Service>> all_services();
}
