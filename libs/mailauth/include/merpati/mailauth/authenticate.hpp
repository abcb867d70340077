// Everything that can be said of who sent one message, in the order that its parts need each other.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/mailauth/authentication_results.hpp"

namespace merpati::mailauth {

struct AuthenticationQuery {
  std::optional<dns::IpAddress> client;  ///< none: SPF and iprev are left out
  std::string helo;
  std::string reverse_path;  ///< without brackets; empty: the null one
  std::string receiver = "unknown";
  std::string_view header_block;
  std::optional<std::string_view> body;  ///< none: not at hand; DKIM and ARC are left out
  WallTime now = WallTime::clock::now();
  /// Time for SPF, keys and reverse names, which are asked for side by side; then as much again for DMARC, so that a
  /// stranger's slow servers do not take it from the author's domain. Its record is asked for with the first, and where
  /// that got no answer nobody waits a second time: DNS that says nothing costs a message this much once.
  std::chrono::milliseconds lookup_time{5000};
  bool for_reports = false;               ///< DmarcQuery
  PublicKeys* known_keys = nullptr;       ///< of messages before; null: none
  asio::thread_pool* blocking = nullptr;  ///< where much work is done; null: where the caller is
};

struct Authentication {
  std::optional<SpfOutcome> spf;  ///< of MAIL FROM; of HELO for the null reverse-path
  std::optional<SpfOutcome> spf_helo;
  std::optional<IprevOutcome> iprev;
  std::optional<DkimOutcome> dkim;
  std::optional<ArcOutcome> arc;
  /// None: nothing can be said without the body, as SPF alone does not let it pass.
  std::optional<DmarcOutcome> dmarc;
  std::vector<MethodResult> methods;  ///< those that ran
};

/// What `query` points to outlives the task. The Result is an error only for kCancelled: what cannot be found out is a
/// temperror in its place.
Task<Authentication> authenticate(dns::Resolver& resolver, AuthenticationQuery query, Deadline deadline);

}  // namespace merpati::mailauth
