#include "merpati/runtime/log.hpp"

#include "merpati/runtime/log_counts.hpp"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <time.h>

#include <chrono>
#include <cmath>
#include <mutex>
#include <thread>

namespace merpati::log {

namespace detail {
std::atomic<Level> threshold{Level::kInfo};
}

struct Capture::State {
  std::mutex mutex;
  std::vector<std::pair<Level, std::string>> lines;
};

namespace {

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
constexpr std::size_t kQueueLines = 8192;
std::atomic<std::uint64_t> line_counts[std::size(kNames)];

std::mutex settings_mutex;
std::string service_name = "merpati";
std::atomic<Capture::State*> capture_state{nullptr};
std::mutex capture_mutex;
std::shared_ptr<Capture::State> captured;

struct Output {
  std::shared_ptr<spdlog::details::thread_pool> pool = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1);
  std::shared_ptr<spdlog::async_logger> logger = std::make_shared<spdlog::async_logger>(
      "json", std::make_shared<spdlog::sinks::stdout_sink_mt>(), pool, spdlog::async_overflow_policy::overrun_oldest);
  Output() {
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
  }
  ~Output() { pool.reset(); }  // its thread, which uses the logger, has written everything and ended
};

Output& output() {
  static Output made;
  return made;
}

using Buffer = fmt::basic_memory_buffer<char, 512>;

void append(Buffer& out, std::string_view text) { out.append(text.data(), text.data() + text.size()); }

/// Length of the UTF-8 sequence that begins at `at`, 0 when it is none: log readers expect UTF-8, so such an octet
/// becomes U+FFFD.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(i < text.size() ? text[i] : 0); };
  const unsigned char lead = byte(at);
  const std::size_t length = lead >= 0xF0 && lead <= 0xF4  ? 4
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                                                           : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

void append_string(Buffer& out, std::string_view text) {
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      const std::size_t length = utf8_length(text, i);
      append(out, length == 0 ? std::string_view("\\ufffd") : text.substr(i, length));
      i += length == 0 ? 1 : length;
      continue;
    }
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      append(out, "\\n");
    } else if (c < 0x20 || c == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else {
      out.push_back(static_cast<char>(c));
    }
    ++i;
  }
  out.push_back('"');
}

void append_time(Buffer& out) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000);
}

void append_value(Buffer& out, const Field& field) {
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          append_string(out, value);
        } else if constexpr (std::is_same_v<T, double>) {
          if (std::isfinite(value)) {
            fmt::format_to(std::back_inserter(out), "{}", value);
          } else {
            append(out, "null");
          }
        } else {
          fmt::format_to(std::back_inserter(out), "{}", value);
        }
      },
      field.value);
}

}  // namespace

void write(Level level, std::string_view event, std::string_view text, Fields fields) {
  line_counts[static_cast<std::size_t>(level)].fetch_add(1, std::memory_order_relaxed);
  Buffer line;
  append(line, "{\"ts\":\"");
  append_time(line);
  append(line, "\",\"level\":\"");
  append(line, kNames[static_cast<std::size_t>(level)]);
  append(line, "\",\"service\":");
  append_string(line, service_name);
  append(line, ",\"event\":");
  append_string(line, event);
  append(line, ",\"msg\":");
  append_string(line, text);
  for (const Field& field : fields) {
    line.push_back(',');
    append_string(line, field.key);
    line.push_back(':');
    append_value(line, field);
  }
  line.push_back('}');
  if (capture_state.load(std::memory_order_acquire) != nullptr) {
    std::lock_guard lock(capture_mutex);
    if (captured) {
      std::lock_guard inner(captured->mutex);
      captured->lines.emplace_back(level, std::string(line.data(), line.size()));
      return;
    }
  }
  output().logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

void configure(std::string_view service, Level level) {
  std::lock_guard lock(settings_mutex);
  service_name = service;
  detail::threshold = level;
}

std::string_view name_of(Level level) { return kNames[static_cast<std::size_t>(level)]; }

bool parse_level(std::string_view name, Level& out) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] != name) continue;
    out = static_cast<Level>(i);
    return true;
  }
  return false;
}

void flush() {
  for (int i = 0; i < 1000 && output().pool->queue_size() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  output().logger->flush();
}

std::uint64_t written(Level level) {
  return line_counts[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

std::uint64_t dropped() { return output().pool->overrun_counter(); }

Capture::Capture() : state_(std::make_shared<State>()) {
  std::lock_guard lock(capture_mutex);
  captured = state_;
  capture_state = state_.get();
}

Capture::~Capture() {
  std::lock_guard lock(capture_mutex);
  capture_state = nullptr;
  captured.reset();
}

std::vector<std::string> Capture::lines() const {
  std::lock_guard lock(state_->mutex);
  std::vector<std::string> out;
  for (const auto& line : state_->lines) out.push_back(line.second);
  return out;
}

std::size_t Capture::count(Level level) const {
  std::lock_guard lock(state_->mutex);
  std::size_t count = 0;
  for (const auto& line : state_->lines) count += line.first == level ? 1 : 0;
  return count;
}

}  // namespace merpati::log
