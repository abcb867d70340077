#include "grpc_log.hpp"

#include <grpc/support/log.h>

#include <string_view>

#include "merpati/runtime/log.hpp"

namespace merpati::rpc {

namespace {

void write_line(gpr_log_func_args* args) {
  const std::string_view text = args->message;
  // Names are checked by role, not by host; gRPC mentions each handshake all the same.
  if (text.starts_with("No match found for server name")) return;
  if (args->severity == GPR_LOG_SEVERITY_ERROR)
    log::info("grpc", text, {{"file", args->file}, {"line", args->line}});  // mostly peers' mistakes
  else
    log::debug("grpc", text, {{"file", args->file}, {"line", args->line}});
}

}  // namespace

void route_grpc_log() {
  static const bool kDone = [] {
    gpr_set_log_function(&write_line);
    return true;
  }();
  static_cast<void>(kDone);
}

}  // namespace merpati::rpc
