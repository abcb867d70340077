#include "queue/remote_session.hpp"

#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/net/connect.hpp"
#include "merpati/smtp/command.hpp"
#include "merpati/smtp/data.hpp"

namespace merpati::queue {
namespace {
using std::chrono::minutes;
using std::chrono::seconds;

// RFC 5321 4.5.3.2
constexpr auto kConnectTimeout = seconds(30);
constexpr auto kGreetingTimeout = minutes(5);
constexpr auto kCommandTimeout = minutes(5);
constexpr auto kDataTimeout = minutes(2);
constexpr auto kBlockTimeout = minutes(3);
constexpr auto kFinalTimeout = minutes(10);
constexpr std::size_t kMaxLine = 4096;
constexpr int kServiceClosing = 421;

Error refused(const smtp::ServerReply& reply, std::string_view after) {
  return Error(ErrorCode::kUnavailable, std::string(after) + ": " + reply.str()).with_public(reply.str());
}

Outcome outcome_of(const smtp::ServerReply& reply, const std::string& host) {
  if (reply.positive()) return Outcome::delivered(reply.str(), host);
  std::string status = reply.enhanced;
  // An enhanced status counts only when it agrees with the code (RFC 2034 4).
  const char kind = reply.temporary() ? '4' : '5';
  if (status.empty() || status[0] != kind) status = std::string(1, kind) + ".0.0";
  return reply.temporary() ? Outcome::temporary(status, reply.str(), host) : Outcome::failed(status, reply.str(), host);
}

std::string mail_command(const Transaction& t, const smtp::ServerExtensions& e) {
  std::string line = "MAIL FROM:<" + t.reverse_path + ">";
  if (e.size) line += " SIZE=" + std::to_string(t.size);
  if (t.body_type == BodyType::kBinaryMime)
    line += " BODY=BINARYMIME";
  else if (t.eight_bit)
    line += " BODY=8BITMIME";
  if (t.smtputf8) line += " SMTPUTF8";
  return line;
}

// What this host cannot take, whoever the recipient is. What can be converted was so before (conversion.hpp).
std::optional<Outcome> unfit(const Transaction& t, const smtp::ServerExtensions& e, const std::string& host) {
  if (t.smtputf8 && !e.smtputf8) {
    return Outcome::failed("5.6.7", "The remote host does not take internationalized mail (SMTPUTF8)", host);
  }
  if (t.body_type == BodyType::kBinaryMime && !(e.binarymime && e.chunking)) {
    return Outcome::failed("5.6.1", "The remote host does not take binary mail (BINARYMIME)", host);
  }
  if (t.eight_bit && t.body_type != BodyType::kBinaryMime && !e.eightbitmime) {
    return Outcome::failed("5.6.3", "The remote host does not take 8-bit mail (8BITMIME)", host);
  }
  if (e.max_size != 0 && t.size > e.max_size) {
    return Outcome::failed("5.3.4", "The message is larger than the remote host takes", host);
  }
  return std::nullopt;
}

void set_all(TransactionResult& result, const Outcome& outcome) {
  for (Outcome& o : result.outcomes) o = outcome;
}
}  // namespace

Task<smtp::ServerReply> RemoteSession::read_reply(Deadline deadline) {
  smtp::ReplyParser parser;
  for (;;) {
    MERPATI_CO_TRY(const net::Line line, co_await connection_.read_line(kMaxLine, deadline));
    switch (parser.feed(line.text)) {
      case smtp::ReplyParser::State::kMore:
        break;
      case smtp::ReplyParser::State::kDone:
        co_return parser.take();
      case smtp::ReplyParser::State::kMalformed:
        co_return Error(ErrorCode::kUnavailable, "malformed reply").with_public("The remote host does not speak SMTP");
    }
  }
}

Task<smtp::ServerReply> RemoteSession::command(std::string line, Deadline deadline) {
  connection_.write(line);
  connection_.write("\r\n");
  co_return co_await read_reply(deadline);
}

Task<void> RemoteSession::hello(const RemoteOptions& options) {
  MERPATI_CO_TRY(const smtp::ServerReply ehlo,
                 co_await command("EHLO " + options.hostname, Deadline::after(kCommandTimeout)));
  if (ehlo.positive()) {
    extensions_ = smtp::parse_extensions(ehlo);
    co_return Result<void>();
  }
  if (ehlo.temporary()) co_return refused(ehlo, "EHLO");
  // RFC 5321 3.2: old servers know HELO only.
  extensions_ = {};
  MERPATI_CO_TRY(const smtp::ServerReply helo,
                 co_await command("HELO " + options.hostname, Deadline::after(kCommandTimeout)));
  if (!helo.positive()) co_return refused(helo, "HELO");
  co_return Result<void>();
}

Task<void> RemoteSession::start_tls(const RemoteOptions& options) {
  MERPATI_CO_TRY(const smtp::ServerReply reply, co_await command("STARTTLS", Deadline::after(kCommandTimeout)));
  if (!reply.positive()) {
    if (options.require_tls) co_return refused(reply, "STARTTLS");
    co_return Result<void>();
  }
  // What came after the go-ahead in plain text was not protected (CVE-2011-0411, the client's side of it).
  if (connection_.discard_input() > 0) {
    co_return Error(ErrorCode::kUnavailable, "octets after the go-ahead for TLS").with_public("TLS negotiation failed");
  }
  const Result<void> shaken =
      co_await connection_.stream().start_tls(*options.tls, host_, Deadline::after(kCommandTimeout));
  if (shaken.has_error()) {
    if (shaken.error().code() == ErrorCode::kCancelled) co_return shaken.error();
    co_return Error(ErrorCode::kAborted, "TLS: " + shaken.error().message()).with_public("TLS negotiation failed");
  }
  co_return co_await hello(options);
}

Task<void> RemoteSession::authenticate(const RemoteOptions& options) {
  const auto& offered = extensions_.auth;
  if (std::find(offered.begin(), offered.end(), "PLAIN") == offered.end()) {
    co_return Error(ErrorCode::kFailedPrecondition, "AUTH PLAIN is not offered")
        .with_public("Cannot log in to the smart host");
  }
  const std::string secret = std::string(1, '\0') + options.username + std::string(1, '\0') + options.password;
  MERPATI_CO_TRY(const smtp::ServerReply reply,
                 co_await command("AUTH PLAIN " + to_base64(secret), Deadline::after(kCommandTimeout)));
  if (!reply.positive()) {
    co_return Error(ErrorCode::kFailedPrecondition, "AUTH: " + reply.str())
        .with_public("Cannot log in to the smart host");
  }
  co_return Result<void>();
}

Task<std::unique_ptr<RemoteSession>> RemoteSession::open(net::Endpoint to, std::string host,
                                                         const RemoteOptions& options) {
  const RemoteOptions wanted = options;
  bool use_tls = wanted.tls != nullptr;
  for (;;) {
    auto stream = co_await net::connect(to, Deadline::after(kConnectTimeout));
    if (stream.has_error()) {
      co_return std::move(stream).error();
    }
    std::unique_ptr<RemoteSession> session(new RemoteSession(*std::move(stream), host));
    MERPATI_CO_TRY(const smtp::ServerReply greeting, co_await session->read_reply(Deadline::after(kGreetingTimeout)));
    if (!greeting.positive()) co_return refused(greeting, "greeting");
    MERPATI_CO_CHECK(co_await session->hello(wanted));
    if (use_tls && session->extensions_.starttls) {
      const Result<void> started = co_await session->start_tls(wanted);
      if (started.has_error()) {
        if (started.error().code() != ErrorCode::kAborted || wanted.require_tls) co_return started.error();
        // Opportunistic (RFC 7435): once more, without.
        use_tls = false;
        continue;
      }
    }
    if (wanted.require_tls && !session->is_tls()) {
      co_return Error(ErrorCode::kFailedPrecondition, "STARTTLS is not offered").with_public("The host offers no TLS");
    }
    if (!wanted.username.empty()) MERPATI_CO_CHECK(co_await session->authenticate(wanted));
    co_return session;
  }
}

Task<smtp::ServerReply> RemoteSession::send_data(ContentSource content) {
  smtp::DotEncoder encoder;
  for (;;) {
    MERPATI_CO_TRY(const std::string_view piece, co_await content());
    if (piece.empty()) break;
    encoder.feed(piece, connection_.output());
    if (connection_.output_size() > net::Connection::kFlushAbove) {
      MERPATI_CO_CHECK(co_await connection_.flush(Deadline::after(kBlockTimeout)));
    }
  }
  encoder.finish(connection_.output());
  co_return co_await read_reply(Deadline::after(kFinalTimeout));
}

// RFC 3030: one chunk, the message as it is.
Task<smtp::ServerReply> RemoteSession::send_chunks(ContentSource content, std::uint64_t size) {
  connection_.write("BDAT " + std::to_string(size) + " LAST\r\n");
  for (;;) {
    MERPATI_CO_TRY(const std::string_view piece, co_await content());
    if (piece.empty()) break;
    connection_.write(piece);
    if (connection_.output_size() > net::Connection::kFlushAbove) {
      MERPATI_CO_CHECK(co_await connection_.flush(Deadline::after(kBlockTimeout)));
    }
  }
  co_return co_await read_reply(Deadline::after(kFinalTimeout));
}

Task<TransactionResult> RemoteSession::send(Transaction t, ContentSource content) {
  TransactionResult result;
  result.outcomes.assign(t.recipients.size(), Outcome::temporary("4.4.2", "The connection was lost", host_));
  if (const auto reason = unfit(t, extensions_, host_)) {
    set_all(result, *reason);
    co_return result;
  }
  const auto lost = [&](const Error& error) {
    result.broken = true;
    const std::string& text =
        error.public_text().empty() ? "The connection was lost: " + error.message() : error.public_text();
    for (Outcome& o : result.outcomes) {
      if (o.kind == Outcome::Kind::kTemporary || o.kind == Outcome::Kind::kDelivered)
        o = Outcome::temporary("4.4.2", text, host_);
    }
  };
  const bool pipelining = extensions_.pipelining;
  const bool chunking = t.body_type == BodyType::kBinaryMime;
  const Deadline deadline = Deadline::after(kCommandTimeout);

  connection_.write(mail_command(t, extensions_) + "\r\n");
  if (pipelining) {
    for (const std::string& r : t.recipients) connection_.write("RCPT TO:<" + r + ">\r\n");
    if (!chunking) connection_.write("DATA\r\n");
  }
  auto mail = co_await read_reply(deadline);
  if (mail.has_error()) {
    if (mail.error().code() == ErrorCode::kCancelled) co_return mail.error();
    lost(mail.error());
    co_return result;
  }
  bool closing = mail->code == kServiceClosing;
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < t.recipients.size(); ++i) {
    if (!pipelining) {
      if (!mail->positive() || closing) break;
      connection_.write("RCPT TO:<" + t.recipients[i] + ">\r\n");
    }
    if (closing) break;
    auto reply = co_await read_reply(deadline);
    if (reply.has_error()) {
      if (reply.error().code() == ErrorCode::kCancelled) co_return reply.error();
      lost(reply.error());
      co_return result;
    }
    closing |= reply->code == kServiceClosing;
    result.outcomes[i] = outcome_of(*reply, host_);
    accepted += reply->positive();
  }
  if (!mail->positive()) set_all(result, outcome_of(*mail, host_));
  if (closing) {
    lost(Error(ErrorCode::kUnavailable, "421").with_public("The remote host closed the connection (421)"));
    co_return result;
  }
  const bool any = mail->positive() && accepted > 0;
  if (chunking) {
    if (!any) co_return result;
  } else {
    if (!pipelining) {
      if (!any) {
        auto reset = co_await command("RSET", deadline);
        result.broken = reset.has_error();
        co_return result;
      }
      connection_.write("DATA\r\n");
    }
    auto data = co_await read_reply(Deadline::after(kDataTimeout));
    if (data.has_error()) {
      if (data.error().code() == ErrorCode::kCancelled) co_return data.error();
      lost(data.error());
      co_return result;
    }
    if (!any) {
      // RFC 2920 3.1: a server may say 354 although it took no recipient; an empty message ends that.
      if (data->code == 354) {
        auto end = co_await command(".", Deadline::after(kFinalTimeout));
        result.broken = end.has_error();
      }
      co_return result;
    }
    if (data->code != 354) {
      for (Outcome& o : result.outcomes) {
        if (o.kind == Outcome::Kind::kDelivered) o = outcome_of(*data, host_);
      }
      result.broken = data->code == kServiceClosing || data->positive();
      co_return result;
    }
  }
  Result<smtp::ServerReply> final_reply = Error();
  if (chunking)
    final_reply = co_await send_chunks(content, t.size);
  else
    final_reply = co_await send_data(content);
  if (final_reply.has_error()) {
    if (final_reply.error().code() == ErrorCode::kCancelled) co_return final_reply.error();
    lost(final_reply.error());
    co_return result;
  }
  for (Outcome& o : result.outcomes) {
    if (o.kind == Outcome::Kind::kDelivered) o = outcome_of(*final_reply, host_);
  }
  result.broken = final_reply->code == kServiceClosing;
  co_return result;
}

Task<void> RemoteSession::quit() {
  static_cast<void>(co_await command("QUIT", Deadline::after(seconds(5))));
  connection_.stream().close();
  co_return Result<void>();
}

}  // namespace merpati::queue
