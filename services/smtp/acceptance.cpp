#include "smtp/acceptance.hpp"

#include <algorithm>
#include <set>

#include "merpati/runtime/log.hpp"
#include "smtp/edits.hpp"
#include "smtp/filter_reply.hpp"

namespace merpati::smtp {
namespace {

constexpr auto kWholeTime = std::chrono::minutes(2);

std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Acceptance::Acceptance(Parts parts)
    : parts_(std::move(parts)),
      site_(parts_.site),
      transaction_(parts_.transaction),
      delivery_id_(parts_.transaction.id),
      deadline_(Deadline::after(kWholeTime)),
      received_at_ms_(milliseconds_now()),
      source_(parts_.buffer),
      received_(parts_.received),
      reverse_path_(parts_.transaction.reverse_path) {}

rpc::CallOptions Acceptance::options() const {
  rpc::CallOptions options;
  options.deadline = deadline_;
  options.trace_id = transaction_.trace_id;
  for (const auto& target : targets_) {
    if (target.local == nullptr) continue;
    options.account_id = target.local->claims().account_id();
    break;
  }
  return options;
}

/// RFC 6409 8: what a submitted message lacks is filled in.
void Acceptance::fill_in_missing() {
  std::string added;
  if (!has_field(source_.header(), "date")) added.append("Date: ").append(parts_.received.date).append("\r\n");
  if (!has_field(source_.header(), "message-id"))
    added.append("Message-ID: <").append(transaction_.id).append("@").append(site_.policy.hostname).append(">\r\n");
  source_.prepend(added);
}

Task<Reply> Acceptance::run() {
  find_targets();
  MERPATI_CO_CHECK(co_await source_.load_header());
  if (parts_.sender_account_id != 0) fill_in_missing();
  size_ = source_.size();
  if (source_.is_small()) {
    message_ = source_.take_whole();
  } else {
    const auto upload_options = options();
    MERPATI_CO_TRY(blob_id_, co_await source_.upload(site_, source_.header(), upload_options));
  }
  auto verdict = co_await ask_filter();
  if (verdict.has_error()) {
    if (!site_.policy.accept_unfiltered) co_return std::move(verdict).error();
    prepended_ = "X-Merpati-Filter: unchecked\r\n";
  } else if (auto refusal = apply_verdicts(*verdict)) {
    log_outcome(*refusal);
    co_return *refusal;
  }
  if (body_.source_case() == store::v1::Body::SOURCE_NOT_SET) {
    MERPATI_CO_TRY(body_, co_await make_body(edits_));
  }
  MERPATI_CO_CHECK(co_await fill_delivery());
  MERPATI_CO_CHECK(co_await fill_queue());
  MERPATI_CO_TRY(auto reply, co_await commit());
  log_outcome(reply);
  co_return reply;
}

/// Every account once, whatever number of its addresses the transaction names; every address elsewhere once.
void Acceptance::find_targets() {
  std::set<std::int64_t> accounts;
  std::set<std::string> addresses;
  for (const auto& recipient : transaction_.recipients) {
    if (!recipient.local) {
      if (addresses.insert(recipient.address).second)
        targets_.push_back({nullptr, recipient.address, false, recipient.discard});
      continue;
    }
    for (const auto& account : recipient.local->recipients())
      if (accounts.insert(account.claims().account_id()).second)
        targets_.push_back({&account, recipient.address, recipient.junk, recipient.discard});
    for (const auto& remote : recipient.local->remote_addresses())
      if (addresses.insert(remote).second) targets_.push_back({nullptr, remote, false, recipient.discard});
  }
}

Task<filter::v1::CheckMessageResponse> Acceptance::ask_filter() {
  filter::v1::CheckMessageRequest request;
  *request.mutable_transaction() = parts_.filter_view;
  for (const auto& target : targets_) {
    auto& recipient = *request.add_recipients();
    recipient.set_recipient(target.address);
    if (target.local == nullptr) continue;
    recipient.set_account_id(target.local->claims().account_id());
    recipient.set_detail(target.local->claims().detail());
    recipient.set_address(target.local->claims().address());
  }
  if (blob_id_.empty()) {
    request.set_message(std::move(message_));
  } else {
    request.set_header(std::string(source_.header()));
    request.set_blob_id(blob_id_);
  }
  request.set_size(size_);
  const auto call = options();
  auto verdict = co_await site_.filter.check_message(request, call);
  message_ = std::move(*request.mutable_message());
  co_return verdict;
}

/// The filter breaks its contract: a mistake of ours, that a later try may not meet.
Reply Acceptance::confused(const char* why) const {
  log::error("smtp_filter_confused", why, {{"delivery_id", transaction_.id}});
  return {451, "4.3.0", "Temporary error, try again later"};
}

/// The refusal of the whole message, if that is what the filter wants.
std::optional<Reply> Acceptance::apply_verdicts(filter::v1::CheckMessageResponse& verdict) {
  if (auto refusal = filter_refusal(verdict.decision(), verdict.reply())) return refusal;
  message_junk_ = verdict.decision() == filter::v1::DECISION_JUNK;
  if (verdict.decision() == filter::v1::DECISION_DISCARD) return Reply{250, "2.0.0", "Ok: " + transaction_.id};
  edits_ = std::move(*verdict.mutable_edits());
  prepended_ = prepended(edits_);
  if (verdict.has_reverse_path()) reverse_path_ = verdict.reverse_path();
  if (verdict.has_body()) {
    body_ = std::move(*verdict.mutable_body());
    if (edits_body(edits_)) return confused("it edits the header of a message that it gave a new body");
  }
  if (verdict.recipients_size() == 0) return std::nullopt;
  if (verdict.recipients_size() != static_cast<int>(targets_.size()))
    return confused("it answered for another number of recipients");
  std::size_t refused = 0;
  std::optional<Reply> last_refusal;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    auto& target = targets_[i];
    target.verdict = std::move(*verdict.mutable_recipients(static_cast<int>(i)));
    if (auto refusal = filter_refusal(target.verdict.decision(), target.verdict.reply())) {
      // Nobody has it yet: the client tries again for all, or hears that it cannot be sent as it is.
      if (!refusal->permanent() || target.local == nullptr) return refusal;
      ++refused;
      last_refusal = refusal;
      target.junk = true;  // a refusal that not all share files into Junk
      target.verdict.clear_actions();
    }
    if (target.verdict.decision() == filter::v1::DECISION_JUNK) target.junk = true;
    if (target.verdict.decision() == filter::v1::DECISION_DISCARD) target.discard = true;
    const bool anew = body_.source_case() != store::v1::Body::SOURCE_NOT_SET || target.verdict.has_body();
    if (anew && edits_body(target.verdict.edits()))
      return confused("it edits the header of a message that it gave a new body");
  }
  if (refused == targets_.size()) return last_refusal;
  return std::nullopt;
}

void Acceptance::log_outcome(const Reply& reply) const {
  log::info(reply.positive() ? "smtp_message_accepted" : "smtp_message_refused", reply.text,
            {{"trace_id", transaction_.trace_id},
             {"delivery_id", transaction_.id},
             {"code", reply.code},
             {"size", size_},
             {"recipients", transaction_.recipients.size()},
             {"client", parts_.received.client.to_string()},
             {"account_id", parts_.sender_account_id}});
}

}  // namespace merpati::smtp
