// Greylisting: who is not known is asked to come again, which most senders of spam do not.
#pragma once

#include <array>

#include "filter/engine.hpp"
#include "filter/greylist.hpp"
#include "merpati/net/address.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

struct GreylistSettings {
  GreylistTimes times;
  bool skip_authenticated = true;
  net::CidrSet own_networks;  ///< whose mail passes
  WhenUnchecked when_unchecked = WhenUnchecked::kMark;
};

class GreylistEngine : public Engine {
 public:
  /// `greylist` outlives the engine.
  GreylistEngine(GreylistSettings settings, Greylist& greylist, runtime::Metrics& metrics);

  std::string_view name() const override { return "greylist"; }
  EngineSettings settings() const override { return {std::chrono::seconds(2), settings_.when_unchecked}; }
  Stage stage() const override { return Stage::kAfterScore; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  bool concerns(const MessageView& view) const;

  const GreylistSettings settings_;
  Greylist& greylist_;
  std::array<runtime::Counter, 4> results_;  ///< by Greylisted::State
};

}  // namespace merpati::filter
