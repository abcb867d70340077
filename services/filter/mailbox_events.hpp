// MailboxEvents: runs the operator's scripts over messages that people put into mailboxes or changed there (RFC 6785).
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "filter/event_actions.hpp"
#include "filter/event_scripts.hpp"
#include "filter/memory.hpp"
#include "filter/scan_slots.hpp"
#include "filter/script_runner.hpp"
#include "merpati/filter/v1/mailbox_events.pb.h"
#include "merpati/runtime/metrics.hpp"
#include "merpati/store/v1/store.pb.h"

namespace merpati::filter {

/// Thread safe.
class MailboxEvents {
 public:
  struct Settings {
    std::string host;  ///< our name
    sieve::RunLimits limits;
    std::uint64_t max_scanned_size = 0;
    std::vector<EventScript> scripts;
    GlobalScripts global;
    SieveLists lists;
  };
  MailboxEvents(ScriptRunner runner, Memory& memory, std::shared_ptr<rpc::Channel> store,
                std::shared_ptr<rpc::Channel> queue, runtime::Metrics& metrics, Settings settings);

  const std::vector<EventScript>& scripts() const { return settings_.scripts; }

  /// `call` has the session token; `address` is the main address of its account. An error of one message is counted,
  /// logged, and no error of the call.
  Task<v1::RunEventScriptsResponse> run(const v1::RunEventScriptsRequest& event, rpc::CallOptions call,
                                        std::string address);

 private:
  struct Message;

  Task<std::vector<store::v1::MessageRow>> read_rows(const v1::RunEventScriptsRequest& event, rpc::CallOptions call);
  Task<void> read(Message& message, const store::v1::MessageRow& row);
  Task<std::string> read_header(const Message& message);
  Task<void> run_one(Message& message, const store::v1::MessageRow& row);
  Task<void> run_scripts(Message& message);
  Task<void> fetch_memory(Message& message);
  Task<void> remember(Message& message);
  void prepare_world(Message& message) const;
  void tell(const Message& message, const Result<void>& done);

  ScriptRunner runner_;
  Memory& memory_;
  std::shared_ptr<rpc::Channel> store_;
  EventActions actions_;
  const Settings settings_;
  ScanSlots slots_;
  runtime::Counter ok_, errors_, failed_;
};

}  // namespace merpati::filter
