// Reputation as an engine: points for and against senders whose earlier mail was good or bad.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "filter/engine.hpp"
#include "filter/judged_messages.hpp"
#include "filter/reputation.hpp"
#include "merpati/net/address.hpp"

namespace merpati::filter {

struct ReputationSettings {
  std::chrono::seconds half_life{1'209'600};
  double min_messages = 10;  ///< of what is left of them; fewer say nothing
  double sender_points = 2, domain_points = 2, address_points = 1;
  net::CidrSet own_networks;  ///< whose mail is neither judged by it nor counted
};

/// What a reputation says, from -most / 2 (all good) to most (all bad); half of that at `min_messages`, more the more
/// there are. Fewer than `min_messages`: 0.
double reputation_points(const Reputation& reputation, double most, double min_messages);

class ReputationEngine : public Engine {
 public:
  /// `memory` outlives the engine.
  ReputationEngine(ReputationSettings settings, ReputationMemory& memory)
      : settings_(std::move(settings)), memory_(memory) {}

  static constexpr std::string_view kName = "reputation";
  std::string_view name() const override { return kName; }
  EngineSettings settings() const override { return {std::chrono::seconds(2), WhenUnchecked::kMark}; }
  Task<Findings> wait_for(const MessageView& view) override;

  /// Whom the outcome of this message is counted for; nothing: it is not counted.
  std::optional<SenderNames> counted_for(const MessageView& view) const;

 private:
  void add(const char* symbol, const std::string& name, const Reputation& reputation, double most,
           Findings& findings) const;

  const ReputationSettings settings_;
  ReputationMemory& memory_;
};

/// Hands on what FilterService tells of: for whom a message counts, and what became of it by `scoring` but for
/// `engine`'s own points, so that a reputation does not feed on itself. `judged` outlives it.
std::function<void(const MessageView&, const Verdict&)> count_for_senders(
    std::shared_ptr<const ReputationEngine> engine, JudgedMessages& judged, Scoring scoring);

}  // namespace merpati::filter
