#include "merpati/runtime/machine_name.hpp"

#include <unistd.h>

namespace merpati::runtime {

std::string machine_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace merpati::runtime
