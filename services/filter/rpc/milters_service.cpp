#include "filter/rpc/milters_service.hpp"

#include <algorithm>

#include "filter/printable.hpp"
#include "filter/rpc/verdict_answer.hpp"
#include "merpati/base/spool.hpp"
#include "merpati/mailauth/authentication_results.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/message_id.hpp"

namespace merpati::filter {
namespace {

using namespace std::chrono_literals;
using Kind = StageAnswer::Kind;

constexpr std::size_t kInMemory = 64 * 1024;     // octets of a body; larger ones go to a file
constexpr std::size_t kPart = 256 * 1024;        // octets of a body in one response
constexpr std::size_t kMostContent = 1UL << 30;  // octets
constexpr std::size_t kMostHeader = 256 * 1024;

milter::ClientInfo client_from(const v1::DialogConnect& connect) {
  milter::ClientInfo client;
  boost::system::error_code no_address;
  client.address = boost::asio::ip::make_address(connect.client_address(), no_address);
  client.name = "[" + connect.client_address() + "]";
  client.port = static_cast<std::uint16_t>(connect.client_port());
  return client;
}

DialogFacts facts_from(const v1::DialogConnect& connect) {
  DialogFacts facts;
  facts.client = client_from(connect);
  facts.macros = {
      {"j", connect.receiving_host()},
      {"v", "Merpati"},
      {"_", facts.client.name + " [" + connect.client_address() + "]"},
      {"{daemon_name}", connect.daemon_name()},
      {"{daemon_addr}", connect.server_address()},
      {"{daemon_port}", std::to_string(connect.server_port())},
      {"{if_name}", connect.receiving_host()},
      {"{if_addr}", connect.server_address()},
      {"{client_name}", facts.client.name},
      {"{client_ptr}", "unknown"},
      {"{client_addr}", connect.client_address()},
      {"{client_port}", std::to_string(connect.client_port())},
  };
  return facts;
}

/// What stands behind the "@".
std::string host_of(const std::string& address) {
  const auto at = address.rfind('@');
  return at == std::string::npos ? std::string() : address.substr(at + 1);
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (int line = 0; line < 32 && (line == 0 || !text.empty()); ++line) {
    const auto end = std::min(text.find('\n'), text.size());
    if (line > 0) out.push_back('\n');
    out.append(printable(text.substr(0, end), 450));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return out;
}

v1::Decision decision_of(Kind kind) {
  switch (kind) {
    case Kind::kTemporary:
      return v1::DECISION_TEMPORARY;
    case Kind::kRefuse:
      return v1::DECISION_REFUSE;
    case Kind::kDiscard:
      return v1::DECISION_DISCARD;
    case Kind::kGoOn:
      break;
  }
  return v1::DECISION_ACCEPT;
}

v1::DialogResponse to_proto(const MilterDialog::Answer& answer) {
  v1::DialogResponse out;
  out.set_decision(decision_of(answer.stage.kind));
  out.set_milter(answer.milter);
  out.set_close(answer.stage.close);
  if (answer.stage.reply.text.empty() && answer.stage.kind == Kind::kGoOn) return out;
  Refusal reply = answer.stage.reply;
  reply.text = printable_lines(reply.text);
  if (answer.stage.kind == Kind::kTemporary || answer.stage.kind == Kind::kRefuse)
    set_reply(reply, *out.mutable_reply());
  return out;
}

void add_wanted(const MilterDialog& dialog, v1::DialogResponse& out) {
  const WantedEvents wanted = dialog.wanted();
  const auto add = [&out](bool wants, v1::DialogEvent event) {
    if (wants) out.add_wanted(event);
  };
  add(wanted.hello, v1::DIALOG_EVENT_HELLO);
  add(wanted.mail, v1::DIALOG_EVENT_MAIL);
  add(wanted.recipient, v1::DIALOG_EVENT_RECIPIENT);
  add(wanted.refused_recipient, v1::DIALOG_EVENT_REFUSED_RECIPIENT);
  add(wanted.data, v1::DIALOG_EVENT_DATA);
  add(wanted.content, v1::DIALOG_EVENT_CONTENT);
  add(wanted.body, v1::DIALOG_EVENT_BODY);
  add(wanted.unknown, v1::DIALOG_EVENT_UNKNOWN);
  out.set_accept_when_lost(dialog.accept_without());
}

void add_notes(const MilterDialog& dialog, v1::DialogResponse& out) {
  for (const MilterNote& note : dialog.notes()) {
    v1::MilterAnswer& answer = *out.add_answers();
    answer.set_milter(note.milter);
    answer.set_stage(note.stage);
    answer.set_answer(note.answer);
    answer.set_text(printable(note.text, 500));
    answer.set_at_us(std::chrono::duration_cast<std::chrono::microseconds>(note.at.time_since_epoch()).count());
    answer.set_duration_us(note.took.count());
  }
}

void add_changes(const MilterMessage& message, v1::MessageChanges& out) {
  if (message.header.changed()) out.set_header(message.header.str());
  out.set_new_body(message.new_body.has_value());
  if (message.reverse_path) out.set_reverse_path(*message.reverse_path);
  for (const auto& address : message.added_recipients) out.add_added_recipients(address);
  for (const auto& address : message.deleted_recipients) out.add_deleted_recipients(address);
  if (message.quarantine) out.set_quarantine(*message.quarantine);
}

/// A message as it comes in parts.
class IncomingContent {
 public:
  Result<void> add(const v1::DialogContent& part) {
    if (header_.empty()) {
      header_ = part.header();
      size_ = part.size();
    }
    taken_ += part.body().size();
    if (header_.size() > kMostHeader || taken_ > kMostContent)
      return Error(ErrorCode::kInvalidArgument, "content that is too large");
    if (!spooled_ && body_.size() + part.body().size() > kInMemory) {
      MERPATI_CHECK(spool_.open());
      MERPATI_CHECK(spool_.add(body_));
      body_.clear();
      spooled_ = true;
    }
    if (spooled_) return spool_.add(part.body());
    body_.append(part.body());
    return {};
  }
  const std::string& header() const { return header_; }
  std::uint64_t size() const { return size_; }
  /// Lives as long as this.
  Result<std::string_view> body() {
    if (spooled_) return spool_.view();
    return std::string_view(body_);
  }

 private:
  std::string header_, body_;
  Spool spool_;
  bool spooled_ = false;
  std::size_t taken_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace

/// One call of Dialog.
class MiltersService::Conversation {
 public:
  Conversation(const MilterSeats& seats, const v1::DialogConnect& connect, std::string authserv_id,
               rpc::Writer<v1::DialogResponse>& out)
      : dialog_(seats, facts_from(connect)), own_{std::move(authserv_id), connect.receiving_host()}, out_(out) {
    if (own_[0].empty()) own_[0] = connect.receiving_host();
  }

  Task<void> connect() {
    MERPATI_CO_TRY(const auto answer, co_await dialog_.connect());
    auto response = to_proto(answer);
    add_wanted(dialog_, response);
    co_return co_await out_.write(std::move(response));
  }

  Task<void> hear(const v1::DialogRequest& request) {
    switch (request.event_case()) {
      case v1::DialogRequest::kHello:
        co_return co_await hello(request.hello());
      case v1::DialogRequest::kMail:
        co_return co_await mail(request.mail());
      case v1::DialogRequest::kRecipient:
        co_return co_await recipient(request.recipient());
      case v1::DialogRequest::kContent:
        co_return co_await content(request.content());
      case v1::DialogRequest::kAbort:
        content_.reset();
        co_return co_await dialog_.abort();
      case v1::DialogRequest::kData: {
        MERPATI_CO_TRY(const auto answer, co_await dialog_.data());
        co_return co_await out_.write(to_proto(answer));
      }
      case v1::DialogRequest::kUnknown: {
        MERPATI_CO_TRY(const auto answer, co_await dialog_.unknown(request.unknown().line()));
        co_return co_await out_.write(to_proto(answer));
      }
      default:
        co_return Error(ErrorCode::kInvalidArgument, "an event that has no place here");
    }
  }

 private:
  Task<void> hello(const v1::DialogHello& hello) {
    auto& macros = dialog_.facts().macros;
    macros["{tls_version}"] = hello.tls_version();
    macros["{cipher}"] = hello.cipher();
    macros["{cipher_bits}"] = hello.tls_version().empty() ? std::string() : std::to_string(hello.cipher_bits());
    MERPATI_CO_TRY(const auto answer, co_await dialog_.helo(hello.name()));
    auto response = to_proto(answer);
    add_wanted(dialog_, response);
    co_return co_await out_.write(std::move(response));
  }

  Task<void> mail(const v1::DialogMail& mail) {
    auto& macros = dialog_.facts().macros;
    dialog_.facts().trace_id = mail.trace_id();
    macros["i"] = mail.delivery_id();
    macros["{auth_type}"] = mail.mechanism();
    macros["{auth_authen}"] = mail.authenticated_address();
    macros["{mail_mailer}"] = "esmtp";
    macros["{mail_addr}"] = mail.reverse_path();
    macros["{mail_host}"] = host_of(mail.reverse_path());
    macros["{msg_id}"].clear();
    MilterMail said{mail.reverse_path(), {mail.parameters().begin(), mail.parameters().end()}};
    MERPATI_CO_TRY(const auto answer, co_await dialog_.mail(std::move(said)));
    auto response = to_proto(answer);
    add_wanted(dialog_, response);
    co_return co_await out_.write(std::move(response));
  }

  Task<void> recipient(const v1::DialogRecipient& recipient) {
    auto& macros = dialog_.facts().macros;
    const bool refused = recipient.has_refused();
    MilterRecipient said{recipient.recipient(), {recipient.parameters().begin(), recipient.parameters().end()}};
    // As Sendmail tells of refused ones: the mailer "error", its "host" the status and its "address" the text.
    macros["{rcpt_mailer}"] = refused ? "error" : recipient.local() ? "local" : "esmtp";
    macros["{rcpt_host}"] = refused ? recipient.refused().enhanced() : host_of(recipient.recipient());
    macros["{rcpt_addr}"] = refused ? recipient.refused().text() : recipient.recipient();
    MilterDialog::Answer answer;
    if (refused) {
      MERPATI_CO_TRY(answer, co_await dialog_.refused_recipient(std::move(said)));
    } else {
      MERPATI_CO_TRY(answer, co_await dialog_.recipient(std::move(said)));
    }
    co_return co_await out_.write(to_proto(answer));
  }

  Task<void> content(const v1::DialogContent& part) {
    if (!content_) content_ = std::make_unique<IncomingContent>();
    MERPATI_CO_CHECK(content_->add(part));
    if (!part.last()) co_return Result<void>();
    const auto content = std::move(content_);
    MERPATI_CO_TRY(const auto body, content->body());
    MilterMessage message{.header = milter::EditedHeader(content->header()), .received_body = body};
    // Whoever reads results of ours may believe them: what only looks like it goes before milters add theirs.
    message.header.drop("Authentication-Results", mailauth::forged_results(content->header(), own_));
    if (const auto id = mime::find_field(content->header(), "Message-ID"))
      dialog_.facts().macros["{msg_id}"] = mime::unfold(id->value);
    MERPATI_CO_TRY(const auto answer, co_await dialog_.content(message, content->size()));
    auto response = to_proto(answer);
    add_wanted(dialog_, response);
    add_notes(dialog_, response);
    if (answer.stage.kind != Kind::kGoOn) co_return co_await out_.write(std::move(response));
    add_changes(message, *response.mutable_changes());
    std::string_view rest = message.new_body ? std::string_view(*message.new_body) : std::string_view();
    for (;;) {
      response.set_body(std::string(rest.substr(0, kPart)));
      rest.remove_prefix(response.body().size());
      response.set_more(!rest.empty());
      const bool more = response.more();
      MERPATI_CO_CHECK(co_await out_.write(std::move(response)));
      if (!more) co_return Result<void>();
      response = {};
    }
  }

  MilterDialog dialog_;
  std::array<std::string, 2> own_;
  rpc::Writer<v1::DialogResponse>& out_;
  std::unique_ptr<IncomingContent> content_;
};

MilterSeats MiltersService::seats_for(std::string_view listener) const {
  MilterSeats out;
  for (const auto& seat : seats_)
    if (seat->settings().sees(listener)) out.push_back(seat);
  return out;
}

Task<void> MiltersService::follow_milters(rpc::Context&, const v1::FollowMiltersRequest&,
                                          rpc::Writer<v1::FollowMiltersResponse>& out) {
  v1::FollowMiltersResponse response;
  for (const char* listener : {"mx", "submission"})
    if (!seats_for(listener).empty()) response.add_listeners(listener);
  MERPATI_CO_CHECK(co_await out.write(std::move(response)));
  for (;;) MERPATI_CO_CHECK(co_await sleep_for(24h));
}

Task<void> MiltersService::dialog(rpc::Context&, rpc::Reader<v1::DialogRequest>& in,
                                  rpc::Writer<v1::DialogResponse>& out) {
  MERPATI_CO_TRY(const auto first, co_await in.read());
  if (!first) co_return Result<void>();
  if (!first->has_connect()) co_return Error(ErrorCode::kInvalidArgument, "a dialog begins with a connection");
  const auto seats = seats_for(first->connect().listener());
  Conversation conversation(seats, first->connect(), authserv_id_, out);
  MERPATI_CO_CHECK(co_await conversation.connect());
  for (;;) {
    MERPATI_CO_TRY(const auto request, co_await in.read());
    if (!request) co_return Result<void>();
    MERPATI_CO_CHECK(co_await conversation.hear(*request));
  }
}

bool needs_milters(const MilterSeats& seats, std::string_view listener) {
  return std::ranges::any_of(seats, [listener](const auto& seat) {
    return seat->settings().sees(listener) && seat->settings().when_unchecked == WhenUnchecked::kTemporary;
  });
}

}  // namespace merpati::filter
