#include "span_message.hpp"

#include <algorithm>

namespace merpati::otlp {
namespace {

namespace proto = opentelemetry::proto;

/// Big-endian, as W3C trace context writes it.
std::string octets(std::uint64_t id) {
  std::string out(8, '\0');
  for (int i = 7; i >= 0; --i, id >>= 8) out[static_cast<std::size_t>(i)] = static_cast<char>(id & 0xFF);
  return out;
}

void set(proto::common::v1::KeyValue& out, std::string_view key, std::string value) {
  out.set_key(std::string(key));
  out.mutable_value()->set_string_value(std::move(value));
}

void fill(proto::trace::v1::Span& out, const runtime::SpanData& span) {
  out.set_trace_id(span.trace_id);
  out.set_span_id(octets(span.id));
  if (span.parent != 0) out.set_parent_span_id(octets(span.parent));
  out.set_name(std::string(span.name));
  out.set_kind(static_cast<proto::trace::v1::Span::SpanKind>(span.kind));
  out.set_start_time_unix_nano(static_cast<std::uint64_t>(span.start_ns));
  out.set_end_time_unix_nano(static_cast<std::uint64_t>(std::max(span.start_ns, span.end_ns)));
  out.set_flags(1);
  for (const auto& [key, value] : span.attributes) {
    auto& attribute = *out.add_attributes();
    attribute.set_key(std::string(key));
    if (const auto* text = std::get_if<std::string>(&value))
      attribute.mutable_value()->set_string_value(*text);
    else
      attribute.mutable_value()->set_int_value(std::get<std::int64_t>(value));
  }
  if (span.failure) {
    out.mutable_status()->set_code(proto::trace::v1::Status::STATUS_CODE_ERROR);
    out.mutable_status()->set_message(*span.failure);
  }
}

}  // namespace

proto::collector::trace::v1::ExportTraceServiceRequest to_message(const std::vector<runtime::SpanData>& spans,
                                                                  const Resource& resource) {
  proto::collector::trace::v1::ExportTraceServiceRequest request;
  auto& all = *request.add_resource_spans();
  auto& who = *all.mutable_resource();
  set(*who.add_attributes(), "service.namespace", "merpati");
  set(*who.add_attributes(), "service.name", resource.service);
  set(*who.add_attributes(), "service.instance.id", resource.instance);
  set(*who.add_attributes(), "service.version", resource.version);
  auto& scope = *all.add_scope_spans();
  scope.mutable_scope()->set_name("merpati");
  scope.mutable_scope()->set_version(resource.version);
  for (const auto& span : spans) fill(*scope.add_spans(), span);
  return request;
}

}  // namespace merpati::otlp
