#include "grpc_process.hpp"

#include <grpc/support/log.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string_view>

#include "merpati/runtime/log.hpp"

namespace merpati::rpc {

namespace {

void write_line(gpr_log_func_args* args) {
  const std::string_view text = args->message;
  // Names are checked by role, not by host; gRPC mentions each handshake all the same.
  if (text.starts_with("No match found for server name")) return;
  if (text.starts_with("assertion failed")) std::fprintf(stderr, "%s:%d: %s\n", args->file, args->line, args->message);
  if (args->severity == GPR_LOG_SEVERITY_ERROR)
    log::info("grpc", text, {{"file", args->file}, {"line", args->line}});  // mostly peers' mistakes
  else
    log::debug("grpc", text, {{"file", args->file}, {"line", args->line}});
}

// gRPC 1.51 joins its callback threads when the last channel that used them goes, and does not notice when one of these
// threads itself drops it, as a reactor's OnDone may: it then frees its own queue twice. A channel that is never
// destroyed keeps them; one call, over before it begins, makes it take its part in them.
void keep_callback_threads() {
  struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer request, response;
  };
  auto* stub = new grpc::GenericStub(grpc::CreateChannel("ipv4:127.0.0.1:0", grpc::InsecureChannelCredentials()));
  static auto* const kKept = stub;  // reachable, so that a leak checker does not complain
  auto call = std::make_shared<Call>();
  const grpc::Slice nothing;
  call->request = grpc::ByteBuffer(&nothing, 1);
  call->context.set_deadline(std::chrono::system_clock::now());
  kKept->UnaryCall(&call->context, "/nobody/nothing", {}, &call->request, &call->response, [call](grpc::Status) {});
}

}  // namespace

void prepare_grpc() {
  static const bool kDone = [] {
    gpr_set_log_function(&write_line);
    keep_callback_threads();
    return true;
  }();
  static_cast<void>(kDone);
}

}  // namespace merpati::rpc
