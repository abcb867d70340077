// APPEND (RFC 9051 6.3.12): the message streams from the socket; small ones go with the call, large ones are uploaded
// first.
#include "imap/announce.hpp"
#include "imap/command_reader.hpp"
#include "imap/convert.hpp"
#include "imap/pending_reply.hpp"
#include "imap/session.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/imap/error_response.hpp"
#include "merpati/runtime/span.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

constexpr std::size_t kInline = 64 * 1024;
constexpr std::size_t kChunk = 128 * 1024;
constexpr auto kSlowWriter = std::chrono::minutes(2);

using Upload = rpc::ClientWriter<pb::PutBlobRequest, pb::PutBlobResponse>;

// Bare LF becomes CRLF: mail is kept in the form in which it travels. Over chunk borders.
class LineEnds {
 public:
  explicit LineEnds(bool verbatim) : verbatim_(verbatim) {}
  void append(std::string& out, std::string_view chunk) {
    if (verbatim_) {
      out += chunk;
      return;
    }
    for (std::size_t at = 0; at < chunk.size();) {
      const auto end = chunk.find('\n', at);
      if (end == std::string_view::npos) {
        out += chunk.substr(at);
        break;
      }
      out += chunk.substr(at, end - at);
      const bool bare = end > 0 ? chunk[end - 1] != '\r' : !after_cr_;
      out += bare ? "\r\n" : "\n";
      at = end + 1;
    }
    if (!chunk.empty()) after_cr_ = chunk.back() == '\r';
  }

 private:
  bool verbatim_;
  bool after_cr_ = false;
};

class PendingAppend final : public PendingReply {
 public:
  PendingAppend(StartedCall<pb::AppendResponse> call, std::string name, std::string written,
                edge::InFlight::Place place)
      : call_(std::move(call)), name_(std::move(name)), written_(std::move(written)), place_(std::move(place)) {}

  Task<Reply> finish(Session& session) override {
    auto response = co_await call_.wait();
    if (response.has_error()) {
      name_.clear();
      // RFC 9051 6.3.12: the client may create it and try again.
      if (response.error().code() == ErrorCode::kNotFound) co_return no("TRYCREATE", "There is no such mailbox");
      co_return std::move(response).error();
    }
    announce_canonical_name(session, {}, name_, written_);
    Ranges uids;
    for (const auto uid : response->uids()) push_back(uids, uid);
    session.loop().junk_teacher->moved({session.call_options(), 0, response->mailbox_id(), std::move(uids)});
    auto& events = *session.loop().events;
    MERPATI_CO_TRY(const bool wanted, co_await events.wanted(filter::v1::EVENT_CAUSE_APPEND, name_));
    if (wanted) {
      MailboxEvent event{session.call_options(), filter::v1::EVENT_CAUSE_APPEND, response->mailbox_id(), name_, {}, {}};
      for (const auto uid : response->uids()) event.messages.emplace_back().set_uid(uid);
      co_await events.happened(std::move(event));
    }
    std::string code = "APPENDUID ";
    append_number(code, response->uid_validity());
    code += ' ';
    append_number(code, response->uids().empty() ? 0 : response->uids(0));
    co_return ok(std::move(code));
  }
  const std::string& grown_mailbox() const override { return name_; }

 private:
  StartedCall<pb::AppendResponse> call_;
  std::string name_;
  std::string written_;  // as the client has it
  edge::InFlight::Place place_;
};

// What of a message is in memory at once: an inline one, or the chunks that gather and go.
std::uint64_t held_octets(std::uint64_t size) { return std::min<std::uint64_t>(size, kInline + kChunk); }

// What went wrong on the way, while the client's octets still have to be read.
struct Received {
  pb::Body body;
  std::optional<Error> failure;
};

Task<std::unique_ptr<Upload>> open_upload(Session& session) {
  auto options = session.call_options();
  options.deadline = Deadline::after(std::chrono::hours(1));  // the client's speed sets the pace
  co_return co_await session.store().put_blob(options);
}

Task<void> send_chunk(Session& session, Upload& upload, std::string& gathered) {
  pb::PutBlobRequest request;
  request.set_account_id(session.account());
  request.set_chunk(std::move(gathered));
  gathered.clear();
  co_return co_await upload.write(std::move(request));
}

