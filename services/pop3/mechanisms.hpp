// The SASL mechanisms that a session may use now.
#pragma once

#include <string_view>
#include <vector>

#include "pop3/session.hpp"

namespace merpati::pop3 {

std::vector<std::string_view> mechanisms(const Session& session);

}  // namespace merpati::pop3
