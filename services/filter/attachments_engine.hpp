// Attachments and archives (attachment_checks.hpp) as an engine.
#pragma once

#include "filter/attachment_checks.hpp"
#include "filter/engine.hpp"
#include "filter/scan_slots.hpp"

namespace merpati::filter {

struct AttachmentsSettings {
  AttachmentPolicy policy;
  bool check_submitted = true;
  std::size_t max_scans = 4;  ///< messages at once; others wait
};

class AttachmentsEngine : public Engine {
 public:
  /// Works on `blocking`, which outlives it.
  AttachmentsEngine(AttachmentsSettings settings, asio::thread_pool& blocking)
      : settings_(std::move(settings)), slots_(settings_.max_scans), blocking_(blocking) {}

  std::string_view name() const override { return "attachments"; }
  EngineSettings settings() const override;
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  const AttachmentsSettings settings_;
  ScanSlots slots_;
  asio::thread_pool& blocking_;
};

}  // namespace merpati::filter
