// Context: what a handler knows of the call it serves.
#pragma once

#include <memory>
#include <string>

#include "merpati/base/clock.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/rpc/role.hpp"

namespace merpati::auth::v1 {
class SessionClaims;
}

namespace merpati::rpc {

/// Lives as long as the handler's coroutine.
class Context {
 public:
  Role role() const { return role_; }
  /// The verified session token's claims; null when the caller's role needs none and for methods that take none.
  const auth::v1::SessionClaims* claims() const { return claims_.get(); }
  /// The token as it came, unverified unless claims() is there (admin's API tokens).
  const std::string& token() const { return token_; }
  Deadline deadline() const { return deadline_; }
  /// 32 hex digits, for logs and tables; may be empty.
  const std::string& trace_id() const { return trace_id_.empty() ? trace_ : trace_id_; }
  /// What calls on behalf of this one give on (CallOptions::trace_id): the trace id, with the span where one is
  /// recorded.
  const std::string& trace() const { return trace_; }
  /// The transport's peer, for the log: "ipv4:10.0.0.7:40112" or "in-process".
  const std::string& peer() const { return *peer_; }

  // For transports and tests.
  Context() = default;
  Context(Role role, std::string peer, Deadline deadline, std::string token, std::string trace)
      : Context(role, std::make_shared<const std::string>(std::move(peer)), deadline, std::move(token),
                std::move(trace)) {}
  Context(Role role, std::shared_ptr<const std::string> peer, Deadline deadline, std::string token, std::string trace)
      : role_(role), peer_(std::move(peer)), deadline_(deadline), token_(std::move(token)) {
    set_trace(std::move(trace));
  }
  void set_trace(std::string trace) {
    trace_ = std::move(trace);
    trace_id_ = trace_.size() > kTraceIdDigits ? trace_.substr(0, kTraceIdDigits) : std::string();
  }
  void set_claims(std::shared_ptr<const auth::v1::SessionClaims> claims) { claims_ = std::move(claims); }

 private:
  static constexpr std::size_t kTraceIdDigits = 32;
  Role role_ = Role::kAnonymous;
  std::shared_ptr<const std::string> peer_ = std::make_shared<const std::string>();
  Deadline deadline_;
  std::string token_;
  std::string trace_;
  std::string trace_id_;  ///< only when trace_ says more
  std::shared_ptr<const auth::v1::SessionClaims> claims_;
};

}  // namespace merpati::rpc
