// An engine: looks at a message and names what it finds. Knows no verdict; scoring.hpp makes one of all findings.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filter/message_checks.hpp"
#include "merpati/base/task.hpp"

namespace merpati::mailauth {
struct Authentication;
}

namespace merpati::filter {

/// Whose a score, a threshold or a weight is.
enum class Source : std::uint8_t { kEngine, kConfiguration, kDomain, kAccount };

/// One finding. `score` is the engine's own weight, which configuration may replace.
struct Symbol {
  std::string name;
  double score = 0;
  std::string detail;
  bool not_checked = false;  ///< the engine could not say: counts nothing
  bool junk = false;         ///< files into Junk whatever the score, unless configuration gives it a weight
  std::string engine;        ///< filled in by decide()
  bool opinion = false;      ///< what somebody thinks of the sender or the text: `junk` gives way to an accepted sender
  bool accepts = false;  ///< the sender is on the operator's list, for certain; unless configuration gives it a weight
  bool negotiable = false;          ///< `junk` gives way to a weight of the recipient's policy, too; as any `opinion`
  Source weight = Source::kEngine;  ///< whose `score` is; filled in by decide()
};

/// A finding that counts for one recipient alone.
struct RecipientSymbol {
  std::size_t recipient = 0;  ///< its place in MessageView::recipients
  Symbol symbol;
};

/// What an engine says of one message.
struct Findings {
  std::vector<Symbol> symbols;
  std::vector<RecipientSymbol> of_recipients;
  std::vector<Refusal> refusals;  ///< reasons to refuse whatever the score
  /// From the engine that found out who sent the message: for those of the second stage.
  std::shared_ptr<const mailauth::Authentication> authentication;
  bool known_good = false;  ///< who sent it is known for good mail: need not show that it comes again
};

/// The message and its SMTP transaction as engines see them; valid during the check.
struct MessageView {
  std::string_view header_block;
  std::string_view message;  ///< empty when `whole` is false
  bool whole = false;        ///< false: too large to be read, only the header is known

  boost::asio::ip::address client;         ///< no IPv4 mapped into IPv6; unspecified (0.0.0.0): not known
  std::string_view helo;                   ///< the client's word
  std::string_view reverse_path;           ///< "" for <>
  std::int64_t authenticated_account = 0;  ///< 0: mail from outside
  std::string_view authenticated_address;
  std::string_view listener;        ///< "mx", "submission"
  std::string_view receiving_host;  ///< our name in the dialog
  std::string_view delivery_id;
  std::vector<std::string_view> recipients;      ///< addresses as RCPT gave them
  std::vector<std::int64_t> recipient_accounts;  ///< of each recipient; 0: not here
  /// Who sent it, for engines of the second stage; null: not checked (submitted, from an own network, or it failed).
  const mailauth::Authentication* authentication = nullptr;
  // For those of the last stage: what the others found.
  bool greylist = false;  ///< every recipient's threshold of greylisting is reached
  bool known_good = false;

  bool from_outside() const { return authenticated_account == 0; }
};

/// What becomes of a message that an engine could not look at.
enum class WhenUnchecked : std::uint8_t {
  kMark,       ///< the other engines decide; a symbol says that this one did not run
  kTemporary,  ///< 4xx
  kSkip,       ///< the other engines decide, silently
};

struct EngineSettings {
  std::chrono::milliseconds deadline{5000};  ///< for one message; the call's own may be nearer
  WhenUnchecked when_unchecked = WhenUnchecked::kMark;
};

/// Engines of one stage run side by side. What refuses in the first spares the others, and what all the others would
/// refuse for good spares the last.
enum class Stage : std::uint8_t {
  kFirst,                ///< needs nothing but the message
  kAfterAuthentication,  ///< knows who sent it
  kAfterScore,           ///< knows what all others think of it
};

class Engine {
 public:
  virtual ~Engine() = default;
  /// In lower case, for logs and metrics; in upper case the symbol of a check that did not happen.
  virtual std::string_view name() const = 0;
  virtual EngineSettings settings() const { return {}; }
  virtual Stage stage() const { return Stage::kAfterAuthentication; }
  /// What check_now() finds, or else wait_for().
  Task<Findings> check(const MessageView& view) {
    if (auto now = check_now(view)) co_return *std::move(now);
    co_return co_await wait_for(view);
  }
  /// What it finds without waiting for anything nor long at work; nothing: wait_for() is to be asked. Any thread.
  virtual std::optional<Findings> check_now(const MessageView&) { return std::nullopt; }
  /// Called for several messages at once, on the caller's executor; is cancelled at its deadline. An error means "not
  /// checked" and counts against the engine.
  virtual Task<Findings> wait_for(const MessageView& view) = 0;
  /// Whether it asks a program elsewhere that answers ping(), too.
  virtual bool is_remote() const { return false; }
  /// Asks that program whether it is there, by a connection of its own. Is cancelled when that takes too long.
  virtual Task<void> ping() { co_return Result<void>(); }
};

}  // namespace merpati::filter
