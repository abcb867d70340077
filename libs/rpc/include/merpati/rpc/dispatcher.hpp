// Dispatcher: the one door to a backend's services. Every transport calls through it, so that the authorization table,
// the session token and the account check hold for all of them.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "merpati/rpc/authorization.hpp"
#include "merpati/rpc/service.hpp"
#include "merpati/rpc/token.hpp"

namespace merpati::runtime {
class Metrics;
}

namespace merpati::rpc {

class CallCounters;

class Dispatcher {
 public:
  struct Entry {
    const Method* method;
    Service* service;
    std::size_t index;
    const AuthorizationRow* row;  ///< null: the table forgot it, so nobody may call
    std::shared_ptr<CallCounters> counters;
  };

  /// Without a verifier every call that needs a session token is refused.
  explicit Dispatcher(std::shared_ptr<TokenVerifier> verifier = nullptr) : verifier_(std::move(verifier)) {}
  void set_token_verifier(std::shared_ptr<TokenVerifier> verifier) { verifier_ = std::move(verifier); }

  /// Counts calls as merpati_rpc_calls_total{method,code} from now on, whatever the transport. Before the first call.
  void set_metrics(runtime::Metrics& metrics);

  /// Before the first call; `service` outlives the dispatcher's last call.
  void register_service(Service& service);
  /// Null when there is no such method.
  const Entry* find(std::string_view path) const;

  /// Who ends a call at its deadline: this class, or a transport that has one timer for many calls.
  enum class Timer { kOwn, kTransport };
  /// Checks the caller, then runs the handler; it ends at the context's deadline.
  Task<void> call(const Entry& entry, Context& context, const MessageLite& request, MessageLite& response,
                  Timer timer = Timer::kOwn) const;
  Task<void> call_stream(const Entry& entry, Context& context, Stream& stream) const;

 private:
  Task<void> authorize(const Entry& entry, Context& context) const;
  Task<void> recorded_call(const Entry& entry, Context& context, const MessageLite& request, MessageLite& response,
                           Timer timer) const;
  Task<void> counted_call(const Entry& entry, Context& context, const MessageLite& request, MessageLite& response,
                          Timer timer) const;
  Task<void> checked_call(const Entry& entry, Context& context, const MessageLite& request, MessageLite& response,
                          Timer timer) const;
  Task<void> checked_stream(const Entry& entry, Context& context, Stream& stream) const;

  std::unordered_map<std::string_view, Entry> entries_;
  std::shared_ptr<TokenVerifier> verifier_;
  runtime::Metrics* metrics_ = nullptr;
};

/// A channel whose calls await the handler on the caller's own executor, without serialization; `role` is the caller's.
/// The dispatcher outlives the channel's last call.
std::shared_ptr<Channel> in_process_channel(Dispatcher& dispatcher, Role role);

}  // namespace merpati::rpc
