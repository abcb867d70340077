// MilterSession: one milter's part in one SMTP dialog: what it is told, what it answers, and what becomes of the dialog
// when it fails.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "filter/message_checks.hpp"
#include "filter/milter_message.hpp"
#include "filter/milter_seat.hpp"

namespace merpati::filter {

enum class MilterStage : std::uint8_t {
  kConnect,
  kHelo,
  kMail,
  kRecipient,
  kData,
  kUnknown,
  kHeader,
  kEndOfHeader,
  kBody,
  kEndOfMessage,
};
/// "mail", "end_of_message", for logs.
std::string_view to_string(MilterStage stage);

/// What is known of an SMTP dialog so far. A milter that is reached late is told it again.
struct DialogFacts {
  milter::ClientInfo client;
  std::optional<std::string> helo;
  milter::Macros macros;  ///< of all stages; which go with which, milters settle
  std::string trace_id;
};

/// What one stage leads to.
struct StageAnswer {
  enum class Kind : std::uint8_t { kGoOn, kTemporary, kRefuse, kDiscard };
  Kind kind = Kind::kGoOn;
  Refusal reply = {};  ///< for kTemporary and kRefuse; lines with "\n" between them
  bool close = false;  ///< the SMTP connection ends with the reply
};

/// For those who ask later what a milter has said.
struct MilterNote {
  std::string milter, stage, answer, text;
  std::chrono::system_clock::time_point at;
  std::chrono::microseconds took{0};
};

/// Which events of the dialog somebody wants to hear of.
struct WantedEvents {
  bool hello = false, mail = false, recipient = false, refused_recipient = false;
  bool data = false, content = false, body = false, unknown = false;
};

struct MilterMail {
  std::string reverse_path;
  std::vector<std::string> parameters;
};
struct MilterRecipient {
  std::string address;
  std::vector<std::string> parameters;
};

/// One coroutine, one thread. Every method fails with kCancelled alone. `facts` and `note` outlive it.
class MilterSession {
 public:
  using Note = std::function<void(MilterNote)>;
  MilterSession(std::shared_ptr<MilterSeat> seat, const DialogFacts& facts, Note note)
      : seat_(std::move(seat)), facts_(facts), note_(std::move(note)) {}
  ~MilterSession() { drop(); }
  MilterSession(const MilterSession&) = delete;
  MilterSession& operator=(const MilterSession&) = delete;

  const MilterSeat& seat() const { return *seat_; }

  /// Who cannot be reached now is tried again at the first mail.
  Task<StageAnswer> connect();
  Task<StageAnswer> helo();
  Task<StageAnswer> mail(const MilterMail& mail);
  Task<StageAnswer> recipient(const MilterRecipient& recipient);
  /// One that is refused already; the answer changes nothing.
  Task<StageAnswer> refused_recipient(const MilterRecipient& recipient);
  Task<StageAnswer> data();
  Task<StageAnswer> unknown(std::string_view line);
  /// The whole message of `size` octets. What it asks for is in `message` when the answer is to go on.
  Task<StageAnswer> content(MilterMessage& message, std::uint64_t size);
  /// The message in hand does not come.
  Task<void> abort();

  void add_wanted(WantedEvents& wanted) const;

 private:
  Task<StageAnswer> reach(MilterStage stage);
  Task<StageAnswer> hear(MilterStage stage, Task<milter::Response> saying);
  Task<StageAnswer> show(MilterMessage& message, Deadline deadline);
  Task<std::optional<StageAnswer>> show_header(const MilterMessage& message);
  Task<std::optional<StageAnswer>> show_body(const MilterMessage& message);
  StageAnswer interpret(const milter::Response& response);
  Result<StageAnswer> failed(const Error& error);
  Result<StageAnswer> give_up(const Error& error);
  StageAnswer without() const;
  void note(std::string_view answer, std::string text);
  void drop();
  bool silent() const { return over_ || message_done_; }

  const std::shared_ptr<MilterSeat> seat_;
  const DialogFacts& facts_;
  const Note note_;
  std::unique_ptr<milter::Client> client_;
  bool over_ = false;          ///< it has accepted the whole connection
  bool in_message_ = false;    ///< it knows of a transaction
  bool message_done_ = false;  ///< it wants no more of this message
  bool failed_ = false;        ///< it has failed in this transaction
  MilterStage stage_ = MilterStage::kConnect;
  SteadyTime begun_{};
};

}  // namespace merpati::filter
