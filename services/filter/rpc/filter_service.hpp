// merpati.filter.v1.Filter: converts between the contract and the checks.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "filter/arc_stage.hpp"
#include "filter/engine_runner.hpp"
#include "filter/judgement.hpp"
#include "filter/message_checks.hpp"
#include "filter/milter_dialog.hpp"
#include "filter/policy_book.hpp"
#include "filter/sieve_stage.hpp"
#include "merpati/base/spool.hpp"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class FilterService : public v1::FilterService {
 public:
  /// `store` is where mail over 64 KiB is read. The structure's checks are the first engine.
  FilterService(std::string authserv_id, CheckLimits limits, Scoring scoring, runtime::Metrics& metrics,
                std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking);
  /// Another engine, before the first call.
  void add_engine(std::shared_ptr<Engine> engine, CircuitBreaker::Settings breaker = {}) {
    engines_.add(std::move(engine), breaker);
  }
  /// Another who is told of every message that the engines judged, with the verdict by the configuration; before the
  /// first call.
  using Judged = std::function<void(const MessageView&, const Verdict&)>;
  void tell_of_judged(Judged tell) { judged_.push_back(std::move(tell)); }
  /// Runs recipients' scripts; outlives this. Before the first call; without it there are no scripts.
  void set_sieve(SieveStage& sieve) { sieve_ = &sieve; }
  /// Whose rules recipients have, made of configured(); as set_sieve(). Without it the configuration's hold for all.
  void set_policies(PolicyBook& policies) { policies_ = &policies; }
  const SharedRules& configured() const { return configured_; }
  /// Rewrites the sender of what aliases send on elsewhere; as set_sieve(). Without it that keeps its sender.
  void set_srs(mailauth::Srs srs) { srs_ = std::move(srs); }
  /// Seals what goes on elsewhere; as set_sieve().
  void set_arc(ArcStage& arc) { arc_ = &arc; }
  /// Who must have been asked about a message before it comes here; before the first call.
  void set_milters(MilterSeats milters) { milters_ = std::move(milters); }

  Task<v1::CheckConnectionResponse> check_connection(rpc::Context&, const v1::CheckConnectionRequest&) override;
  Task<v1::CheckRecipientResponse> check_recipient(rpc::Context&, const v1::CheckRecipientRequest&) override;
  Task<v1::CheckMessageResponse> check_message(rpc::Context&, const v1::CheckMessageRequest&) override;
  Task<v1::SettleMessageResponse> settle_message(rpc::Context&, const v1::SettleMessageRequest&) override;

  /// What is known of a client before it has sent anything; before the first call.
  using ClientCheck = std::function<Task<Findings>(const boost::asio::ip::address&)>;
  void check_clients_by(ClientCheck check) { client_check_ = std::move(check); }

 private:
  /// A message of the request, whole where that is possible; its octets are the request's or in `octets`.
  struct Octets {
    Spool spool;
    std::string joined;
  };
  Task<void> see(const v1::CheckMessageRequest& request, const rpc::Context& context, Octets& octets,
                 MessageView& view);
  /// What engines look at, where milters have changed the message: as it came.
  Task<void> see_received(const v1::CheckMessageRequest& request, const rpc::Context& context, Octets& octets,
                          MessageView& view);
  /// The whole message, from the store.
  Task<void> read_message(const v1::CheckMessageRequest& request, const rpc::Context& context,
                          const std::string& blob_id, Spool& into);
  Task<RulesOfRecipients> rules_for(const v1::CheckMessageRequest& request, Deadline deadline);
  void refuse_loops(const v1::CheckMessageRequest& request, std::string_view header_block,
                    v1::CheckMessageResponse& response) const;
  void add_results(const v1::CheckMessageRequest& request, std::string_view header_block,
                   std::span<const EngineReport> reports, v1::CheckMessageResponse& response) const;

  std::string authserv_id_;
  CheckLimits limits_;
  SharedRules configured_;
  std::shared_ptr<rpc::Channel> store_;
  EngineRunner engines_;
  SieveStage* sieve_ = nullptr;
  std::optional<mailauth::Srs> srs_;
  ArcStage* arc_ = nullptr;
  PolicyBook* policies_ = nullptr;
  MilterSeats milters_;
  ClientCheck client_check_;
  std::vector<Judged> judged_;
  std::array<runtime::Counter, v1::Decision_ARRAYSIZE> decisions_, of_recipients_;
};

}  // namespace merpati::filter
