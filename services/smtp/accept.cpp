// The end of DATA and of BDAT LAST: hands the message to Acceptance and tells the client what became of it.
#include "smtp/acceptance.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {

Task<void> Session::finish_message(std::unique_ptr<Incoming> incoming) {
  if (incoming->problem) {
    const auto problem = std::move(*incoming->problem);
    reset();
    reply_error(problem);
    co_return Result<void>();
  }
  const auto started = std::chrono::steady_clock::now();
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
                         .filter_view = filter_transaction(),
                         .buffer = incoming->buffer,
                         .received = std::move(received),
                         .sender_account_id = login_ ? login_->account_id : 0});
  auto outcome = co_await acceptance.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  const auto answer = outcome.has_value() ? *outcome : reply_for(outcome.error());
  site_->probe.message(answer.positive()    ? Probe::Outcome::kAccepted
                       : answer.permanent() ? Probe::Outcome::kRefused
                                            : Probe::Outcome::kTemporary,
                       size, took.count());
  if (outcome.has_error()) {
    reply_error(outcome.error());
  } else {
    reply(answer);
  }
  reset();
  co_return Result<void>();
}

}  // namespace merpati::smtp
