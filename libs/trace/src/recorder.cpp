#include "merpati/trace/recorder.hpp"

#include <algorithm>

#include "merpati/pg/sqlstate.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::trace {
namespace {

constexpr std::size_t kTraceIdDigits = 32;
constexpr std::size_t kMaxText = 1000;

bool is_trace_id(std::string_view text) {
  return text.size() == kTraceIdDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Peers say anything; PostgreSQL and protobuf take only UTF-8, and no table wants a NUL. Octets beyond ASCII stay when
/// the whole text is UTF-8.
void make_storable(std::string& text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  if (ascii && text.size() <= kMaxText) return;
  std::size_t at = 0;
  std::string out;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(i < text.size() ? text[i] : 0); };
  while (at < text.size() && out.size() < kMaxText - 4) {
    const unsigned char lead = byte(at);
    std::size_t length = 1;
    bool good = lead >= 0x20 && lead < 0x7F;
    if (lead >= 0xC2 && lead <= 0xF4) {
      length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
      good = true;
      for (std::size_t i = 1; i < length; ++i) good = good && (byte(at + i) & 0xC0) == 0x80;
      // Overlong forms, surrogates, beyond U+10FFFF (RFC 3629 3).
      const unsigned char second = byte(at + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
          (lead == 0xF4 && second > 0x8F))
        good = false;
      if (!good) length = 1;
    }
    out += good ? text.substr(at, length) : std::string("?");
    at += length;
  }
  text = std::move(out);
}

/// Most texts of an event are empty, and asking for one to change it would make it.
void clean(v1::Event& event) {
  using Text = const std::string& (v1::Event::*)() const;
  using Changed = std::string* (v1::Event::*)();
  static constexpr std::pair<Text, Changed> kTexts[] = {
      {&v1::Event::service, &v1::Event::mutable_service},
      {&v1::Event::host, &v1::Event::mutable_host},
      {&v1::Event::message_id, &v1::Event::mutable_message_id},
      {&v1::Event::reverse_path, &v1::Event::mutable_reverse_path},
      {&v1::Event::recipient, &v1::Event::mutable_recipient},
      {&v1::Event::mailbox, &v1::Event::mutable_mailbox},
      {&v1::Event::status, &v1::Event::mutable_status},
      {&v1::Event::text, &v1::Event::mutable_text},
      {&v1::Event::peer, &v1::Event::mutable_peer},
      {&v1::Event::detail, &v1::Event::mutable_detail},
  };
  for (const auto& [text, changed] : kTexts)
    if (!(event.*text)().empty()) make_storable(*(event.*changed)());
}

std::int64_t microseconds_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

v1::Event event(v1::Kind kind, std::string_view trace_id) {
  v1::Event out;
  out.set_kind(kind);
  out.set_trace_id(std::string(trace_id.substr(0, kTraceIdDigits)));
  out.set_at_us(microseconds_now());
  return out;
}

Recorder::Recorder(Options options, runtime::Metrics& metrics, Write write)
    : options_(std::move(options)), write_(std::move(write)) {
  const auto counter = [&](const char* outcome) {
    return metrics.counter("merpati_trace_events_total", "Events of messages' lives, by what became of the event",
                           {{"service", options_.service}, {"outcome", outcome}});
  };
  written_ = counter("written");
  dropped_ = counter("dropped");
  lost_ = counter("lost");
  waiting_gauge_ =
      metrics.gauge("merpati_trace_waiting_events", "Events that wait to be written", {{"service", options_.service}});
}

void Recorder::record(v1::Event event) {
  if (!is_trace_id(event.trace_id())) return;
  clean(event);
  if (event.at_us() == 0) event.set_at_us(microseconds_now());
  if (event.service().empty()) event.set_service(options_.service);
  if (event.host().empty()) event.set_host(options_.host);
  const std::size_t bytes = event.ByteSizeLong();
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() >= options_.max_waiting || bytes_ + bytes > options_.max_waiting_bytes) {
      dropped_.add();
      return;
    }
    first = waiting_.empty();
    bytes_ += bytes;
    waiting_.push_back(std::move(event));
  }
  if (first) news_.notify();
}

std::size_t Recorder::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::vector<v1::Event> Recorder::take() {
  std::lock_guard lock(mutex_);
  std::vector<v1::Event> batch;
  for (std::size_t taken = 0; !waiting_.empty() && batch.size() < options_.batch; waiting_.pop_front()) {
    const std::size_t bytes = waiting_.front().ByteSizeLong();
    if (!batch.empty() && taken + bytes > options_.batch_bytes) break;
    taken += bytes;
    bytes_ -= bytes;
    batch.push_back(std::move(waiting_.front()));
  }
  waiting_gauge_.set(static_cast<double>(waiting_.size()));
  return batch;
}

void Recorder::give_back(std::vector<v1::Event> batch) {
  std::lock_guard lock(mutex_);
  for (const auto& event : batch) bytes_ += event.ByteSizeLong();
  waiting_.insert(waiting_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

asio::awaitable<void> Recorder::run() {
  for (;;) {
    if ((co_await news_.wait()).has_error()) co_return;
    if ((co_await sleep_for(options_.gather)).has_error()) co_return;
    for (auto batch = take(); !batch.empty(); batch = take()) {
      if (!co_await write_out(std::move(batch), options_.attempts)) co_return;
    }
  }
}

Task<void> Recorder::flush() {
  for (auto batch = take(); !batch.empty(); batch = take()) {
    if (!co_await write_out(std::move(batch), 1)) break;
  }
  co_return Result<void>();
}

/// False when the coroutine was cancelled: what was in hand waits again.
asio::awaitable<bool> Recorder::write_out(std::vector<v1::Event> batch, int attempts) {
  const auto count = static_cast<double>(batch.size());
  for (int attempt = 1;; ++attempt) {
    const auto done = co_await write_(batch);
    if (done.has_value()) {
      written_.add(count);
      co_return true;
    }
    const bool cancelled = done.error().code() == ErrorCode::kCancelled;
    if (!cancelled && (attempt >= attempts || !pg::may_pass(done.error().code()))) {
      lost_.add(count);
      log::warning("trace_events_lost", done.error().describe(), {{"count", batch.size()}});
      co_return true;
    }
    if (cancelled || (co_await sleep_for(options_.retry)).has_error()) {
      give_back(std::move(batch));
      co_return false;
    }
  }
}

}  // namespace merpati::trace
