// CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8).
#include "imap/announce.hpp"
#include "imap/session.hpp"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

// RFC 9051 6.3.4: a trailing separator only says that children are meant to come.
std::string without_separator(std::string name) {
  if (name.size() > 1 && name.back() == kSeparator) name.pop_back();
  return name;
}

// RFC 6154 2: these show messages of other mailboxes, which no mailbox here does.
bool is_a_view(pb::SpecialUse use) { return use == pb::SPECIAL_USE_ALL || use == pb::SPECIAL_USE_FLAGGED; }

}  // namespace

Task<Reply> cmd_create(Session& session, const Command& command) {
  const auto& arguments = command.get<CreateArguments>();
  MERPATI_CO_TRY(auto name, session.mailbox_name(arguments.mailbox));
  name = without_separator(std::move(name));
  pb::CreateMailboxRequest request;
  request.set_account_id(session.account());
  request.set_name(name);
  if (arguments.special_use.size() > 1) co_return no("USEATTR", "Only one special use can be given");
  if (!arguments.special_use.empty()) {
    const auto use = special_use_of(arguments.special_use.front());
    if (!use || is_a_view(*use)) co_return no("USEATTR", "No mailbox here can have this special use");  // RFC 6154 3
    request.set_special_use(*use);
  }
  auto created = co_await session.store().create_mailbox(request, session.call_options());
  if (created.has_error() && created.error().code() == ErrorCode::kFailedPrecondition && !arguments.special_use.empty())
    co_return no("USEATTR", "Another mailbox has this special use");
  MERPATI_CO_CHECK(created);
  announce_canonical_name(session, {}, name, without_separator(arguments.mailbox));
  if (!created->mailbox().mailbox_id().empty()) co_return ok("MAILBOXID (" + created->mailbox().mailbox_id() + ")");
  co_return ok();
}

Task<Reply> cmd_delete(Session& session, const Command& command) {
  pb::DeleteMailboxRequest request;
  request.set_account_id(session.account());
  MERPATI_CO_TRY(*request.mutable_name(), session.mailbox_name(command.get<MailboxArguments>().mailbox));
  MERPATI_CO_CHECK(co_await session.store().delete_mailbox(request, session.call_options()));
  announce_canonical_name(session, "\\NonExistent", request.name(), command.get<MailboxArguments>().mailbox);
  if (session.selected() != nullptr && session.selected()->name == request.name()) {
    session.out() += "* OK [CLOSED] The mailbox was deleted\r\n";
    session.unselect();
  }
  co_return ok();
}

Task<Reply> cmd_rename(Session& session, const Command& command) {
  const auto& arguments = command.get<RenameArguments>();
  pb::RenameMailboxRequest request;
  request.set_account_id(session.account());
  MERPATI_CO_TRY(*request.mutable_from(), session.mailbox_name(arguments.from));
  MERPATI_CO_TRY(*request.mutable_to(), session.mailbox_name(arguments.to));
  *request.mutable_to() = without_separator(std::move(*request.mutable_to()));
  MERPATI_CO_CHECK(co_await session.store().rename_mailbox(request, session.call_options()));
  const bool as_written = request.from() == arguments.from && request.to() == without_separator(arguments.to);
  if (!as_written) announce_canonical_name(session, {}, request.to(), arguments.from);
  if (session.selected() != nullptr && session.selected()->name == request.from() && request.from() != "INBOX") {
    session.selected()->name = request.to();
  }
  co_return ok();
}

Task<Reply> cmd_subscribe(Session& session, const Command& command) {
  pb::SetSubscribedRequest request;
  request.set_account_id(session.account());
  MERPATI_CO_TRY(*request.mutable_name(), session.mailbox_name(command.get<MailboxArguments>().mailbox));
  request.set_subscribed(command.verb == Verb::kSubscribe);
  MERPATI_CO_CHECK(co_await session.store().set_subscribed(request, session.call_options()));
  co_return ok();
}

}  // namespace merpati::imap
