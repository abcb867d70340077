#include "filter/milter_session.hpp"

#include "filter/printable.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {

using milter::Answer;
using milter::Response;
namespace step = milter::step;
using Kind = StageAnswer::Kind;

bool of_connection(MilterStage stage) { return stage == MilterStage::kConnect || stage == MilterStage::kHelo; }

Refusal refusal(int code, std::string enhanced, std::string text) {
  return {"MILTER", code, std::move(enhanced), std::move(text)};
}

}  // namespace

std::string_view to_string(MilterStage stage) {
  constexpr std::string_view kNames[] = {"connect", "helo",   "mail",          "rcpt", "data",
                                         "unknown", "header", "end_of_header", "body", "end_of_message"};
  return kNames[static_cast<std::size_t>(stage)];
}

void MilterSession::drop() {
  if (!client_) return;
  client_.reset();
  seat_->closed();
}

void MilterSession::note(std::string_view answer, std::string text) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun_);
  note_({seat_->name(), std::string(to_string(stage_)), std::string(answer), std::move(text),
         std::chrono::system_clock::now(), took});
}

/// What happens at this stage without it.
StageAnswer MilterSession::without() const {
  const bool refuses = seat_->settings().when_unchecked == WhenUnchecked::kTemporary;
  // What has not begun is tried again when it does.
  if (!refuses || of_connection(stage_) || stage_ == MilterStage::kUnknown) return {};
  return {Kind::kTemporary, refusal(451, "4.7.1", "Service unavailable, try again later")};
}

/// Goes on without it, as its policy says.
Result<StageAnswer> MilterSession::give_up(const Error& error) {
  drop();
  in_message_ = false;
  if (error.code() == ErrorCode::kCancelled) return error;
  failed_ = true;
  if (seat_->settings().when_unchecked != WhenUnchecked::kSkip) note("unchecked", error.message());
  return without();
}

Result<StageAnswer> MilterSession::failed(const Error& error) {
  if (error.code() != ErrorCode::kCancelled) seat_->failed(error);
  return give_up(error);
}

StageAnswer MilterSession::interpret(const Response& response) {
  if (!response.said) return {};
  const bool goes_on = response.answer == Answer::kContinue || response.answer == Answer::kSkip;
  const bool end = stage_ == MilterStage::kEndOfMessage;
  seat_->said(response.answer, goes_on && !end ? MilterSeat::Final::kNo : MilterSeat::Final::kYes);
  StageAnswer answer;
  switch (response.answer) {
    case Answer::kAccept:
      (of_connection(stage_) ? over_ : message_done_) = true;
      break;
    case Answer::kReject:
      answer = {Kind::kRefuse, stage_ == MilterStage::kConnect ? refusal(554, "5.7.1", "Connection rejected")
                                                               : refusal(550, "5.7.1", "Command rejected")};
      break;
    case Answer::kTempfail:
    case Answer::kConnectionFailure:
      answer = {Kind::kTemporary, refusal(451, "4.7.1", "Please try again later")};
      break;
    case Answer::kShutdown:
      answer = {Kind::kTemporary, refusal(421, "4.7.1", "Closing the connection, try again later"), true};
      break;
    case Answer::kReplyCode:
      answer = {response.code < 500 ? Kind::kTemporary : Kind::kRefuse,
                refusal(response.code, response.enhanced, response.text), response.code == 421};
      break;
    case Answer::kDiscard:
      answer.kind = Kind::kDiscard;
      break;
    default:
      break;
  }
  if (stage_ != MilterStage::kEndOfMessage)
    note(milter::to_string(response.answer),
         response.code == 0 ? std::string() : response.enhanced + " " + response.text);
  if (answer.kind != Kind::kGoOn)
    log::info("filter_milter_answered", printable(answer.reply.text, 200),
              {{"milter", seat_->name()},
               {"stage", to_string(stage_)},
               {"answer", milter::to_string(response.answer)},
               {"code", answer.reply.code},
               {"client", facts_.client.address.to_string()},
               {"trace_id", facts_.trace_id}});
  return answer;
}

