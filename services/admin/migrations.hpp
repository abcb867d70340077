// The schema `admin`.
#pragma once

#include <span>

#include "merpati/pg/migration.hpp"

namespace merpati::admin {

std::span<const pg::Migration> migrations();

}  // namespace merpati::admin
