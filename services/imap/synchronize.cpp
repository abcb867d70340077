// Session::synchronize: what changed in the selected mailbox, told as EXPUNGE, EXISTS, RECENT and FETCH.
#include <algorithm>

#include "imap/announce.hpp"
#include "imap/convert.hpp"
#include "imap/row_reader.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

// The store has forgotten the tombstones since our MODSEQ: compare with the whole uid set, and tell the flags that
// changed.
Task<pb::GetChangesResponse> compare_whole(Session& session) {
  auto& box = *session.selected();
  pb::OpenMailboxRequest open;
  open.set_account_id(session.account());
  open.set_name(box.name);
  open.set_take_recent(!box.read_only);
  MERPATI_CO_TRY(auto now, co_await session.store().open_mailbox(open, session.call_options()));
  pb::GetChangesResponse changes;
  if (now.mailbox().id() != box.id) {
    changes.set_deleted(true);
    co_return changes;
  }
  const auto present = from_proto(now.uids());
  to_proto(subtract(box.uids->ranges(), present), changes.mutable_vanished());
  to_proto(subtract(present, box.uids->ranges()), changes.mutable_added());
  changes.set_highest_modseq(now.counts().highest_modseq());
  changes.set_uid_next(now.counts().uid_next());
  changes.set_first_recent_uid(now.first_recent_uid());
  pb::FetchMask mask;
  mask.set_flags(true);
  RowReader rows(session, intersect(present, box.uids->ranges()), mask, box.modseq);
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await rows.next());
    if (!chunk) break;
    for (const auto& row : chunk->rows()) {
      auto* changed = changes.add_changed();
      changed->set_uid(row.uid());
      changed->set_flags(row.flags());
      *changed->mutable_keywords() = row.keywords();
      changed->set_modseq(row.modseq());
    }
  }
  co_return changes;
}

void announce_added(Session& session, const pb::GetChangesResponse& changes) {
  auto& box = *session.selected();
  auto added = subtract(from_proto(changes.added()), box.uids->ranges());
  if (added.empty()) return;
  box.add_recent(added, changes.first_recent_uid());
  Ranges all = box.uids->ranges();
  all.insert(all.end(), added.begin(), added.end());
  normalize(all);
  box.uids = session.loop().uid_sets.share(session.account(), box.id, std::move(all));
  auto& out = session.out();
  out += "* ";
  append_number(out, box.uids->size());
  out += " EXISTS\r\n";
  if (session.rev2) return;
  out += "* ";
  append_number(out, box.recent_count());
  out += " RECENT\r\n";
}

}  // namespace

void announce_keywords(Session& session, const google::protobuf::RepeatedPtrField<std::string>& keywords) {
  auto& box = *session.selected();
  bool fresh = false;
  for (const auto& keyword : keywords) {
    if (std::find(box.keywords.begin(), box.keywords.end(), keyword) != box.keywords.end()) continue;
    box.keywords.push_back(keyword);
    fresh = true;
  }
  if (fresh) append_flags_response(session, box);
}

void remember_own_changes(SelectedMailbox& box, const pb::StoreFlagsResponse& response) {
  bool one_step = true;
  for (const auto& message : response.changed()) one_step = one_step && message.modseq() == response.highest_modseq();
  if (one_step && response.highest_modseq() == box.modseq + 1) {
    box.modseq = response.highest_modseq();  // nothing happened between our last look and this change
    return;
  }
  for (const auto& message : response.changed()) box.own_changes.emplace_back(message.uid(), message.modseq());
}

std::string highest_modseq_code(const Session& session) {
  return session.condstore ? "HIGHESTMODSEQ " + std::to_string(session.selected()->modseq) : std::string();
}

void append_flags_response(Session& session, const SelectedMailbox& box) {
  auto& out = session.out();
  out += "* FLAGS ";
  append_flags(out, 31, box.keywords, false);
  out += "\r\n* OK [PERMANENTFLAGS ";
  if (box.read_only) {
    out += "()] Read-only\r\n";
    return;
  }
  append_flags(out, 31, box.keywords, false);
  out.back() = ' ';
  out += "\\*)] Flags permitted\r\n";
}

