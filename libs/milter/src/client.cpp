#include "merpati/milter/client.hpp"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace merpati::milter {
namespace {

constexpr std::size_t kFlushAbove = 64 * 1024;  // octets of content that need no answer

const Response kNothing{.said = false};

Error failed(const char* what, const boost::system::error_code& error) {
  const bool cancelled = error == asio::error::operation_aborted;
  return Error(cancelled ? ErrorCode::kCancelled : ErrorCode::kUnavailable, what + (": " + error.message()));
}

Task<void> write_all(Client::Socket& socket, const std::string& octets) {
  auto [error, count] = co_await asio::async_write(socket, asio::buffer(octets), kAwait);
  static_cast<void>(count);
  if (error) co_return failed("write", error);
  co_return Result<void>();
}

Task<std::string_view> read_some(Client::Socket& socket, std::array<char, 8192>& into) {
  auto [error, count] = co_await socket.async_read_some(asio::buffer(into), kAwait);
  if (error) co_return failed("read", error);
  co_return std::string_view(into.data(), count);
}

bool ends_a_stage(Answer answer) {
  switch (answer) {
    case Answer::kAccept:
    case Answer::kContinue:
    case Answer::kDiscard:
    case Answer::kConnectionFailure:
    case Answer::kReject:
    case Answer::kReplyCode:
    case Answer::kShutdown:
    case Answer::kSkip:
    case Answer::kTempfail:
      return true;
    default:
      return false;
  }
}

std::uint32_t needed_for(Answer change) {
  switch (change) {
    case Answer::kAddHeader:
    case Answer::kInsertHeader:
      return action::kAddHeaders;
    case Answer::kChangeHeader:
      return action::kChangeHeaders;
    case Answer::kReplaceBody:
      return action::kChangeBody;
    case Answer::kAddRecipient:
      return action::kAddRecipients | action::kAddRecipientsWithParameters;
    case Answer::kAddRecipientWithParameters:
      return action::kAddRecipientsWithParameters;
    case Answer::kDeleteRecipient:
      return action::kDeleteRecipients;
    case Answer::kChangeSender:
      return action::kChangeSender;
    case Answer::kQuarantine:
      return action::kQuarantine;
    default:
      return 0;
  }
}

Error unexpected(Answer answer, const char* when) {
  return Error(ErrorCode::kFailedPrecondition, std::string(to_string(answer)) + " " + when);
}

}  // namespace

Client::~Client() {
  if (!usable_ || !socket_ || !socket_->is_open()) return;
  append_command(output_, Command::kQuit);
  boost::system::error_code ignored;
  socket_->non_blocking(true, ignored);
  if (!ignored) socket_->write_some(asio::buffer(output_), ignored);
}

Task<void> Client::flush(std::chrono::milliseconds timeout) {
  if (output_.empty()) co_return Result<void>();
  usable_ = false;  // until it is through: what is sent half cannot be carried on
  MERPATI_CO_CHECK(co_await with_deadline(write_all(*socket_, output_), Deadline::after(timeout)));
  output_.clear();
  usable_ = true;
  co_return Result<void>();
}

Task<Response> Client::hear(Deadline deadline) {
  usable_ = false;
  std::array<char, 8192> piece{};
  for (;;) {
    MERPATI_CO_TRY(auto packet, input_.next());
    if (packet) {
      MERPATI_CO_TRY(auto response, parse_response(*packet));
      usable_ = true;
      co_return response;
    }
    MERPATI_CO_TRY(const auto octets, co_await with_deadline(read_some(*socket_, piece), deadline));
    input_.feed(octets);
  }
}

Task<void> Client::negotiate() {
  const auto deadline = Deadline::after(timeouts_.connect);
  append_negotiate(output_);
  MERPATI_CO_CHECK(co_await flush(timeouts_.connect));
  MERPATI_CO_TRY(const auto response, co_await hear(deadline));
  usable_ = false;
  if (response.answer != Answer::kNegotiate) co_return unexpected(response.answer, "before the options");
  MERPATI_CO_TRY(options_, parse_options(response.text));
  usable_ = true;
  co_return Result<void>();
}

void Client::macros(Command next, MacroStage stage, const Macros& values) {
  append_macros(output_, next, macro_names(options_, stage), values);
}

Task<Response> Client::answer(std::uint32_t unanswered) {
  MERPATI_CO_CHECK(co_await flush(timeouts_.command));
  if (options_.has(unanswered)) co_return kNothing;
  MERPATI_CO_TRY(auto response, co_await hear(Deadline::after(timeouts_.command)));
  if (ends_a_stage(response.answer) && response.answer != Answer::kSkip) co_return response;
  usable_ = false;
  co_return unexpected(response.answer, "is no answer to a command");
}

