// ScriptEvents: has the operator's Sieve scripts run over messages that commands stored or changed (RFC 6785). Owned by
// a loop, used on its thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "imap/probe.hpp"
#include "merpati/base/task.hpp"
#include "merpati/filter/v1/mailbox_events.pb.h"
#include "merpati/rpc/channel.hpp"

namespace merpati::filter::v1 {
class MailboxEventsClient;
}

namespace merpati::imap {

/// What one command did.
struct MailboxEvent {
  rpc::CallOptions call;  ///< the session's: with its token the filter reads and changes the messages
  filter::v1::EventCause cause = filter::v1::EVENT_CAUSE_UNSPECIFIED;
  std::int64_t mailbox_id = 0;
  std::string mailbox;  ///< names
  std::string from_mailbox;
  std::vector<filter::v1::EventMessage> messages;
};

/// No command fails by its scripts.
class ScriptEvents {
 public:
  static constexpr std::size_t kMostMessages = 1000;  ///< of one command; for the others no script runs

  /// `filter` null: there are no scripts. `tasks` runs the calls, and ends them.
  ScriptEvents(asio::any_io_executor executor, const Probe& probe, std::shared_ptr<rpc::Channel> filter,
               TaskGroup& tasks);

  /// Whether a script is meant for such an event. Asks the filter once in a while.
  Task<bool> wanted(filter::v1::EventCause cause, const std::string& mailbox, const std::string& from_mailbox = {});
  /// Runs them. Comes back when they are done, or after some seconds: then they go on behind the command.
  asio::awaitable<void> happened(MailboxEvent event);

 private:
  struct Progress;
  asio::awaitable<void> ask();
  asio::awaitable<void> run(MailboxEvent event, std::shared_ptr<Progress> progress);
  Task<void> run_all(const MailboxEvent& event);
  bool is_meant(filter::v1::EventCause cause, const std::string& mailbox, const std::string& from_mailbox) const;

  asio::any_io_executor executor_;
  const Probe& probe_;
  std::shared_ptr<filter::v1::MailboxEventsClient> filter_;
  TaskGroup& tasks_;
  filter::v1::ListEventScriptsResponse scripts_;  ///< as the filter last said
  bool known_ = false;
  bool asking_ = false;
  SteadyTime ask_at_{};
  std::size_t running_ = 0;  ///< commands
};

}  // namespace merpati::imap
