#include "queue/local_scripts.hpp"

#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::queue {
namespace {

using filter::v1::HeaderEdit;

constexpr auto kAskTimeout = std::chrono::minutes(1);
constexpr auto kSettleTimeout = std::chrono::seconds(5);
constexpr std::size_t kLongestHeader = 256 * 1024;

rpc::CallOptions options_for(const LeasedItem& item, std::chrono::nanoseconds timeout) {
  rpc::CallOptions options;
  options.deadline = Deadline::after(timeout);
  options.trace_id = item.message->trace_id;
  options.cell = item.message->cell;
  return options;
}

Task<filter::v1::CheckMessageRequest> make_request(const LeasedItem& item, Content& content,
                                                   const LocalRecipients& recipients,
                                                   const RemoteAddresses& elsewhere) {
  const Message& message = *item.message;
  filter::v1::CheckMessageRequest request;
  request.set_scripts_only(true);
  auto& transaction = *request.mutable_transaction();
  transaction.set_delivery_id(item.uuid);
  transaction.set_trace_id(message.trace_id);
  transaction.set_reverse_path(message.reverse_path);
  transaction.set_listener("queue");
  transaction.set_authenticated_account_id(message.sender_account_id);
  transaction.set_smtputf8(message.smtputf8);
  for (const auto& each : recipients) {
    const auto& claims = each.claims();
    auto& recipient = *request.add_recipients();
    recipient.set_account_id(claims.account_id());
    recipient.set_recipient(claims.recipient().empty() ? item.recipient : claims.recipient());
    recipient.set_detail(claims.detail());
    recipient.set_address(claims.address());
    recipient.set_cell(claims.cell());
  }
  for (const std::string& address : elsewhere) {
    auto& recipient = *request.add_recipients();
    recipient.set_recipient(address);
    recipient.set_alias(item.recipient);
  }
  request.set_header_prefix(message.header_prefix);
  request.set_size(message.size - message.header_prefix.size());
  request.set_cell(message.cell);
  if (const std::string* body = content.inline_body()) {
    request.set_message(*body);
    co_return request;
  }
  request.set_blob_id(message.blob_id);
  // For the case that the whole is too large for the filter.
  MERPATI_CO_TRY(std::string begin, co_await content.beginning(kLongestHeader));
  begin.erase(0, message.header_prefix.size());
  request.set_header(begin.substr(0, mime::header_block_size(begin)));
  co_return request;
}

std::string prepended(const google::protobuf::RepeatedPtrField<HeaderEdit>& edits) {
  std::string out;
  for (const auto& edit : edits)
    if (edit.kind() == HeaderEdit::KIND_PREPEND)
      out.append(edit.name()).append(": ").append(edit.value()).append("\r\n");
  return out;
}

void add_copies(const auth::v1::Recipient& recipient, const LeasedItem& item,
                const filter::v1::RecipientVerdict& verdict, LocalPlan& plan) {
  const auto& claims = recipient.claims();
  LocalCopy copy;
  copy.grant = recipient.grant();
  copy.address = claims.recipient().empty() ? item.recipient : claims.recipient();
  copy.cell = claims.cell();
  copy.junk = verdict.decision() == filter::v1::DECISION_JUNK;
  if (verdict.actions().empty()) plan.copies.push_back(copy);
  for (const auto& action : verdict.actions()) {
    if (!action.has_file_into()) continue;
    plan.copies.push_back(copy);
    plan.copies.back().into = action.file_into();
    ++copy.part;
  }
}

Departure redirected(const LeasedItem& item, const filter::v1::Redirect& redirect) {
  Departure out;
  out.reverse_path = redirect.reverse_path();
  out.prefix = prepended(redirect.edits()) + item.message->header_prefix;
  out.recipients.push_back(redirect.address());
  out.notify = redirect.notify();
  out.headers_only = redirect.return_headers_only();
  if (redirect.body().has_inline_()) out.octets = redirect.body().inline_();
  out.blob_id = redirect.body().blob_id();
  return out;
}

/// What leads to one address elsewhere; with what leads to others when it differs in nothing else.
void add_forward(const LeasedItem& item, const std::string& address, const filter::v1::RecipientVerdict& verdict,
                 LocalPlan& plan) {
  filter::v1::Redirect as_it_is;
  as_it_is.set_address(address);
  as_it_is.set_reverse_path(item.message->reverse_path);
  const bool redirects = verdict.actions_size() > 0 && verdict.actions(0).has_redirect();
  Departure out = redirected(item, redirects ? verdict.actions(0).redirect() : as_it_is);
  out.by_alias = true;
  out.notify = item.notify;
  out.headers_only = item.message->headers_only;
  for (Departure& other : plan.forwards) {
    const bool alike = other.reverse_path == out.reverse_path && other.prefix == out.prefix &&
                       other.octets == out.octets && other.blob_id == out.blob_id;
    if (!alike) continue;
    other.recipients.push_back(address);
    return;
  }
  out.name = plan.forwards.empty() ? "forward" : "forward " + std::to_string(plan.forwards.size());
  plan.forwards.push_back(std::move(out));
}

void add_departures(const LeasedItem& item, const filter::v1::RecipientVerdict& verdict, LocalPlan& plan) {
  for (const auto& action : verdict.actions()) {
    const std::string name = "script " + std::to_string(plan.departures.size());
    if (action.has_redirect()) {
      plan.departures.push_back(redirected(item, action.redirect()));
      plan.departures.back().name = name;
    } else if (action.has_send()) {
      auto& out = plan.departures.emplace_back();
      out.name = name;
      out.reverse_path = action.send().reverse_path();
      out.octets = action.send().message();
      out.recipients.assign(action.send().recipients().begin(), action.send().recipients().end());
      out.composed = true;
    }
  }
}

bool goes_on(const filter::v1::RecipientVerdict& verdict, LocalPlan& plan) {
  if (verdict.decision() == filter::v1::DECISION_DISCARD) return false;
  if (verdict.decision() != filter::v1::DECISION_REFUSE) return true;
  const auto& reply = verdict.reply();
  plan.refusal = Outcome::failed(reply.enhanced().empty() ? "5.7.1" : reply.enhanced(), reply.text());
  return false;
}

}  // namespace

