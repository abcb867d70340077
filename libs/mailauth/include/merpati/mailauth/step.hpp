// Step: one thing that a check did, for people who ask why. Explanations and the command line print the same steps.
#pragma once

#include <string>
#include <vector>

namespace merpati::mailauth {

struct Step {
  std::string what;    ///< such as "TXT example.com" or "mx:example.com"
  std::string result;  ///< what came out, one line
};
using Steps = std::vector<Step>;

}  // namespace merpati::mailauth
