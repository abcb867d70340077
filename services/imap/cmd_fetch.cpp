// FETCH and UID FETCH (RFC 9051 6.4.5), CHANGEDSINCE (RFC 7162 3.1.4).
#include "imap/announce.hpp"
#include "imap/fetch_writer.hpp"
#include "imap/flag_events.hpp"
#include "imap/row_reader.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

constexpr std::uint32_t kSeen = 1;

class Fetch {
 public:
  Fetch(Session& session, const Command& command)
      : session_(session),
        arguments_(command.get<FetchArguments>()),
        uid_command_(command.uid),
        plan_(arguments_, command.uid, !session.selected()->read_only),
        writer_(session, arguments_, plan_),
        events_(session) {}

  /// After run(): has scripts run for what it changed.
  Task<void> tell() { return events_.tell(); }

  Task<Reply> run() {
    if (plan_.has_modseq || arguments_.changed_since) session_.enable_condstore();
    MERPATI_CO_TRY(auto uids, co_await session_.resolve_fresh(arguments_.set, uid_command_));
    if (uids.empty()) co_return ok();
    const auto wanted = count(session_.selected()->uids->select_uids(uids));
    if (wanted == 1 && is_whole_body()) {
      MERPATI_CO_TRY(const bool answered,
                     co_await write_whole_body(session_.selected()->uids->select_uids(uids).front().first));
      if (answered) co_return ok();
    }
    RowReader rows(session_, std::move(uids), plan_.mask, arguments_.changed_since.value_or(0));
    for (;;) {
      MERPATI_CO_TRY(auto chunk, co_await rows.next());
      if (!chunk) break;
      MERPATI_CO_CHECK(co_await write_chunk(*chunk));
      if (session_.selected() == nullptr) co_return no("NONEXISTENT", "The mailbox was deleted");
    }
    // RFC 2180 4.1.2: the client names messages by number, and some are gone.
    if (!uid_command_ && !arguments_.changed_since && written_ < wanted)
      co_return no("EXPUNGEISSUED", "Some of the messages no longer exist");
    co_return ok();
  }

 private:
  // BODY.PEEK[] of one message, what clients ask for most: the reply with the octets also tells the size, so the row is
  // not needed.
  bool is_whole_body() const {
    if (plan_.sets_seen || arguments_.changed_since) return false;
    bool body = false;
    for (const auto& item : arguments_.items) {
      if (item.kind == FetchItem::Kind::kUid) continue;
      const bool whole = item.kind == FetchItem::Kind::kBodySection && item.section.part.empty() &&
                         item.section.text == Section::Text::kAll && !item.partial;
      if (!whole || body) return false;
      body = true;
    }
    return body;
  }

  // False when the message does not fit one reply, or is gone: the long way then.
  Task<bool> write_whole_body(std::uint32_t uid) {
    pb::ReadContentRequest request;
    request.set_account_id(session_.account());
    request.set_mailbox_id(session_.selected()->id);
    request.add_ranges()->set_uid(uid);
    MERPATI_CO_TRY(auto response, co_await session_.store().read_content(request, session_.call_options()));
    if (response.contents_size() != 1) co_return false;
    const auto& content = response.contents(0);
    if (content.gone() || content.octets().size() != content.message_size()) co_return false;
    writer_.write_body(uid, session_.selected()->uids->sequence_of(uid), content.octets());
    co_return true;
  }

  Task<void> write_chunk(pb::FetchMessagesResponse& chunk) {
    if (plan_.sets_seen) MERPATI_CO_CHECK(co_await set_seen(chunk));
    if (plan_.contents) writer_.expect(chunk);
    for (const auto& row : chunk.rows()) {
      auto sequence = session_.selected()->uids->sequence_of(row.uid());
      if (sequence == 0 && row.uid() > session_.selected()->uids->largest()) {
        MERPATI_CO_CHECK(co_await session_.synchronize(Session::Announce::kAllButExpunges, true));
        if (session_.selected() == nullptr) co_return Result<void>();
        sequence = session_.selected()->uids->sequence_of(row.uid());
      }
      if (sequence == 0) continue;
      if (plan_.mask.flags()) announce_keywords(session_, row.keywords());
      const bool flags_changed = plan_.sets_seen && contains(seen_now_, row.uid());
      if (plan_.contents) {
        auto written = co_await writer_.write_with_contents(row, sequence, flags_changed);
        if (written.has_error() && written.error().code() == ErrorCode::kNotFound) continue;
        if (written.has_error()) co_return written;
      } else {
        writer_.write(row, sequence, flags_changed);
      }
      ++written_;
      if (session_.out().size() > net::Connection::kFlushAbove) MERPATI_CO_CHECK(co_await session_.relieve());
    }
    co_return Result<void>();
  }

  // RFC 9051 6.4.5: reading a body without PEEK sets \Seen, and the response tells the new flags.
  Task<void> set_seen(pb::FetchMessagesResponse& chunk) {
    Ranges unseen;
    for (const auto& row : chunk.rows()) {
      if ((row.flags() & kSeen) == 0) push_back(unseen, row.uid());
    }
    seen_now_.clear();
    if (unseen.empty()) co_return Result<void>();
    pb::StoreFlagsRequest request;
    request.set_account_id(session_.account());
    request.set_mailbox_id(session_.selected()->id);
    to_proto(unseen, request.mutable_uids());
    request.set_mode(pb::StoreFlagsRequest::MODE_ADD);
    request.set_flags(kSeen);
    MERPATI_CO_TRY(auto response, co_await session_.store().store_flags(request, session_.call_options()));
    remember_own_changes(*session_.selected(), response);
    events_.seen(response.changed());
    int at = 0;
    for (const auto& changed : response.changed()) {
      while (at < chunk.rows_size() && chunk.rows(at).uid() < changed.uid()) ++at;
      if (at >= chunk.rows_size() || chunk.rows(at).uid() != changed.uid()) continue;
      auto& row = *chunk.mutable_rows(at);
      row.set_flags(changed.flags());
      *row.mutable_keywords() = changed.keywords();
      row.set_modseq(changed.modseq());
      push_back(seen_now_, changed.uid());
    }
    co_return Result<void>();
  }

  Session& session_;
  const FetchArguments& arguments_;
  bool uid_command_;
  FetchPlan plan_;
  FetchWriter writer_;
  Ranges seen_now_;
  FlagEvents events_;
  std::uint64_t written_ = 0;
};

}  // namespace

Task<Reply> cmd_fetch(Session& session, const Command& command) {
  Fetch fetch(session, command);
  auto reply = co_await fetch.run();
  MERPATI_CO_CHECK(co_await fetch.tell());
  // RFC 9051 7.1: the part's transfer encoding is one that BINARY cannot undo.
  if (reply.has_error() && reply.error().code() == ErrorCode::kUnimplemented)
    co_return no("UNKNOWN-CTE", "The part has an unknown transfer encoding");
  co_return reply;
}

}  // namespace merpati::imap