void append_flags_fetch(Session& session, std::uint32_t sequence, const pb::MessageFlags& message, bool with_uid,
                        bool with_flags) {
  auto& out = session.out();
  const auto& box = *session.selected();
  out += "* ";
  append_number(out, sequence);
  out += " FETCH (";
  // RFC 9051 7.5.2: what was not asked for names its UID. RFC 7162 3.2.4 wants it with MODSEQ.
  if (with_uid || session.condstore || session.rev2) {
    out += "UID ";
    append_number(out, message.uid());
    if (with_flags || session.condstore) out += ' ';
  }
  if (with_flags) {
    out += "FLAGS ";
    append_flags(out, message.flags(), message.keywords(), !session.rev2 && box.is_recent(message.uid()));
    if (session.condstore) out += ' ';
  }
  if (session.condstore) {
    out += "MODSEQ (";
    append_number(out, message.modseq());
    out += ')';
  }
  out += ")\r\n";
}

void Session::announce_vanished(Ranges more) {
  auto& box = *selected_;
  Ranges gone = std::move(box.vanished);
  box.vanished.clear();
  gone.insert(gone.end(), more.begin(), more.end());
  normalize(gone);
  gone = box.uids->select_uids(gone);
  if (gone.empty()) return;
  // From the last to the first, so that each number is still right when the client reads it.
  auto& output = out();
  const auto sequences = box.uids->to_sequences(gone);
  for (auto range = sequences.rbegin(); range != sequences.rend(); ++range) {
    for (std::uint32_t sequence = range->last; sequence >= range->first; --sequence) {
      output += "* ";
      append_number(output, sequence);
      output += " EXPUNGE\r\n";
    }
  }
  box.uids = loop_.uid_sets.share(account(), box.id, subtract(box.uids->ranges(), gone));
  saved_search = subtract(saved_search, gone);  // RFC 5182 2.1
}

Task<void> Session::synchronize(Announce what, bool force) {
  if (selected_ == nullptr) co_return Result<void>();
  auto& box = *selected_;
  if (force || box.subscription->may_have_changed(box.modseq)) {
    pb::GetChangesRequest request;
    request.set_account_id(account());
    request.set_mailbox_id(box.id);
    request.set_since_modseq(box.modseq);
    request.set_below_uid(box.uids->largest() + 1);
    request.set_take_recent(!box.read_only);
    box.subscription->compared();  // before the call: what comes meanwhile counts again
    auto changes = co_await store().get_changes(request, call_options());
    // Also when there are more changes than one reply holds.
    const bool too_many = changes.has_error() && changes.error().code() == ErrorCode::kResourceExhausted;
    if (too_many || (changes.has_value() && changes->too_old())) changes = co_await compare_whole(*this);
    const bool gone = changes.has_error() ? changes.error().code() == ErrorCode::kNotFound : changes->deleted();
    if (gone) {
      out() += "* OK [CLOSED] The mailbox was deleted\r\n";
      unselect();
      co_return Result<void>();
    }
    if (changes.has_error()) {
      box.subscription->mark_stale();
      co_return std::move(changes).error();
    }
    auto vanished = from_proto(changes->vanished());
    box.vanished.insert(box.vanished.end(), vanished.begin(), vanished.end());
    normalize(box.vanished);
    if (what == Announce::kAll) announce_vanished({});
    announce_added(*this, *changes);
    for (const auto& message : changes->changed()) {
      const auto sequence = box.uids->sequence_of(message.uid());
      const bool own = std::find(box.own_changes.begin(), box.own_changes.end(),
                                 std::pair(message.uid(), message.modseq())) != box.own_changes.end();
      if (sequence == 0 || own) continue;
      announce_keywords(*this, message.keywords());
      append_flags_fetch(*this, sequence, message, false, true);
    }
    box.own_changes.clear();
    box.own_changes.shrink_to_fit();
    box.modseq = std::max(box.modseq, changes->highest_modseq());
    box.uid_next = std::max(box.uid_next, changes->uid_next());
  } else if (what == Announce::kAll && !box.vanished.empty()) {
    announce_vanished({});
  }
  co_return Result<void>();
}

}  // namespace merpati::imap
