// An order that ThreadSanitizer must be told: gRPC's library, which is not instrumented, schedules the last reactions
// of a call (OnDone, OnCancel) after all that happened in it. tests/support/sanitizer_grpc.cpp says when it schedules;
// the reaction says by this that it runs. It also destroys, on threads of its own, what it was given. Nothing in other
// builds.
#pragma once

#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <type_traits>

#if __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#endif

namespace merpati::rpc {

#if __has_feature(thread_sanitizer)
/// First in the reaction.
template <class Reactor>
inline void scheduled_by_grpc(Reactor* self) {
  if constexpr (std::is_base_of_v<grpc::internal::ServerReactor, Reactor>)
    __tsan_acquire(static_cast<grpc::internal::ServerReactor*>(self));
  else
    __tsan_acquire(static_cast<grpc::internal::ClientReactor*>(self));
  // The reactor was bound to its call under a lock of its own, which is somewhere in it.
  for (std::size_t at = 0; at + sizeof(void*) <= sizeof(Reactor); at += sizeof(void*))
    __tsan_acquire(reinterpret_cast<char*>(self) + at);
}
/// What gRPC destroys when its last user is done with it: last in the constructor, and first in the destructor.
inline void given_to_grpc(void* self) { __tsan_release(self); }
inline void destroyed_by_grpc(void* self) { __tsan_acquire(self); }
#else
inline void scheduled_by_grpc(void*) {}
inline void given_to_grpc(void*) {}
inline void destroyed_by_grpc(void*) {}
#endif

}  // namespace merpati::rpc
