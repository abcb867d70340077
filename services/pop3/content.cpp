#include "pop3/content.hpp"

#include <utility>

#include <fmt/format.h>

#include "merpati/mime/downgrade.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::pop3 {
namespace {

constexpr std::uint64_t kOneCall = 60 * 1024;    // replies carry 64 KiB at most
constexpr std::uint64_t kFirstPiece = 8 * 1024;  // TOP: most headers with a few lines

constexpr std::size_t kLongestHeader = 512 * 1024;  // a longer one goes as it is

/// A message's octets for a client that did not say UTF8: its header in US-ASCII (RFC 6856 2, RFC 6858).
class AsciiHeader {
 public:
  explicit AsciiHeader(bool utf8) : passing_(utf8) {}
  /// What can go out now.
  std::string pass(std::string piece) {
    if (passing_) return piece;
    held_ += piece;
    const auto size = held_.starts_with("\r\n") ? 2 : held_.find("\r\n\r\n");
    if (size == std::string::npos && held_.size() <= kLongestHeader) return {};
    return finish();
  }
  std::string finish() {
    passing_ = true;
    if (held_.size() > kLongestHeader) return std::exchange(held_, {});
    const auto size = mime::header_block_size(held_);
    const std::string_view block = std::string_view(held_).substr(0, size);
    std::string out = mime::downgrade_header(block);
    out.append(held_, size, std::string::npos);
    held_.clear();
    return out;
  }

 private:
  bool passing_;
  std::string held_;
};

}  // namespace

Content::Content(Session& session, const Maildrop::Message& message, Want want)
    : session_(session),
      message_(message),
      streaming_(want == Want::kWhole && message.size > kOneCall),
      piece_(want == Want::kBeginning ? kFirstPiece : 0) {}

Task<std::string> Content::next() {
  if (complete_) co_return std::string();
  if (streaming_) co_return co_await next_of_stream();
  co_return co_await next_by_call();
}

Task<std::string> Content::next_by_call() {
  store::v1::ReadContentRequest request;
  request.set_account_id(session_.maildrop().account());
  request.set_mailbox_id(session_.maildrop().mailbox());
  auto& range = *request.add_ranges();
  range.set_uid(message_.uid);
  range.set_offset(offset_);
  range.set_length(piece_);
  piece_ = 0;
  const auto options = session_.maildrop().call_options(session_.edge());
  MERPATI_CO_TRY(auto answer, co_await session_.edge().store.read_content(request, options));
  if (answer.contents_size() == 0) co_return Error(ErrorCode::kInternal, "no content in the answer");
  auto& content = *answer.mutable_contents(0);
  if (content.gone())
    co_return Error(ErrorCode::kNotFound, "message is gone").with_public("another session has removed this message");
  offset_ += content.octets().size();
  complete_ = offset_ >= content.message_size();
  if (content.octets().empty() && !complete_)
    co_return Error(ErrorCode::kDataLoss, "the message is shorter than its row says");
  co_return std::move(*content.mutable_octets());
}

Task<void> Content::open_stream() {
  store::v1::StreamContentRequest request;
  request.set_account_id(session_.maildrop().account());
  request.set_mailbox_id(session_.maildrop().mailbox());
  request.mutable_range()->set_uid(message_.uid);
  request.mutable_range()->set_offset(offset_);
  auto options = session_.maildrop().call_options(session_.edge());
  options.deadline = Deadline::never();  // as slow as the client; each write to it has its own deadline
  MERPATI_CO_TRY(stream_, co_await session_.edge().store.stream_content(request, options));
  stream_from_ = offset_;
  co_return Result<void>();
}

Task<std::string> Content::next_of_stream() {
  if (!stream_) MERPATI_CO_CHECK(co_await open_stream());
  auto response = co_await stream_->read();
  // The store that answered has gone: another one goes on where it ended.
  while (response.has_error() && response.error().code() == ErrorCode::kUnavailable && response.error().may_retry() &&
         offset_ > stream_from_) {
    MERPATI_CO_CHECK(co_await open_stream());
    response = co_await stream_->read();
  }
  if (response.has_error()) co_return std::move(response).error();
  if (!response->has_value()) {
    complete_ = true;
    if (offset_ < message_.size) co_return Error(ErrorCode::kDataLoss, "the stream ended early");
    co_return std::string();
  }
  offset_ += (*response)->chunk().size();
  co_return std::move(*(*response)->mutable_chunk());
}

Task<void> send_message(Session& session, const Maildrop::Message& message, std::optional<std::uint32_t> lines) {
  Content content(session, message, lines ? Content::Want::kBeginning : Content::Want::kWhole);
  auto piece = co_await content.next();
  if (piece.has_error()) {
    session.say_err(piece.error(), ErrorSite::kCommand);
    co_return Result<void>();
  }
  session.say_ok(lines ? std::string("top of message follows") : fmt::format("{} octets", message.size));
  auto& out = session.connection();
  DotWriter writer;
  TopLimiter limiter(lines.value_or(0));
  AsciiHeader header(session.utf8_);
  const auto write = [&](const std::string& shown) {
    const std::string_view octets = lines ? limiter.pass(shown) : std::string_view(shown);
    writer.write(octets, out.output());
    session.edge().probe.sent(octets.size());
  };
  while (!piece->empty()) {
    write(header.pass(*std::move(piece)));
    if (lines && limiter.done()) break;
    if (out.output_size() > net::Connection::kFlushAbove) {
      const auto deadline = Deadline::after(session.edge().settings.idle_timeout);
      MERPATI_CO_CHECK(co_await out.flush(deadline));
      MERPATI_CO_CHECK(co_await session.maildrop().keep(session.edge()));
    }
    piece = co_await content.next();
    if (piece.has_error()) {
      // Half of the message is out. Without the final dot the client cannot take it for a whole one.
      out.output().clear();
      session.connection().stream().abort();
      co_return std::move(piece).error();
    }
  }
  if (!limiter.done() || !lines) write(header.finish());
  writer.finish(out.output());
  co_return Result<void>();
}

}  // namespace merpati::pop3