Task<Response> Client::content_answer(std::uint32_t unanswered) {
  if (options_.has(unanswered)) {
    if (output_.size() > kFlushAbove) MERPATI_CO_CHECK(co_await flush(timeouts_.content));
    co_return kNothing;
  }
  MERPATI_CO_CHECK(co_await flush(timeouts_.content));
  MERPATI_CO_TRY(auto response, co_await hear(Deadline::after(timeouts_.content)));
  if (ends_a_stage(response.answer)) co_return response;
  usable_ = false;
  co_return unexpected(response.answer, "is no answer to content");
}

Task<Response> Client::connect(const ClientInfo& client, const Macros& values) {
  if (options_.has(step::kNoConnect)) co_return kNothing;
  macros(Command::kConnect, MacroStage::kConnect, values);
  append_connect(output_, client);
  co_return co_await answer(step::kNoReplyConnect);
}

Task<Response> Client::helo(std::string_view name, const Macros& values) {
  if (options_.has(step::kNoHelo)) co_return kNothing;
  macros(Command::kHelo, MacroStage::kHelo, values);
  append_helo(output_, name);
  co_return co_await answer(step::kNoReplyHelo);
}

Task<Response> Client::mail(std::string_view reverse_path, const std::vector<std::string>& parameters,
                            const Macros& values) {
  if (options_.has(step::kNoMail)) co_return kNothing;
  macros(Command::kMail, MacroStage::kMail, values);
  append_mail(output_, reverse_path, parameters);
  co_return co_await answer(step::kNoReplyMail);
}

Task<Response> Client::recipient(std::string_view address, const std::vector<std::string>& parameters,
                                 const Macros& values) {
  if (options_.has(step::kNoRecipient)) co_return kNothing;
  macros(Command::kRecipient, MacroStage::kRecipient, values);
  append_recipient(output_, address, parameters);
  co_return co_await answer(step::kNoReplyRecipient);
}

Task<Response> Client::data(const Macros& values) {
  if (options_.has(step::kNoData)) co_return kNothing;
  macros(Command::kData, MacroStage::kData, values);
  append_command(output_, Command::kData);
  co_return co_await answer(step::kNoReplyData);
}

Task<Response> Client::unknown(std::string_view line) {
  if (options_.has(step::kNoUnknown)) co_return kNothing;
  append_unknown(output_, line);
  co_return co_await answer(step::kNoReplyUnknown);
}

Task<Response> Client::header(std::string_view name, std::string_view value) {
  if (options_.has(step::kNoHeaders)) co_return kNothing;
  append_header(output_, name, value, options_.has(step::kHeaderLeadingSpace));
  co_return co_await content_answer(step::kNoReplyHeader);
}

Task<Response> Client::end_of_header(const Macros& values) {
  if (options_.has(step::kNoEndOfHeader)) co_return kNothing;
  macros(Command::kEndOfHeader, MacroStage::kEndOfHeader, values);
  append_command(output_, Command::kEndOfHeader);
  co_return co_await content_answer(step::kNoReplyEndOfHeader);
}

Task<Response> Client::body(std::string_view chunk) {
  if (options_.has(step::kNoBody)) co_return kNothing;
  append_body(output_, chunk);
  co_return co_await content_answer(step::kNoReplyBody);
}

Task<Response> Client::end_of_message(const Macros& values, const Change& change, Deadline deadline) {
  macros(Command::kEndOfMessage, MacroStage::kEndOfMessage, values);
  append_command(output_, Command::kEndOfMessage);
  MERPATI_CO_CHECK(co_await flush(timeouts_.content));
  for (;;) {
    MERPATI_CO_TRY(auto response, co_await hear(deadline.within(timeouts_.end_of_message)));
    if (response.answer == Answer::kProgress) continue;
    if (ends_a_stage(response.answer) && response.answer != Answer::kSkip) co_return response;
    usable_ = false;
    if (!response.changes()) co_return unexpected(response.answer, "at the end of a message");
    if (!options_.may(needed_for(response.answer))) co_return unexpected(response.answer, "was not announced");
    MERPATI_CO_CHECK(change(response));
    usable_ = true;
  }
}

Task<void> Client::abort() {
  append_command(output_, Command::kAbort);
  co_return co_await flush(timeouts_.command);
}

}  // namespace merpati::milter
