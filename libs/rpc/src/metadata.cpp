#include "merpati/runtime/span.hpp"
#include "server_shared.hpp"

namespace merpati::rpc {

namespace {
std::string_view metadata(const grpc::ServerContextBase& context, const char* key) {
  const auto& all = context.client_metadata();
  const auto found = all.find(key);
  return found == all.end() ? std::string_view() : std::string_view(found->second.data(), found->second.size());
}
}  // namespace

std::string bearer_token(const grpc::ServerContextBase& context) {
  constexpr std::string_view kScheme = "Bearer ";
  auto value = metadata(context, "authorization");
  if (!value.starts_with(kScheme)) return {};
  return std::string(value.substr(kScheme.size()));
}

std::string trace_id(const grpc::ServerContextBase& context) {
  // W3C trace context: version "-" trace id (32 hex digits) "-" parent id (16) "-" flags (2)
  const auto value = metadata(context, "traceparent");
  if (value.size() < 55 || value[2] != '-' || value.substr(0, 2) == "ff") return {};
  if (value.size() > 55 && (value.substr(0, 2) == "00" || value[55] != '-')) return {};
  const auto rest = value.substr(3, 52);
  return runtime::parse_trace(rest).trace_id.empty() ? std::string() : std::string(rest);
}

}  // namespace merpati::rpc
