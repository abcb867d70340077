// Notices an account that sends more than it should within an hour: a stolen password, mostly.
#pragma once

#include "filter/engine.hpp"
#include "filter/sent_counts.hpp"

namespace merpati::filter {

struct SenderRateLimits {
  std::int64_t messages = 0;    ///< within an hour; 0: as many as they like
  std::int64_t recipients = 0;  ///< the same
  bool refuse = false;          ///< 451 for what is beyond; false: it is only marked
  bool wanted() const { return messages > 0 || recipients > 0; }
};

class SenderRateEngine : public Engine {
 public:
  /// `counts` outlives the engine.
  SenderRateEngine(SenderRateLimits limits, SentCounts& counts) : limits_(limits), counts_(counts) {}

  std::string_view name() const override { return "sender_rate"; }
  EngineSettings settings() const override { return {std::chrono::seconds(2), WhenUnchecked::kMark}; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  const SenderRateLimits limits_;
  SentCounts& counts_;
};

}  // namespace merpati::filter
