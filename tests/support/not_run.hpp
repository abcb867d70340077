// A suite that cannot run prints NOT RUN with the reason; MERPATI_REQUIRE=suite,... turns that into a failure.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace merpati::test {

/// Whether MERPATI_REQUIRE names the suite (or "all").
inline bool required(std::string_view suite) {
  const char* text = std::getenv("MERPATI_REQUIRE");
  std::string_view rest = text ? text : "";
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const auto name = rest.substr(0, comma);
    if (name == suite || name == "all") return true;
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  return false;
}

inline void print_not_run(std::string_view suite, std::string_view reason) {
  std::printf("NOT RUN %.*s: %.*s\n", static_cast<int>(suite.size()), suite.data(), static_cast<int>(reason.size()),
              reason.data());
}

}  // namespace merpati::test
