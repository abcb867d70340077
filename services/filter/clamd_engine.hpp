// ClamAV, by clamd's INSTREAM over TCP or a socket (clamd(8)).
#pragma once

#include "filter/engine.hpp"
#include "filter/scanner_link.hpp"

namespace merpati::filter {

struct ClamdSettings {
  EngineSettings engine;
  std::uint64_t max_size = 25 << 20;  ///< octets; larger messages are not scanned (clamd's StreamMaxLength)
  bool refuse = true;                 ///< else a virus files into Junk
  bool check_submitted = true;
};

/// What clamd said of a stream.
struct ClamdReply {
  enum class Kind : std::uint8_t { kClean, kFound, kTooLarge, kFailed } kind = Kind::kFailed;
  std::string text;  ///< the signature's name, or the error
};
/// Without the final NUL.
ClamdReply parse_clamd_reply(std::string_view reply);

class ClamdEngine : public Engine {
 public:
  ClamdEngine(ClamdSettings settings, std::shared_ptr<ScannerLink> link)
      : settings_(settings), link_(std::move(link)) {}

  std::string_view name() const override { return "clamd"; }
  EngineSettings settings() const override { return settings_.engine; }
  Task<Findings> wait_for(const MessageView& view) override;
  bool is_remote() const override { return true; }
  Task<void> ping() override;

 private:
  Task<std::string> scan(std::string_view message);

  const ClamdSettings settings_;
  std::shared_ptr<ScannerLink> link_;
};

}  // namespace merpati::filter
