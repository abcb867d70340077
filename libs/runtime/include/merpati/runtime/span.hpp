// Span: what one step of handling took, for a collector of traces (libs/otlp exports them). Without an exporter a span
// costs one look at a variable.
//
// A trace travels as text: 32 hex digits, and where its caller records a span, "-", 16 hex digits of that span, "-" and
// two of flags (W3C trace context without the version). A trace that begins here has a root span whose id follows from
// the trace id, so that every later step, also one that only knows the trace id from a table, hangs below it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "merpati/base/error.hpp"

namespace merpati::runtime {

enum class SpanKind : std::uint8_t { kInternal = 1, kServer = 2, kClient = 3 };

struct SpanData {
  std::string trace_id;  ///< 16 octets
  std::uint64_t id = 0;
  std::uint64_t parent = 0;  ///< 0: a root
  std::string_view name;     ///< lives as long as the program
  SpanKind kind = SpanKind::kInternal;
  std::int64_t start_ns = 0;  ///< Unix nanoseconds
  std::int64_t end_ns = 0;
  std::optional<std::string> failure;
  std::vector<std::pair<std::string_view, std::variant<std::string, std::int64_t>>> attributes;
};

/// Takes finished spans. Thread safe; never waits.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void take(SpanData span) = 0;
  /// The decision about a trace that nobody has decided about: the same for every process with the same ratio.
  virtual bool samples(std::string_view trace_id_hex) const = 0;
};

/// From now on spans are recorded (null: not). Before the first span and after the last one.
void set_span_sink(std::shared_ptr<SpanSink> sink);
bool spans_recorded();

/// What a trace's text says.
struct TraceText {
  std::string_view trace_id;    ///< 32 hex digits; empty when the text is none
  std::uint64_t span = 0;       ///< of the caller; 0: unknown
  std::optional<bool> sampled;  ///< the caller's decision
};
TraceText parse_trace(std::string_view text);

/// The id of a trace that begins here, when spans are recorded and the sampler takes it; else empty. For steps that
/// need no trace id otherwise.
std::string begin_sampled_trace();
/// 32 hex digits: those of a UUID of version 7, so that rows keyed by them stay neighbours in an index.
std::string new_trace_id();
/// The trace of what `uuid` (36 characters) names: its digits.
std::string trace_id_of(std::string_view uuid);

/// Ends when it is destroyed. Not thread safe; may move to another thread between two uses.
class Span {
 public:
  Span() = default;
  /// A step within `trace`; inactive when spans are not recorded, `trace` is none or is not sampled.
  Span(std::string_view name, SpanKind kind, std::string_view trace);
  /// The first step of the trace.
  static Span root(std::string_view name, SpanKind kind, std::string_view trace_id);
  ~Span() { end(); }
  Span(Span&& other) noexcept : data_(std::move(other.data_)) {}
  Span& operator=(Span&& other) noexcept {
    end();
    data_ = std::move(other.data_);
    return *this;
  }

  bool active() const { return data_ != nullptr; }
  /// What calls within this step give on. Only of an active span.
  std::string trace() const;
  void attribute(std::string_view name, std::string value);
  void attribute(std::string_view name, std::int64_t value);
  void fail(std::string why);
  /// With the error's code alone: its text may name people.
  void fail(const Error& error) { fail(std::string(to_string(error.code()))); }
  void end();

 private:
  std::unique_ptr<SpanData> data_;
};

}  // namespace merpati::runtime
