// EventActions: does what a script wants with a message that is in a mailbox (RFC 6785 3).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "filter/delivery_world.hpp"
#include "merpati/base/task.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/sieve/outcome.hpp"

namespace merpati::filter {

/// A message in a mailbox, as the store has it.
struct EventTarget {
  rpc::CallOptions call;  ///< with the session token: what may be read and changed is its account's
  std::string address;    ///< the account's
  std::int64_t mailbox_id = 0;
  std::uint32_t uid = 0;
  std::vector<std::string> flags;  ///< that scripts can see
  std::int64_t received_at_ms = 0;
  std::int32_t zone_minutes = 0;
  std::string_view octets;  ///< or the header alone
  std::size_t header_size = 0;
  bool whole = false;

  /// What a call gives on may name a span too.
  std::string trace_id() const { return call.trace_id.substr(0, 32); }
};

class EventActions {
 public:
  /// `host` is our name.
  EventActions(std::shared_ptr<rpc::Channel> store, std::shared_ptr<rpc::Channel> queue, std::string host)
      : store_(std::move(store)), queue_(std::move(queue)), host_(std::move(host)) {}

  /// Copies and what is sent first; only then the message itself is changed, so that an error leaves it as it is.
  Task<void> apply(const sieve::Outcome& outcome, const DeliveryWorld& world, const EventTarget& target);

 private:
  Task<void> file(const sieve::Outcome& outcome, const sieve::Action& action, const DeliveryWorld& world,
                  const EventTarget& target);
  Task<void> copy(const sieve::Filing& into, std::string mailbox, const EventTarget& target);
  Task<void> append(const sieve::Filing& into, std::string mailbox, std::string octets, const EventTarget& target);
  Task<void> redirect(const sieve::Outcome& outcome, const sieve::Action& action, const DeliveryWorld& world,
                      const EventTarget& target);
  Task<void> send(std::string reverse_path, std::vector<std::string> recipients, std::string message,
                  const EventTarget& target);
  Task<void> notify(const sieve::Notify& note, const DeliveryWorld& world, const EventTarget& target);
  Task<void> create(std::string mailbox, const EventTarget& target);
  Task<void> change_flags(std::int64_t mailbox, std::uint32_t uid, const std::vector<std::string>& before,
                          const std::vector<std::string>& after, const EventTarget& target);

  std::shared_ptr<rpc::Channel> store_, queue_;
  const std::string host_;
};

}  // namespace merpati::filter
