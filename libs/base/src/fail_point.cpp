#include "merpati/base/fail_point.hpp"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace merpati {
namespace {

struct Action {
  std::string what;
  int at = 0;  // acts at this time only; 0: always
  int seen = 0;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Action, std::less<>> actions;

  Registry() {
    const char* text = std::getenv("MERPATI_FAIL_POINTS_ACTIVE");
    std::string rest = text ? text : "";
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      std::string item = rest.substr(0, comma);
      rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
      const auto equals = item.find('=');
      if (equals == std::string::npos) continue;
      Action action{item.substr(equals + 1)};
      if (const auto at = action.what.find('@'); at != std::string::npos) {
        action.at = std::atoi(action.what.c_str() + at + 1);
        action.what.resize(at);
      }
      actions[item.substr(0, equals)] = action;
    }
  }
};

}  // namespace

Result<void> fail_point(std::string_view name) {
  static Registry registry;
  std::string what;
  {
    std::lock_guard lock(registry.mutex);
    const auto found = registry.actions.find(name);
    if (found == registry.actions.end()) return {};
    auto& action = found->second;
    ++action.seen;
    if (action.at != 0 && action.seen != action.at) return {};
    what = action.what;
  }
  if (what == "kill") ::kill(::getpid(), SIGKILL);
  if (what == "error") return Error(ErrorCode::kUnavailable, "fail point " + std::string(name));
  if (what.starts_with("sleep:")) std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(what.c_str() + 6)));
  return {};
}

}  // namespace merpati
