// Rspamd, by its HTTP protocol (/checkv2).
#pragma once

#include "filter/engine.hpp"
#include "filter/scanner_link.hpp"

namespace merpati::filter {

struct RspamdSettings {
  EngineSettings engine;
  std::uint64_t max_size = 25 << 20;  ///< octets; larger messages are not checked
  std::string password;               ///< empty: none is sent
  bool follow_action = true;          ///< what Rspamd would do; else its score counts as ours
  double score_factor = 1;            ///< our points for one of Rspamd's
  bool check_submitted = true;
};

class RspamdEngine : public Engine {
 public:
  RspamdEngine(RspamdSettings settings, std::shared_ptr<ScannerLink> link)
      : settings_(std::move(settings)), link_(std::move(link)) {}

  std::string_view name() const override { return "rspamd"; }
  EngineSettings settings() const override { return settings_.engine; }
  Task<Findings> wait_for(const MessageView& view) override;
  bool is_remote() const override { return true; }
  Task<void> ping() override;

 private:
  /// The body of the reply.
  Task<std::string> ask(const MessageView& view);

  const RspamdSettings settings_;
  std::shared_ptr<ScannerLink> link_;
};

/// kUnavailable when `json` is no reply of /checkv2.
Result<Findings> findings_of(std::string_view json, const RspamdSettings& settings);

}  // namespace merpati::filter
