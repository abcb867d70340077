// The caller's side of a call as a span.
#pragma once

#include "merpati/rpc/service.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::rpc {

inline runtime::Span client_span(const Method& method, const CallOptions& options) {
  runtime::Span span(method.path.substr(1), runtime::SpanKind::kClient, options.trace_id);
  span.attribute("rpc.system", "grpc");
  return span;
}

inline void end_span(runtime::Span& span, const Result<void>& result) {
  if (result.has_error()) span.fail(result.error());
  span.end();
}

}  // namespace merpati::rpc
