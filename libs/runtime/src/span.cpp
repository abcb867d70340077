#include "merpati/runtime/span.hpp"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <random>

#include "merpati/base/encoding.hpp"
#include "merpati/base/ids.hpp"

namespace merpati::runtime {
namespace {

constexpr std::size_t kTraceIdDigits = 32;
constexpr std::size_t kWholeText = 32 + 1 + 16 + 1 + 2;
constexpr std::size_t kMostAttributes = 16;

std::atomic<SpanSink*> current_sink{nullptr};
std::shared_ptr<SpanSink> sink_owner;  // changed only while nobody records

SpanSink* sink() { return current_sink.load(std::memory_order_acquire); }

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

std::uint64_t number(std::string_view hex) {
  std::uint64_t value = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  return value;
}

/// From the half of the trace id that the sampler does not look at.
std::uint64_t root_of(std::string_view trace_id) {
  const std::uint64_t id = number(trace_id.substr(0, 16));
  return id == 0 ? 1 : id;
}

std::uint64_t random_id() {
  thread_local std::mt19937_64 random(std::random_device{}());
  for (;;) {
    if (const std::uint64_t id = random(); id != 0) return id;
  }
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::unique_ptr<SpanData> make(std::string_view name, SpanKind kind, std::string_view trace_id) {
  auto data = std::make_unique<SpanData>();
  data->trace_id = from_hex(trace_id).value_or(std::string());
  data->name = name;
  data->kind = kind;
  data->start_ns = now_ns();
  return data;
}

}  // namespace

void set_span_sink(std::shared_ptr<SpanSink> sink) {
  current_sink.store(nullptr, std::memory_order_release);
  sink_owner = std::move(sink);
  current_sink.store(sink_owner.get(), std::memory_order_release);
}

bool spans_recorded() { return sink() != nullptr; }

TraceText parse_trace(std::string_view text) {
  TraceText out;
  if (text.size() != kTraceIdDigits && text.size() != kWholeText) return out;
  const auto id = text.substr(0, kTraceIdDigits);
  if (!is_hex(id) || id.find_first_not_of('0') == std::string_view::npos) return out;
  if (text.size() == kTraceIdDigits) {
    out.trace_id = id;
    return out;
  }
  const auto span = text.substr(33, 16);
  const auto flags = text.substr(50, 2);
  if (text[32] != '-' || text[49] != '-' || !is_hex(span) || !is_hex(flags)) return out;
  out.trace_id = id;
  out.span = number(span);
  out.sampled = (number(flags) & 1) != 0;
  return out;
}

std::string new_trace_id() { return trace_id_of(new_uuid()); }

std::string trace_id_of(std::string_view uuid) {
  std::string digits(uuid);
  std::erase(digits, '-');
  return digits;
}

std::string begin_sampled_trace() {
  auto* const to = sink();
  if (to == nullptr) return {};
  std::string id = fmt::format("{:016x}{:016x}", random_id(), random_id());
  return to->samples(id) ? id : std::string();
}

Span::Span(std::string_view name, SpanKind kind, std::string_view trace) {
  auto* const to = sink();
  if (to == nullptr || trace.empty()) return;
  const auto parsed = parse_trace(trace);
  if (parsed.trace_id.empty()) return;
  if (!(parsed.sampled ? *parsed.sampled : to->samples(parsed.trace_id))) return;
  data_ = make(name, kind, parsed.trace_id);
  data_->id = random_id();
  data_->parent = parsed.span != 0 ? parsed.span : root_of(parsed.trace_id);
}

Span Span::root(std::string_view name, SpanKind kind, std::string_view trace_id) {
  Span out;
  auto* const to = sink();
  if (to == nullptr) return out;
  const auto parsed = parse_trace(trace_id);
  if (parsed.trace_id.empty() || !to->samples(parsed.trace_id)) return out;
  out.data_ = make(name, kind, parsed.trace_id);
  out.data_->id = root_of(parsed.trace_id);
  return out;
}

std::string Span::trace() const {
  if (data_ == nullptr) return {};
  return fmt::format("{}-{:016x}-01", to_hex(data_->trace_id), data_->id);
}

void Span::attribute(std::string_view name, std::string value) {
  if (data_ != nullptr && data_->attributes.size() < kMostAttributes)
    data_->attributes.emplace_back(name, std::move(value));
}

void Span::attribute(std::string_view name, std::int64_t value) {
  if (data_ != nullptr && data_->attributes.size() < kMostAttributes) data_->attributes.emplace_back(name, value);
}

void Span::fail(std::string why) {
  if (data_ != nullptr) data_->failure = std::move(why);
}

void Span::end() {
  if (data_ == nullptr) return;
  auto data = std::move(data_);
  data->end_ns = now_ns();
  if (auto* const to = sink(); to != nullptr) to->take(std::move(*data));
}

}  // namespace merpati::runtime
