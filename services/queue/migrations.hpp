// The schema's migrations, embedded by the build.
#pragma once

#include <span>

#include "merpati/pg/migration.hpp"

namespace merpati::queue {
std::span<const pg::Migration> migrations();
}
