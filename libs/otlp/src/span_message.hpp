// Spans in the form in which a collector wants them.
#pragma once

#include <vector>

#include "merpati/otlp/exporter.hpp"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace merpati::otlp {

opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest to_message(
    const std::vector<runtime::SpanData>& spans, const Resource& resource);

}  // namespace merpati::otlp
