// Logs: JSON lines with ts, level, service, event, msg and fields. Never a secret, never a message's content.
// error means that someone must act; a peer's mistake is info.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "merpati/base/error.hpp"

namespace merpati::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };

/// One key and its value; views are only read during the call.
struct Field {
  std::string_view key;
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view> value;

  template <std::signed_integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view k, T v) : key(k), value(static_cast<std::uint64_t>(v)) {}
  Field(std::string_view k, double v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
};

using Fields = std::initializer_list<Field>;

/// Writes one line. `event` is a stable name such as "smtp_message_accepted". Any thread; does not block on the output:
/// lines wait in a bounded queue, and when it is full the oldest are dropped and counted.
void write(Level level, std::string_view event, std::string_view text, Fields fields = {});

namespace detail {
extern std::atomic<Level> threshold;
}
inline bool enabled(Level level) { return level >= detail::threshold.load(std::memory_order_relaxed); }

inline void debug(std::string_view event, std::string_view text, Fields fields = {}) {
  if (enabled(Level::kDebug)) write(Level::kDebug, event, text, fields);
}
inline void info(std::string_view event, std::string_view text, Fields fields = {}) {
  if (enabled(Level::kInfo)) write(Level::kInfo, event, text, fields);
}
inline void warning(std::string_view event, std::string_view text, Fields fields = {}) {
  if (enabled(Level::kWarning)) write(Level::kWarning, event, text, fields);
}
inline void error(std::string_view event, std::string_view text, Fields fields = {}) {
  write(Level::kError, event, text, fields);
}

/// Sets the field `service` and the lowest level that is written. Call once, early in main.
void configure(std::string_view service, Level level);
/// debug, info, warning or error; false when it is none of them.
bool parse_level(std::string_view name, Level& out);
/// Writes what waits. Called by Process at the end.
void flush();
/// Lines dropped because the output was too slow.
std::uint64_t dropped();

/// For tests: while one lives, lines go into it and not to the output. Not to be nested.
class Capture {
 public:
  Capture();
  ~Capture();
  std::vector<std::string> lines() const;
  std::size_t count(Level level) const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace merpati::log
