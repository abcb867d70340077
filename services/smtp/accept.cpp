// The end of DATA and of BDAT LAST: hands the message to Acceptance and tells the client what became of it.
#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"
#include "smtp/acceptance.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {
namespace {

constexpr std::size_t kMostAuthors = 16;

}  // namespace

/// RFC 6409 6.1: what the reader of a submitted message sees as its author is an address of the account too. Replies
/// and returns false when not. A message without From is the filter's to judge.
Task<bool> Session::authors_are_theirs(MessageBuffer& buffer) {
  MessageSource source(buffer);
  MERPATI_CO_CHECK(co_await source.load_header());
  std::vector<std::pair<std::string, std::string>> authors;  // field, address
  mime::FieldReader reader(source.header());
  for (mime::Field field; reader.next(field);) {
    if (!mime::iequals(field.name, "From") && !mime::iequals(field.name, "Sender")) continue;
    const std::string name = mime::iequals(field.name, "From") ? "From" : "Sender";
    const auto before = authors.size();
    for (const auto& address : mime::parse_addresses(field.value))
      if (address.kind == mime::Address::Kind::kMailbox) authors.emplace_back(name, mime::to_addr_spec(address));
    if (authors.size() != before) continue;
    reply(550, "5.7.1", "The " + name + " field names no address");
    co_return false;
  }
  if (authors.size() > kMostAuthors) {
    reply(550, "5.7.1", "The From field names too many addresses");
    co_return false;
  }
  for (const auto& [name, address] : authors) {
    MERPATI_CO_TRY(const bool allowed,
                   co_await may_send_as(address, "The address in the " + name + " field is not yours"));
    if (!allowed) co_return false;
  }
  co_return true;
}

Task<void> Session::finish_message(std::unique_ptr<Incoming> incoming) {
  if (incoming->problem) {
    const auto problem = std::move(*incoming->problem);
    reset();
    reply_error(problem);
    co_return Result<void>();
  }
  const auto started = std::chrono::steady_clock::now();
  if (is_submission() && login_ && site_->policy.check_from_header) {
    auto theirs = co_await authors_are_theirs(incoming->buffer);
    if (theirs.has_error()) reply_error(theirs.error());
    if (theirs.has_error() || !*theirs) {
      site_->probe.message(theirs.has_error() ? Probe::Outcome::kTemporary : Probe::Outcome::kRefused,
                           incoming->buffer.size(), 0);
      reset();
      co_return Result<void>();
    }
  }
  MilterOutcome milters;
  auto asked = co_await milters_content(incoming, milters);
  if (asked.has_error()) milters.refusal = reply_for_message(asked.error());
  const bool refused = milters.refusal.has_value();
  const bool close = milters.close;
  auto filter_view = filter_transaction();
  filter_view.set_milters_asked(milters.asked);
  const auto size = incoming->buffer.size();
  const auto& stream = connection_.stream();
  ReceivedFrom received;
  received.helo = helo_;
  received.client = stream.remote().address();
  received.by = site_->policy.hostname;
  received.protocol = transmission_type(esmtp_, stream.is_tls(), login_ != nullptr, transaction_->mail.smtputf8);
  received.id = transaction_->id;
  received.tls = stream.tls_info();
  received.date = mail_date(std::chrono::system_clock::now());

  Acceptance acceptance({.site = *site_,
                         .transaction = *transaction_,
                         .filter_view = std::move(filter_view),
                         .buffer = incoming->buffer,
                         .milters = std::move(milters),
                         .received = std::move(received),
                         .sender_account_id = login_ ? login_->account_id : 0,
                         .accept_unfiltered = door_->accept_unfiltered});
  auto outcome = co_await acceptance.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  const auto answer = outcome.has_value() ? *outcome : reply_for_message(outcome.error());
  site_->probe.message(answer.positive()    ? Probe::Outcome::kAccepted
                       : answer.permanent() ? Probe::Outcome::kRefused
                                            : Probe::Outcome::kTemporary,
                       size, took.count());
  acceptance.conclude(answer);
  if (auto& span = transaction_->span; span.active()) {
    span.attribute("smtp.reply_code", std::int64_t{answer.code});
    span.attribute("smtp.recipients", static_cast<std::int64_t>(transaction_->recipients.size()));
    span.attribute("smtp.size", static_cast<std::int64_t>(size));
    if (!answer.positive()) span.fail(answer.enhanced);  // the text may name people
  }
  if (outcome.has_error() && !answer.permanent()) log_failure(outcome.error());
  if (refused)
    refuse(answer, close);
  else
    reply(answer);
  if (answer.positive()) errors_ = 0;  // who delivers mail is no guesser of addresses
  reset();
  co_return Result<void>();
}

}  // namespace merpati::smtp
