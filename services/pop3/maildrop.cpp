#include "pop3/maildrop.hpp"

#include "merpati/pop3/response.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::pop3 {
namespace {

// A third of the lease: two renewals may fail before another session can take the maildrop.
SteadyTime next_keep(const Edge& edge) { return std::chrono::steady_clock::now() + edge.settings.lease / 3; }

std::int32_t lease_seconds(const Edge& edge) {
  return static_cast<std::int32_t>(std::chrono::duration_cast<std::chrono::seconds>(edge.settings.lease).count());
}

asio::awaitable<void> keep_giving_back(std::shared_ptr<Edge> edge, Maildrop drop) {
  const auto until = Deadline::after(edge->settings.lease);
  while (!until.passed()) {
    if ((co_await sleep_for(std::chrono::seconds(1))).has_error()) co_return;
    auto given = co_await drop.give_back(*edge);
    if (!given.has_error() || !is_temporary(given.error())) co_return;
  }
}

asio::awaitable<void> keep_taking_back(std::shared_ptr<Edge> edge, Login login, std::string session_id) {
  const auto until = Deadline::after(edge->settings.lease);
  while (!until.passed()) {
    if ((co_await sleep_for(std::chrono::seconds(1))).has_error()) co_return;
    auto drop = co_await Maildrop::open(*edge, login, session_id);
    if (drop.has_error() && is_temporary(drop.error())) continue;
    if (drop.has_value() && drop->is_open()) co_await keep_giving_back(edge, *std::move(drop));
    co_return;
  }
}

}  // namespace

bool is_temporary(const Error& error) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kDeadlineExceeded ||
         error.code() == ErrorCode::kResourceExhausted;
}

void give_back_later(std::shared_ptr<Edge> edge, Maildrop drop) {
  auto* const tasks = edge->background;
  tasks->spawn(keep_giving_back(std::move(edge), std::move(drop)));
}

void give_back_later(std::shared_ptr<Edge> edge, Login login, std::string session_id) {
  auto* const tasks = edge->background;
  tasks->spawn(keep_taking_back(std::move(edge), std::move(login), std::move(session_id)));
}

rpc::CallOptions Maildrop::call_options(const Edge& edge) const {
  rpc::CallOptions options;
  options.deadline = Deadline::after(edge.settings.call_timeout);
  options.token = login_.token;
  options.account_id = account();
  options.cell = login_.claims.cell();
  options.trace_id = trace_;
  return options;
}

Task<Maildrop> Maildrop::open(const Edge& edge, Login login, std::string session_id) {
  Maildrop drop;
  drop.login_ = std::move(login);
  store::v1::LeaseMaildropRequest request;
  request.set_account_id(drop.account());
  request.set_session_id(std::move(session_id));
  request.set_lease_seconds(lease_seconds(edge));
  request.set_login_delay_seconds(
      static_cast<std::int32_t>(std::chrono::ceil<std::chrono::seconds>(edge.settings.login_delay).count()));
  const auto options = drop.call_options(edge);
  MERPATI_CO_TRY(auto lease, co_await edge.store.lease_maildrop(request, options));
  drop.lease_number_ = lease.lease_number();
  drop.mailbox_id_ = lease.mailbox_id();
  drop.messages_.reserve(static_cast<std::size_t>(lease.messages_size()));
  for (auto& message : *lease.mutable_messages()) {
    auto unique = std::move(*message.mutable_uidl());
    // UIDVALIDITY and UID name a message for good; used where the store has no id that POP3 can carry.
    if (!is_unique_id(unique)) unique = std::to_string(lease.uid_validity()) + "." + std::to_string(message.uid());
    drop.bytes_ += message.size();
    drop.messages_.push_back({message.uid(), message.size(), std::move(unique)});
  }
  drop.count_ = static_cast<std::uint32_t>(drop.messages_.size());
  drop.keep_at_ = next_keep(edge);
  co_return drop;
}

const Maildrop::Message* Maildrop::find(std::uint32_t number) const {
  if (number == 0 || number > messages_.size()) return nullptr;
  const auto& message = messages_[number - 1];
  return message.deleted ? nullptr : &message;
}

void Maildrop::mark_deleted(std::uint32_t number) {
  auto& message = messages_[number - 1];
  message.deleted = true;
  --count_;
  bytes_ -= message.size;
}

void Maildrop::unmark_all() {
  for (auto& message : messages_) {
    if (!message.deleted) continue;
    message.deleted = false;
    ++count_;
    bytes_ += message.size;
  }
}

Task<void> Maildrop::renew_token(const Edge& edge) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const auto left = login_.claims.expires_at() - now;
  const auto lifetime = login_.claims.expires_at() - login_.claims.issued_at();
  if (left > lifetime / 2) co_return Result<void>();
  auth::v1::RenewTokenRequest request;
  request.set_token(login_.token);
  const auto options = call_options(edge);
  auto renewed = co_await edge.auth.renew_token(request, options);
  if (renewed.has_error()) {
    // Auth is down: the session goes on until its token ends.
    if (is_temporary(renewed.error()) && left > 0) co_return Result<void>();
    co_return std::move(renewed).error();
  }
  login_.token = std::move(*renewed->mutable_token());
  login_.claims = std::move(*renewed->mutable_claims());
  co_return Result<void>();
}

Task<void> Maildrop::keep(const Edge& edge) {
  if (std::chrono::steady_clock::now() < keep_at_) co_return Result<void>();
  keep_at_ = next_keep(edge);
  MERPATI_CO_CHECK(co_await renew_token(edge));
  store::v1::RenewMaildropRequest request;
  request.set_account_id(account());
  request.set_lease_number(lease_number_);
  request.set_lease_seconds(lease_seconds(edge));
  const auto options = call_options(edge);
  auto renewed = co_await edge.store.renew_maildrop(request, options);
  if (renewed.has_error() && !is_temporary(renewed.error())) {
    given_back_ = true;
    co_return Error(ErrorCode::kAborted, "lease lost: " + renewed.error().describe());
  }
  co_return Result<void>();
}

Task<std::uint32_t> Maildrop::close(const Edge& edge, std::vector<std::uint32_t> uids) {
  store::v1::CommitMaildropRequest request;
  request.set_account_id(account());
  request.set_lease_number(lease_number_);
  request.set_mailbox_id(mailbox_id_);
  for (const auto uid : uids) request.add_delete_uids(uid);
  const auto options = call_options(edge);
  MERPATI_CO_TRY(auto committed, co_await edge.store.commit_maildrop(request, options));
  given_back_ = true;
  co_return committed.deleted();
}

Task<std::uint32_t> Maildrop::commit(const Edge& edge) {
  MERPATI_CO_CHECK(co_await renew_token(edge));
  std::vector<std::uint32_t> uids;
  for (const auto& message : messages_)
    if (message.deleted) uids.push_back(message.uid);
  co_return co_await close(edge, std::move(uids));
}

Task<void> Maildrop::give_back(const Edge& edge) {
  if (given_back_) co_return Result<void>();
  MERPATI_CO_CHECK(co_await close(edge, {}));
  co_return Result<void>();
}

}  // namespace merpati::pop3
