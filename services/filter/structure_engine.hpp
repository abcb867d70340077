// The checks that need nothing but the message (message_checks.hpp), as an engine.
#pragma once

#include "filter/engine.hpp"

namespace merpati::filter {

class StructureEngine : public Engine {
 public:
  StructureEngine(CheckLimits limits, asio::thread_pool& blocking) : limits_(limits), blocking_(blocking) {}

  std::string_view name() const override { return "structure"; }
  EngineSettings settings() const override { return {std::chrono::seconds(60), WhenUnchecked::kTemporary}; }
  Stage stage() const override { return Stage::kFirst; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  CheckLimits limits_;
  asio::thread_pool& blocking_;
};

}  // namespace merpati::filter
