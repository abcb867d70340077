// The schema's migrations, embedded by the build.
#pragma once

#include <span>

#include "merpati/pg/migration.hpp"

namespace merpati::filter {
std::span<const pg::Migration> migrations();
}
