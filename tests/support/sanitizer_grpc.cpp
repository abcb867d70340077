// What ThreadSanitizer cannot see in Debian's gRPC, which is not instrumented: the order that it keeps between our
// threads. These functions stand before those of the same name in its libraries (an executable's symbol goes before a
// library's), tell ThreadSanitizer the order, and call them. Linked into every program of the preset tsan, and into no
// other.

#if defined(MERPATI_SANITIZE_THREAD)

#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>
#include <sanitizer/tsan_interface.h>

namespace {

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Stands for an operation's tag, which is a functor: libs/rpc uses no other part of gRPC than the callback API.
struct Ordered : grpc_completion_queue_functor {
  grpc_completion_queue_functor* inner;
};

void complete(grpc_completion_queue_functor* self, int ok) {
  __tsan_acquire(self);
  auto* inner = static_cast<Ordered*>(self)->inner;
  delete static_cast<Ordered*>(self);
  inner->functor_run(inner, ok);
}

char server_started;

}  // namespace

extern "C" {

// What was done before an operation started happens before its completion.
grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t count, void* tag, void* reserved) {
  static auto* const kReal = real<decltype(grpc_call_start_batch)>("grpc_call_start_batch");
  auto* inner = static_cast<grpc_completion_queue_functor*>(tag);
  auto* ordered = new Ordered{{&complete, inner->inlineable, 0, nullptr}, inner};
  __tsan_release(ordered);
  const auto error = kReal(call, ops, count, ordered, reserved);
  if (error != GRPC_CALL_OK) delete ordered;
  return error;
}

// What was done before a server started happens before each call that it receives, for which this memory is taken
// first.
void grpc_server_start(grpc_server* server) {
  static auto* const kReal = real<decltype(grpc_server_start)>("grpc_server_start");
  __tsan_release(&server_started);
  kReal(server);
}
void* grpc_call_arena_alloc(grpc_call* call, size_t size) {
  static auto* const kReal = real<decltype(grpc_call_arena_alloc)>("grpc_call_arena_alloc");
  __tsan_acquire(&server_started);
  return kReal(call, size);
}

}  // extern "C"

// The lock of gRPC's reactors and of much in its core.
#define MERPATI_LOCK "_ZN4absl7debian35Mutex4LockEv"
#define MERPATI_UNLOCK "_ZN4absl7debian35Mutex6UnlockEv"
void lock(absl::Mutex* mutex) asm(MERPATI_LOCK);
void lock(absl::Mutex* mutex) {
  static auto* const kReal = real<decltype(lock)>(MERPATI_LOCK);
  kReal(mutex);
  __tsan_acquire(mutex);
}
void unlock(absl::Mutex* mutex) asm(MERPATI_UNLOCK);
void unlock(absl::Mutex* mutex) {
  static auto* const kReal = real<decltype(unlock)>(MERPATI_UNLOCK);
  __tsan_release(mutex);
  kReal(mutex);
}

// What happened in a call happens before its last reactions: the other half is libs/rpc/src/grpc_order.hpp.
// The first by its symbol: as a member it would bring the class's vtable along, into programs without gRPC, too.
#define MERPATI_SCHEDULE_ON_DONE "_ZN4grpc8internal13ClientReactor22InternalScheduleOnDoneENS_6StatusE"
void schedule_on_done(grpc::internal::ClientReactor* self, grpc::Status status) asm(MERPATI_SCHEDULE_ON_DONE);
void schedule_on_done(grpc::internal::ClientReactor* self, grpc::Status status) {
  static auto* const kReal = real<decltype(schedule_on_done)>(MERPATI_SCHEDULE_ON_DONE);
  __tsan_release(self);
  kReal(self, std::move(status));
}

namespace grpc::internal {

void ServerCallbackCall::ScheduleOnDone(bool at_once) {
  static auto* const kReal =
      real<void(ServerCallbackCall*, bool)>("_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");
  __tsan_release(reactor());
  kReal(this, at_once);
}
void ServerCallbackCall::CallOnCancel(ServerReactor* reactor) {
  static auto* const kReal = real<void(ServerCallbackCall*, ServerReactor*)>(
      "_ZN4grpc8internal18ServerCallbackCall12CallOnCancelEPNS0_13ServerReactorE");
  __tsan_release(reactor);
  kReal(this, reactor);
}

}  // namespace grpc::internal

#endif
