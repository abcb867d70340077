// COPY (RFC 9051 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315).
#include "imap/announce.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

std::string copyuid(const pb::CopyMessagesResponse& response) {
  std::string code = "COPYUID ";
  append_number(code, response.uid_validity());
  code += ' ';
  append_ranges(code, from_proto(response.source()));
  code += ' ';
  append_ranges(code, from_proto(response.target()));
  return code;
}

Task<void> tell_of_copies(Session& session, const std::string& to, const pb::CopyMessagesResponse& response) {
  auto& events = *session.loop().events;
  const auto& from = session.selected()->name;
  MERPATI_CO_TRY(const bool wanted, co_await events.wanted(filter::v1::EVENT_CAUSE_COPY, to, from));
  if (!wanted) co_return Result<void>();
  MailboxEvent event{session.call_options(), filter::v1::EVENT_CAUSE_COPY, response.mailbox_id(), to, from, {}};
  for (const auto& range : response.target())
    for (std::uint64_t uid = range.first(); uid <= range.last(); ++uid)
      event.messages.emplace_back().set_uid(static_cast<std::uint32_t>(uid));
  co_await events.happened(std::move(event));
  co_return Result<void>();
}

}  // namespace

Task<Reply> cmd_copy(Session& session, const Command& command) {
  const auto& arguments = command.get<CopyArguments>();
  const bool move = command.verb == Verb::kMove;
  if (move && session.selected()->read_only) co_return no("READ-ONLY", "The mailbox is open read-only");
  pb::CopyMessagesRequest request;
  MERPATI_CO_TRY(*request.mutable_to(), session.mailbox_name(arguments.mailbox));
  MERPATI_CO_TRY(auto uids, co_await session.resolve_fresh(arguments.set, command.uid));
  auto& box = *session.selected();
  uids = box.uids->select_uids(uids);
  if (uids.empty()) co_return ok({}, "No messages");
  request.set_account_id(session.account());
  request.set_mailbox_id(box.id);
  to_proto(uids, request.mutable_uids());
  Result<pb::CopyMessagesResponse> response = Error();
  if (move) {
    response = co_await session.store().move_messages(request, session.call_options());
  } else {
    response = co_await session.store().copy_messages(request, session.call_options());
  }
  if (response.has_error()) {
    if (response.error().code() == ErrorCode::kNotFound) co_return no("TRYCREATE", "There is no such mailbox");
    co_return std::move(response).error();
  }
  if (response->source().empty()) co_return no("EXPUNGEISSUED", "The messages no longer exist");
  session.loop().junk_teacher->moved(
      {session.call_options(), box.id, response->mailbox_id(), from_proto(response->target())});
  // RFC 6851: for scripts MOVE is as COPY.
  MERPATI_CO_CHECK(co_await tell_of_copies(session, request.to(), *response));
  if (!move) co_return ok(copyuid(*response));
  // RFC 6851 4.3: COPYUID comes untagged, before the EXPUNGEs.
  session.out() += "* OK [" + copyuid(*response) + "] Moved\r\n";
  session.announce_vanished(from_proto(response->source()));
  if (response->highest_modseq() == box.modseq + 1) box.modseq = response->highest_modseq();
  co_return ok(highest_modseq_code(session));
}

}  // namespace merpati::imap