Task<LocalPlan> LocalScripts::ask(const LeasedItem& item, Content& content, const LocalRecipients& recipients,
                                  const RemoteAddresses& elsewhere) {
  LocalPlan plan;
  filter::v1::CheckMessageResponse response;
  LocalRecipients with_scripts;
  if (!item.message->scripted) with_scripts = recipients;
  const int asked = filter_ ? with_scripts.size() + elsewhere.size() : 0;
  if (asked > 0) {
    MERPATI_CO_TRY(const auto request, co_await make_request(item, content, with_scripts, elsewhere));
    filter::v1::FilterClient client(filter_);
    const auto options = options_for(item, kAskTimeout);
    MERPATI_CO_TRY(response, co_await client.check_message(request, options));
    if (response.recipients_size() != asked)
      co_return Error(ErrorCode::kInternal, "the filter answered for another number of recipients");
  }
  plan.settle = response.settle();
  const filter::v1::RecipientVerdict unasked;
  const auto verdict_of = [&](int i) -> const filter::v1::RecipientVerdict& {
    return i < response.recipients_size() ? response.recipients(i) : unasked;
  };
  for (int i = 0; i < recipients.size(); ++i) {
    const auto& verdict = i < with_scripts.size() ? verdict_of(i) : unasked;
    if (!goes_on(verdict, plan)) continue;
    add_copies(recipients[i], item, verdict, plan);
    add_departures(item, verdict, plan);
  }
  for (int i = 0; i < elsewhere.size(); ++i) {
    const auto& verdict = verdict_of(with_scripts.size() + i);
    if (goes_on(verdict, plan)) add_forward(item, elsewhere[i], verdict, plan);
  }
  co_return plan;
}

Task<void> LocalScripts::settle(const LeasedItem& item, bool taken) {
  filter::v1::SettleMessageRequest request;
  request.set_delivery_id(item.uuid);
  request.set_taken(taken);
  filter::v1::FilterClient client(filter_);
  const auto options = options_for(item, kSettleTimeout);
  MERPATI_CO_CHECK(co_await client.settle_message(request, options));
  co_return Result<void>();
}

}  // namespace merpati::queue