Task<StageAnswer> MilterSession::hear(MilterStage stage, Task<Response> saying) {
  stage_ = stage;
  begun_ = std::chrono::steady_clock::now();
  auto said = co_await std::move(saying);
  if (said.has_value() && said->answer == Answer::kDiscard && of_connection(stage))
    said = Error(ErrorCode::kFailedPrecondition, "discards a connection, which has no message");
  if (said.has_error()) co_return failed(said.error());
  co_return interpret(*said);
}

/// Connects, and tells it what has been said so far.
Task<StageAnswer> MilterSession::reach(MilterStage stage) {
  stage_ = stage;
  begun_ = std::chrono::steady_clock::now();
  auto opened = co_await seat_->open();
  if (opened.has_error()) co_return give_up(opened.error());
  client_ = *std::move(opened);
  failed_ = false;
  const bool late = stage != MilterStage::kConnect;
  MERPATI_CO_TRY(auto answer, co_await hear(MilterStage::kConnect, client_->connect(facts_.client, facts_.macros)));
  if (client_ && late && !over_ && answer.kind == Kind::kGoOn && facts_.helo) {
    MERPATI_CO_TRY(answer, co_await hear(MilterStage::kHelo, client_->helo(*facts_.helo, facts_.macros)));
  }
  stage_ = stage;
  if (failed_) co_return without();
  // It wants to hear no more of this connection; who is refused and stays is told to it anew.
  if (over_ || answer.kind != Kind::kGoOn) drop();
  co_return answer;
}

Task<StageAnswer> MilterSession::connect() { return reach(MilterStage::kConnect); }

Task<StageAnswer> MilterSession::helo() {
  if (over_ || !client_) co_return StageAnswer{};
  MERPATI_CO_TRY(auto answer, co_await hear(MilterStage::kHelo, client_->helo(*facts_.helo, facts_.macros)));
  if (over_) drop();
  co_return answer;
}

Task<StageAnswer> MilterSession::mail(const MilterMail& mail) {
  message_done_ = false;
  failed_ = false;
  if (over_) co_return StageAnswer{};
  if (!client_) {
    MERPATI_CO_TRY(auto answer, co_await reach(MilterStage::kMail));
    if (answer.kind != Kind::kGoOn || !client_) co_return answer;
  }
  in_message_ = true;
  co_return co_await hear(MilterStage::kMail, client_->mail(mail.reverse_path, mail.parameters, facts_.macros));
}

Task<StageAnswer> MilterSession::recipient(const MilterRecipient& recipient) {
  stage_ = MilterStage::kRecipient;
  if (silent()) co_return StageAnswer{};
  if (!client_) co_return without();
  co_return co_await hear(MilterStage::kRecipient,
                          client_->recipient(recipient.address, recipient.parameters, facts_.macros));
}

Task<StageAnswer> MilterSession::refused_recipient(const MilterRecipient& recipient) {
  if (silent() || !client_ || !client_->options().has(step::kRefusedRecipients)) co_return StageAnswer{};
  MERPATI_CO_CHECK(co_await hear(MilterStage::kRecipient,
                                 client_->recipient(recipient.address, recipient.parameters, facts_.macros)));
  co_return StageAnswer{};
}

Task<StageAnswer> MilterSession::data() {
  stage_ = MilterStage::kData;
  if (silent()) co_return StageAnswer{};
  if (!client_) co_return without();
  co_return co_await hear(MilterStage::kData, client_->data(facts_.macros));
}

Task<StageAnswer> MilterSession::unknown(std::string_view line) {
  if (silent() || !client_) co_return StageAnswer{};
  co_return co_await hear(MilterStage::kUnknown, client_->unknown(line));
}

Task<StageAnswer> MilterSession::content(MilterMessage& message, std::uint64_t size) {
  stage_ = MilterStage::kEndOfMessage;
  if (silent()) co_return StageAnswer{};
  if (!client_) co_return without();
  begun_ = std::chrono::steady_clock::now();
  if (size > seat_->settings().max_size) {
    note("unchecked", "the message is too large");
    message_done_ = true;
    MERPATI_CO_CHECK(co_await abort());
    co_return StageAnswer{};
  }
  const auto begun = begun_;
  const auto deadline = Deadline::after(seat_->settings().message);
  auto answer = co_await with_deadline(show(message, deadline), deadline);
  seat_->took(std::chrono::steady_clock::now() - begun);
  if (answer.has_error()) co_return failed(answer.error());
  // An answer before the end leaves the milter in the middle of a message.
  if (stage_ != MilterStage::kEndOfMessage) MERPATI_CO_CHECK(co_await abort());
  in_message_ = false;
  co_return answer;
}