// An error is the connection's; what the store refuses is in Received::failure.
Task<Received> receive(Session& session, const AppendArguments& arguments) {
  Received received;
  LineEnds line_ends(arguments.binary);
  std::string gathered;
  std::unique_ptr<Upload> upload;
  for (std::uint64_t left = arguments.size; left > 0;) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left, kInline));
    MERPATI_CO_TRY(auto chunk, co_await session.connection().read_chunk(most, Deadline::after(kSlowWriter)));
    left -= chunk.size();
    if (received.failure) continue;
    line_ends.append(gathered, chunk);
    if (upload == nullptr && gathered.size() <= kInline) continue;
    if (upload == nullptr) {
      auto opened = co_await open_upload(session);
      if (opened.has_error()) {
        received.failure = std::move(opened).error();
        continue;
      }
      upload = *std::move(opened);
    }
    if (gathered.size() < kChunk) continue;
    auto sent = co_await send_chunk(session, *upload, gathered);
    if (sent.has_error()) received.failure = std::move(sent).error();
  }
  session.loop().probe.appended_bytes.add(static_cast<double>(arguments.size));
  if (received.failure) co_return received;
  if (upload == nullptr) {
    received.body.set_inline_(std::move(gathered));
    co_return received;
  }
  if (!gathered.empty()) {
    auto sent = co_await send_chunk(session, *upload, gathered);
    if (sent.has_error()) received.failure = std::move(sent).error();
  }
  auto stored = co_await upload->finish();
  if (stored.has_error()) {
    if (!received.failure) received.failure = std::move(stored).error();
    co_return received;
  }
  received.failure.reset();
  received.body.set_blob_id(stored->blob_id());
  co_return received;
}

std::unique_ptr<PendingReply> ready(Reply reply) { return std::make_unique<ReadyReply>(std::move(reply)); }

// Refuses before the message came; what a client sends without waiting has to be read first.
Task<std::unique_ptr<PendingReply>> refuse(Session& session, const AppendArguments& arguments, Reply reply) {
  if (!arguments.synchronizing) {
    if (arguments.size > session.options().max_append * 2)
      co_return Error(ErrorCode::kResourceExhausted, "refused message is too large to skip");
    MERPATI_CO_CHECK(co_await skip_octets(session.connection(), arguments.size, kSlowWriter));
    MERPATI_CO_CHECK(co_await skip_rest(session.connection(), session.options().max_line, kSlowWriter));
  }
  co_return ready(std::move(reply));
}

}  // namespace

Task<std::unique_ptr<PendingReply>> start_append(Session& session, const Command& command) {
  const auto& arguments = command.get<AppendArguments>();
  auto name = session.mailbox_name(arguments.mailbox);
  const auto flags = parse_flags(arguments.flags);
  if (name.has_error()) co_return co_await refuse(session, arguments, no("CANNOT", name.error().public_text()));
  if (!flags) co_return co_await refuse(session, arguments, bad("Unknown system flag"));
  if (arguments.size > session.options().max_append)
    co_return co_await refuse(session, arguments, no("TOOBIG", "The message is too large"));
  if (arguments.size == 0) co_return co_await refuse(session, arguments, no("CANNOT", "The message is empty"));
  auto place = session.loop().in_flight.enter(held_octets(arguments.size));
  if (place == nullptr)
    co_return co_await refuse(session, arguments, no("UNAVAILABLE", "Too many messages at once, try again later"));
  if (arguments.synchronizing) session.connection().write("+ OK\r\n");

  MERPATI_CO_TRY(auto received, co_await receive(session, arguments));
  auto line = co_await session.connection().read_line(session.options().max_line, Deadline::after(kSlowWriter));
  if (line.has_error()) co_return std::move(line).error();
  if (!line->text.empty()) {
    // MULTIAPPEND (RFC 3502) is not offered; who sends a second message all the same must not have it read as commands.
    MERPATI_CO_CHECK(
        co_await skip_rest_after(session.connection(), line->text, session.options().max_line, kSlowWriter));
    co_return ready(bad("Unexpected text after the message"));
  }
  if (received.failure) {
    const auto response = to_response(*received.failure);
    co_return ready({Reply::Condition::kNo, response.code, response.text});
  }

  pb::AppendRequest request;
  request.set_account_id(session.account());
  request.set_request_id(new_uuid());
  request.set_mailbox(*name);
  auto& message = *request.add_messages();
  *message.mutable_body() = std::move(received.body);
  for (unsigned i = 0; i < kSystemFlags.size(); ++i)
    if ((flags->bits >> i & 1U) != 0) message.add_flags(std::string(kSystemFlags[i]));
  for (const auto& keyword : flags->keywords) message.add_flags(keyword);
  if (arguments.date) {
    message.set_received_at_ms(arguments.date->seconds * 1000);
    message.set_received_zone_minutes(arguments.date->zone_minutes);
  }
  auto options = session.call_options();
  if (options.trace_id.empty()) options.trace_id = runtime::new_trace_id();
  auto call = start_call(session.loop(), session.loop().store, &store::v1::StoreClient::append, std::move(request),
                         std::move(options));
  co_return std::unique_ptr<PendingReply>(
      std::make_unique<PendingAppend>(std::move(call), *std::move(name), arguments.mailbox, std::move(place)));
}

}  // namespace merpati::imap
