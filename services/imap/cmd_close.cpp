// CLOSE, UNSELECT (RFC 3691) and EXPUNGE (RFC 9051 6.4.1 to 6.4.3), UID EXPUNGE (RFC 4315).
#include "imap/announce.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {

Task<Reply> cmd_close(Session& session, const Command&) {
  auto& box = *session.selected();
  if (!box.read_only) {
    pb::ExpungeRequest request;
    request.set_account_id(session.account());
    request.set_mailbox_id(box.id);
    auto removed = co_await session.store().expunge(request, session.call_options());
    if (removed.has_error() && removed.error().code() != ErrorCode::kNotFound) co_return std::move(removed).error();
  }
  session.unselect();
  co_return ok();
}

Task<Reply> cmd_unselect(Session& session, const Command&) {
  session.unselect();
  co_return ok();
}

Task<Reply> cmd_expunge(Session& session, const Command& command) {
  auto& box = *session.selected();
  if (box.read_only) co_return no("READ-ONLY", "The mailbox is open read-only");
  pb::ExpungeRequest request;
  request.set_account_id(session.account());
  request.set_mailbox_id(box.id);
  if (command.uid) {
    MERPATI_CO_TRY(auto uids, session.resolve(command.get<ExpungeArguments>().uids, true));
    if (uids.empty()) co_return ok();  // an empty set in the request would mean all
    to_proto(uids, request.mutable_uids());
  }
  MERPATI_CO_TRY(auto removed, co_await session.store().expunge(request, session.call_options()));
  session.announce_vanished(from_proto(removed.vanished()));
  if (removed.highest_modseq() == box.modseq + 1) box.modseq = removed.highest_modseq();
  co_return removed.vanished().empty() ? ok() : ok(highest_modseq_code(session));
}

}  // namespace merpati::imap
