// CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8).
#include "imap/convert.hpp"
#include "imap/session.hpp"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {

Task<Reply> cmd_create(Session& session, const Command& command) {
  const auto& arguments = command.get<CreateArguments>();
  MERPATI_CO_TRY(auto name, session.mailbox_name(arguments.mailbox));
  // RFC 9051 6.3.4: a trailing separator only says that children are meant to come.
  if (name.size() > 1 && name.back() == kSeparator) name.pop_back();
  pb::CreateMailboxRequest request;
  request.set_account_id(session.account());
  request.set_name(name);
  if (arguments.special_use.size() > 1) co_return no("USEATTR", "Only one special use can be given");
  if (!arguments.special_use.empty()) {
    const auto use = special_use_of(arguments.special_use.front());
    if (!use) co_return no("USEATTR", "This special use is not known");  // RFC 6154 3
    request.set_special_use(*use);
  }
  MERPATI_CO_TRY(auto created, co_await session.store().create_mailbox(request, session.call_options()));
  if (!created.mailbox().mailbox_id().empty()) co_return ok("MAILBOXID (" + created.mailbox().mailbox_id() + ")");
  co_return ok();
}

Task<Reply> cmd_delete(Session& session, const Command& command) {
  pb::DeleteMailboxRequest request;
  request.set_account_id(session.account());
  MERPATI_CO_TRY(*request.mutable_name(), session.mailbox_name(command.get<MailboxArguments>().mailbox));
  MERPATI_CO_CHECK(co_await session.store().delete_mailbox(request, session.call_options()));
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
  if (request.to().size() > 1 && request.to().back() == kSeparator) request.mutable_to()->pop_back();
  MERPATI_CO_CHECK(co_await session.store().rename_mailbox(request, session.call_options()));
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
