// SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3), with CONDSTORE (RFC 7162 3.1.8).
#include "imap/announce.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

void append_code(std::string& out, const char* code, std::uint64_t value, const char* text) {
  out += "* OK [";
  out += code;
  out += ' ';
  append_number(out, value);
  out += "] ";
  out += text;
  out += "\r\n";
}

std::string list_attributes(const pb::Mailbox& mailbox) {
  std::string attributes = mailbox.subscribed() ? "\\Subscribed" : "";
  const auto use = special_use_name(mailbox.special_use());
  if (!use.empty() && !attributes.empty()) attributes += ' ';
  return attributes.append(use);
}

void append_answer(Session& session, const SelectedMailbox& box, const pb::OpenMailboxResponse& opened,
                   const std::string& written) {
  append_flags_response(session, box);
  auto& out = session.out();
  out += "* ";
  append_number(out, box.uids->size());
  out += " EXISTS\r\n";
  if (!session.rev2) {
    // RFC 9051 7.1, appendix: RECENT and UNSEEN are gone from revision 2.
    out += "* ";
    append_number(out, box.recent_count());
    out += " RECENT\r\n";
    const auto unseen = box.uids->sequence_of(opened.first_unseen_uid());
    if (unseen != 0) append_code(out, "UNSEEN", unseen, "First unseen");
  }
  append_code(out, "UIDVALIDITY", box.uid_validity, "UIDs valid");
  append_code(out, "UIDNEXT", box.uid_next, "Predicted next UID");
  append_code(out, "HIGHESTMODSEQ", box.modseq, "Highest");
  if (session.rev2) {
    // RFC 9051 6.3.2: the LIST response tells the name as the server has it.
    append_list_response(session, list_attributes(opened.mailbox()), box.name, written);
  }
}

}  // namespace

Task<Reply> cmd_select(Session& session, const Command& command) {
  const auto& arguments = command.get<SelectArguments>();
  const bool read_only = command.verb == Verb::kExamine;
  if (session.selected() != nullptr) {
    session.unselect();
    session.out() += "* OK [CLOSED] Previous mailbox closed\r\n";
  }
  MERPATI_CO_TRY(auto name, session.mailbox_name(arguments.mailbox));
  if (arguments.condstore) session.enable_condstore();
  pb::OpenMailboxRequest request;
  request.set_account_id(session.account());
  request.set_name(name);
  request.set_take_recent(!read_only);
  MERPATI_CO_TRY(auto opened, co_await session.store().open_mailbox(request, session.call_options()));

  auto box = std::make_unique<SelectedMailbox>();
  box->id = opened.mailbox().id();
  box->name = opened.mailbox().name();
  box->uid_validity =
      opened.counts().uid_validity() != 0 ? opened.counts().uid_validity() : opened.mailbox().uid_validity();
  box->uid_next = opened.counts().uid_next();
  box->read_only = read_only;
  box->uids = session.loop().uid_sets.share(session.account(), box->id, from_proto(opened.uids()));
  box->modseq = opened.counts().highest_modseq();
  box->add_recent(box->uids->ranges(), opened.first_recent_uid());
  box->keywords.assign(opened.keywords().begin(), opened.keywords().end());
  const auto call = session.call_options();
  box->subscription = session.loop().watchers.of(call.cell).watch(session.account(), call.token, box->id);
  append_answer(session, *box, opened, arguments.mailbox);
  session.select(std::move(box));
  co_return ok(read_only ? "READ-ONLY" : "READ-WRITE");
}

}  // namespace merpati::imap
