// The schema `auth`.
#pragma once

#include <span>

#include "merpati/pg/migration.hpp"

namespace merpati::auth {

std::span<const pg::Migration> migrations();

}  // namespace merpati::auth
