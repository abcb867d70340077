// SieveStage: runs the scripts of a message's recipients after the checks, and puts what they want into the verdict.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "filter/delivery_world.hpp"
#include "filter/engine.hpp"
#include "filter/memory.hpp"
#include "filter/scoring.hpp"
#include "filter/script_cache.hpp"
#include "filter/script_runner.hpp"
#include "filter/scripted_message.hpp"
#include "filter/scripts.hpp"
#include "merpati/filter/v1/filter.pb.h"
#include "merpati/mailauth/srs.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/metrics.hpp"
#include "merpati/sieve/interpreter.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {

/// 0 to 100 of a message's score: 50 where it is filed into Junk, 100 where it is refused.
int spam_percent(double score, const Thresholds& thresholds);

/// Thread safe.
class SieveStage {
 public:
  struct Settings {
    std::string host;  ///< our name
    sieve::RunLimits limits;
    std::vector<sieve::NamedScript> before, after;  ///< of the operator
    GlobalScripts global;
    SieveLists lists;
    std::optional<mailauth::Srs> srs;  ///< for redirects
  };
  SieveStage(Scripts& scripts, Memory& memory, ScriptCache& cache, std::shared_ptr<rpc::Channel> auth,
             std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking, runtime::Metrics& metrics,
             Settings settings);

  /// `response` has the checks' verdict. kUnavailable when the scripts, or what they ask for, cannot be had: nothing
  /// may be delivered without them then. The same delivery gets the same answer again until it is settled.
  Task<void> apply(const v1::CheckMessageRequest& request, const MessageView& view, rpc::CallOptions call,
                   v1::CheckMessageResponse& response);
  /// What became of a message whose answer asked for it.
  Task<void> settle(std::string delivery_id, bool taken, Deadline deadline);

 private:
  struct Run;
  struct Message;
  class Bodies;

  std::vector<Run> candidates(const Message& message) const;
  Task<void> fetch_scripts(const Message& message, std::vector<Run>& runs);
  void prepare_world(const Message& message, Run& run) const;
  Task<void> run(const Message& message, Run& run);
  Task<void> fetch_wanted(const Message& message, Run& run);
  Task<void> fetch_mailboxes(const Message& message, Run& run);
  Task<void> fetch_memory(const Message& message, Run& run);
  asio::awaitable<sieve::Outcome> execute(const Message& message, Run& run);
  Task<std::vector<bool>> ask_memory(const Message& message, std::vector<const Run*> owners, std::vector<Claim> claims);
  Task<void> resolve(const Message& message, const Run& owner, const Claim& claim, std::string holder);
  Task<void> claim(const Message& message, std::vector<Run>& runs);
  void conclude(const Message& message, std::vector<Run>& runs, const std::vector<Bodies>& bodies);
  void tell(const Message& message, const Run& run);

  Scripts& scripts_;
  Memory& memory_;
  ScriptCache& cache_;
  std::shared_ptr<rpc::Channel> store_;
  asio::thread_pool& blocking_;
  ScriptRunner runner_;
  const Settings settings_;
  std::array<runtime::Counter, 7> actions_;
  runtime::Counter discards_, ok_, errors_, temporary_;
  runtime::Histogram seconds_;
};

}  // namespace merpati::filter