/// Header, body, end. An error is the milter's.
Task<StageAnswer> MilterSession::show(MilterMessage& message, Deadline deadline) {
  MERPATI_CO_TRY(auto early, co_await show_header(message));
  if (!early) {
    MERPATI_CO_TRY(early, co_await show_body(message));
  }
  if (early) co_return *early;
  stage_ = MilterStage::kEndOfMessage;
  begun_ = std::chrono::steady_clock::now();
  const bool theirs = client_->options().has(step::kHeaderLeadingSpace);
  MilterChanges changes(message, theirs ? milter::EditedHeader::Space::kTheirs : milter::EditedHeader::Space::kOurs,
                        seat_->settings().max_size);
  const milter::Client::Change add = [&changes](const Response& change) { return changes.add(change); };
  MERPATI_CO_TRY(const auto response, co_await client_->end_of_message(facts_.macros, add, deadline));
  const StageAnswer answer = interpret(response);
  std::string words = changes.words();
  if (answer.kind == Kind::kGoOn)
    message = changes.take();
  else
    words = answer.reply.enhanced + " " + answer.reply.text;
  note(milter::to_string(response.answer), std::move(words));
  co_return answer;
}

/// The answer when it is the last one to this message.
Task<std::optional<StageAnswer>> MilterSession::show_header(const MilterMessage& message) {
  begun_ = std::chrono::steady_clock::now();
  for (const auto& field : message.header.fields()) {
    if (field.deleted || field.name.empty()) continue;
    stage_ = MilterStage::kHeader;
    MERPATI_CO_TRY(const auto said, co_await client_->header(field.name, field.value()));
    if (said.answer == Answer::kSkip) break;
    if (said.answer != Answer::kContinue) co_return interpret(said);
  }
  stage_ = MilterStage::kEndOfHeader;
  MERPATI_CO_TRY(const auto said, co_await client_->end_of_header(facts_.macros));
  if (said.answer != Answer::kContinue && said.answer != Answer::kSkip) co_return interpret(said);
  co_return std::optional<StageAnswer>();
}

Task<std::optional<StageAnswer>> MilterSession::show_body(const MilterMessage& message) {
  stage_ = MilterStage::kBody;
  begun_ = std::chrono::steady_clock::now();
  for (auto rest = message.body(); !rest.empty();) {
    const auto chunk = rest.substr(0, milter::kBodyChunk);
    rest.remove_prefix(chunk.size());
    MERPATI_CO_TRY(const auto said, co_await client_->body(chunk));
    if (said.answer == Answer::kSkip) break;
    if (said.answer != Answer::kContinue) co_return interpret(said);
  }
  co_return std::optional<StageAnswer>();
}

Task<void> MilterSession::abort() {
  if (client_ && in_message_) {
    const auto told = co_await client_->abort();
    if (told.has_error()) {
      drop();
      if (told.error().code() == ErrorCode::kCancelled) co_return told.error();
    }
  }
  in_message_ = false;
  co_return Result<void>();
}

void MilterSession::add_wanted(WantedEvents& wanted) const {
  if (over_) return;
  if (!client_) {
    // It is told all when it is reached at last, and what it wants is not known before.
    wanted = {true, true, true, wanted.refused_recipient, true, true, true, wanted.unknown};
    return;
  }
  const auto& options = client_->options();
  wanted.hello = true;  // a milter that is lost, and reached again, is told it
  wanted.mail = wanted.content = true;
  wanted.recipient = wanted.recipient || !options.has(step::kNoRecipient);
  wanted.refused_recipient = wanted.refused_recipient || options.has(step::kRefusedRecipients);
  wanted.data = wanted.data || !options.has(step::kNoData);
  wanted.body = wanted.body || !options.has(step::kNoBody);
  wanted.unknown = wanted.unknown || !options.has(step::kNoUnknown);
}

}  // namespace merpati::filter
