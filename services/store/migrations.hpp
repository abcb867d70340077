// The scripts below migrations/, compiled in.
#pragma once

#include <span>

#include "merpati/pg/migration.hpp"

namespace merpati::store {

std::span<const pg::Migration> migrations();

}  // namespace merpati::store
