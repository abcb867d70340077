#include "filter/rpc/filter_service.hpp"

#include "filter/forwarding.hpp"
#include "filter/rpc/milters_service.hpp"
#include "filter/rpc/verdict_answer.hpp"
#include "filter/sender_identity.hpp"
#include "filter/stored_message.hpp"
#include "filter/structure_engine.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/net/address.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {
/// Not mapped into IPv6, so that networks are compared alike by all engines; unspecified when it is none.
boost::asio::ip::address client_of(const v1::Transaction& transaction) {
  boost::system::error_code no_address;
  return net::unmapped(boost::asio::ip::make_address(transaction.client_address(), no_address));
}

MessageView view_of(const v1::CheckMessageRequest& request) {
  const v1::Transaction& transaction = request.transaction();
  MessageView view;
  view.whole = !request.message().empty() || request.size() == 0;
  view.message = request.message();
  view.client = client_of(transaction);
  view.helo = transaction.helo();
  view.reverse_path = transaction.reverse_path();
  view.authenticated_account = transaction.authenticated_account_id();
  view.authenticated_address = transaction.authenticated_address();
  view.listener = transaction.listener();
  view.receiving_host = transaction.receiving_host();
  view.delivery_id = transaction.delivery_id();
  for (const auto& recipient : request.recipients()) {
    view.recipients.emplace_back(recipient.recipient());
    view.recipient_accounts.push_back(recipient.account_id());
  }
  return view;
}

/// "SPF_FAIL DKIM_NONE", at most 500 octets.
std::string names_of(const v1::CheckMessageResponse& response) {
  std::string out;
  for (const v1::Symbol& symbol : response.symbols()) {
    if (out.size() + symbol.name().size() > 500) break;
    if (!out.empty()) out += ' ';
    out += symbol.name();
  }
  return out;
}

constexpr std::array<std::string_view, v1::Decision_ARRAYSIZE> kDecisionNames = {"unspecified", "accept", "junk",
                                                                                 "temporary",   "refuse", "discard"};
}  // namespace

FilterService::FilterService(std::string authserv_id, CheckLimits limits, Scoring scoring, runtime::Metrics& metrics,
                             std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking)
    : authserv_id_(std::move(authserv_id)),
      limits_(limits),
      configured_(std::make_shared<const Rules>(Rules{std::move(scoring), {}})),
      store_(std::move(store)),
      engines_(metrics, configured_) {
  engines_.add(std::make_shared<StructureEngine>(limits, blocking), CircuitBreaker::never());
  for (std::size_t i = v1::DECISION_ACCEPT; i < kDecisionNames.size(); ++i) {
    decisions_[i] = metrics.counter("merpati_filter_messages_total", "Messages judged, by decision",
                                    {{"decision", std::string(kDecisionNames[i])}});
    of_recipients_[i] = metrics.counter("merpati_filter_recipients_total", "Recipients' copies judged, by decision",
                                        {{"decision", std::string(kDecisionNames[i])}});
  }
}

Task<v1::CheckConnectionResponse> FilterService::check_connection(rpc::Context& context,
                                                                  const v1::CheckConnectionRequest& request) {
  v1::CheckConnectionResponse response;
  response.set_decision(v1::DECISION_ACCEPT);
  const v1::Transaction& transaction = request.transaction();
  const bool stranger = transaction.authenticated_account_id() == 0 && transaction.listener() != "submission";
  const auto client = client_of(transaction);
  if (!client_check_ || !stranger || client.is_unspecified()) co_return response;
  // What cannot be found out now is asked again of the message.
  const auto found = co_await with_deadline(client_check_(client), context.deadline());
  const auto refusal = found.has_value() ? refusal_of(*found, configured_->scoring) : std::nullopt;
  if (!refusal) co_return response;
  response.set_decision(v1::DECISION_REFUSE);
  set_reply(*refusal, *response.mutable_reply());
  log::info("filter_client_refused", refusal->text,
            {{"client", transaction.client_address()}, {"symbol", refusal->symbol}});
  co_return response;
}

Task<v1::CheckRecipientResponse> FilterService::check_recipient(rpc::Context&, const v1::CheckRecipientRequest&) {
  v1::CheckRecipientResponse response;
  response.set_decision(v1::DECISION_ACCEPT);
  co_return response;
}

Task<v1::CheckMessageResponse> FilterService::check_message(rpc::Context& context,
                                                            const v1::CheckMessageRequest& request) {
  const v1::Transaction& transaction = request.transaction();
  if (!request.scripts_only() && !transaction.milters_asked() && needs_milters(milters_, transaction.listener()))
    co_return Error(ErrorCode::kUnavailable, "the milters of this listener were not asked");
  Octets octets, received_octets;
  MessageView view = view_of(request);
  MERPATI_CO_CHECK(co_await see(request, context, octets, view));
  MessageView received = view;
  if (request.has_received()) MERPATI_CO_CHECK(co_await see_received(request, context, received_octets, received));
  v1::CheckMessageResponse response;
  std::vector<EngineReport> reports;
  if (request.scripts_only()) {
    response.set_decision(v1::DECISION_ACCEPT);
    for (int i = 0; i < request.recipients_size(); ++i) response.add_recipients()->set_decision(v1::DECISION_ACCEPT);
  } else {
    MERPATI_CO_TRY(const auto rules, co_await rules_for(request, context.deadline()));
    MERPATI_CO_TRY(reports, co_await engines_.run(received, context.deadline(), rules));
    const Judgement judgement = judge(reports, rules, configured_);
    response = to_proto(judgement, rules, reports);
    refuse_loops(request, received.header_block, response);
    add_results(request, view.header_block, reports, response);
    for (const auto& report : reports)
      if (report.findings.authentication) received.authentication = report.findings.authentication.get();
    view.authentication = received.authentication;
    for (const auto& tell : judged_) tell(received, judgement.configured);
    for (const auto& recipient : response.recipients())
      of_recipients_[static_cast<std::size_t>(recipient.decision())].add();
  }
  rpc::CallOptions call;
  call.deadline = context.deadline();
  call.trace_id = context.trace();
  if (sieve_ != nullptr) MERPATI_CO_CHECK(co_await sieve_->apply(request, view, call, response));
  forward_aliases(request, view.header_block, srs_ ? &*srs_ : nullptr, WallTime::clock::now(), response);
  if (arc_ != nullptr) MERPATI_CO_CHECK(co_await arc_->apply(request, view, call, response));
  decisions_[static_cast<std::size_t>(response.decision())].add();
  log::info("filter_message_judged", response.reply().text(),
            {{"trace_id", context.trace_id()},
             {"delivery_id", request.transaction().delivery_id()},
             {"decision", kDecisionNames[static_cast<std::size_t>(response.decision())]},
             {"score", response.score()},
             {"symbols", names_of(response)}});
  co_return response;
}

Task<v1::SettleMessageResponse> FilterService::settle_message(rpc::Context& context,
                                                              const v1::SettleMessageRequest& request) {
  if (sieve_ != nullptr)
    MERPATI_CO_CHECK(co_await sieve_->settle(request.delivery_id(), request.taken(), context.deadline()));
  co_return v1::SettleMessageResponse();
}

Task<void> FilterService::see(const v1::CheckMessageRequest& request, const rpc::Context& context, Octets& octets,
                              MessageView& view) {
  if (!view.whole && !request.blob_id().empty() && request.size() <= limits_.max_scanned_size && store_) {
    MERPATI_CO_CHECK(co_await read_message(request, context, request.blob_id(), octets.spool));
    MERPATI_CO_TRY(view.message, octets.spool.view());
    view.whole = true;
  } else if (!request.header_prefix().empty()) {
    octets.joined = request.header_prefix() + (view.whole ? request.message() : request.header());
    if (view.whole) view.message = octets.joined;
  }
  const std::string_view header = view.whole              ? view.message
                                  : octets.joined.empty() ? request.header()
                                                          : std::string_view(octets.joined);
  view.header_block = header.substr(0, mime::header_block_size(header));
  co_return Result<void>();
}

/// `view` is the message as it is now.
Task<void> FilterService::see_received(const v1::CheckMessageRequest& request, const rpc::Context& context,
                                       Octets& octets, MessageView& view) {
  const v1::ReceivedMessage& received = request.received();
  if (received.has_reverse_path()) view.reverse_path = received.reverse_path();
  const bool own_blob = !received.blob_id().empty();
  if (!received.message().empty()) {
    view.message = received.message();
    view.whole = true;
  } else if (own_blob && received.size() <= limits_.max_scanned_size && store_) {
    MERPATI_CO_CHECK(co_await read_message(request, context, received.blob_id(), octets.spool));
    MERPATI_CO_TRY(view.message, octets.spool.view());
    view.whole = true;
  } else if (own_blob || !view.whole) {
    view.message = {};
    view.whole = false;
  } else {
    const auto body = view.message.substr(view.header_block.size());
    MERPATI_CO_CHECK(octets.spool.open());
    MERPATI_CO_CHECK(octets.spool.add(received.header()));
    MERPATI_CO_CHECK(octets.spool.add(body));
    MERPATI_CO_TRY(view.message, octets.spool.view());
  }
  const std::string_view header = view.whole ? view.message : std::string_view(received.header());
  view.header_block = header.substr(0, mime::header_block_size(header));
  co_return Result<void>();
}

Task<void> FilterService::read_message(const v1::CheckMessageRequest& request, const rpc::Context& context,
                                       const std::string& blob_id, Spool& into) {
  MERPATI_CO_CHECK(into.open());
  if (!request.header_prefix().empty()) MERPATI_CO_CHECK(into.add(request.header_prefix()));
  rpc::CallOptions options;
  options.deadline = context.deadline();
  options.trace_id = context.trace();
  options.cell = request.cell();
  co_return co_await read_blob(store_, blob_id, std::move(options),
                               limits_.max_scanned_size + request.header_prefix().size(), into);
}

/// Of recipients elsewhere, and where there are no policies, the configuration's.
Task<RulesOfRecipients> FilterService::rules_for(const v1::CheckMessageRequest& request, Deadline deadline) {
  const auto count = static_cast<std::size_t>(request.recipients_size());
  if (policies_ == nullptr) co_return RulesOfRecipients(count, configured_);
  std::vector<RecipientOwner> owners;
  owners.reserve(count);
  for (const auto& recipient : request.recipients()) {
    const std::string domain = domain_of(recipient.address());
    owners.push_back({recipient.account_id(), dns::to_ascii(domain).value_or(domain)});
  }
  co_return co_await policies_->rules_for(std::move(owners), deadline);
}

/// What was delivered to a recipient before goes round.
void FilterService::refuse_loops(const v1::CheckMessageRequest& request, std::string_view block,
                                 v1::CheckMessageResponse& response) const {
  // Somebody who sends again what is in his own mailbox is no loop.
  if (request.transaction().authenticated_account_id() != 0) return;
  for (int i = 0; i < request.recipients_size(); ++i) {
    const auto& recipient = request.recipients(i);
    v1::RecipientVerdict& verdict = *response.mutable_recipients(i);
    const bool taken = verdict.decision() == v1::DECISION_ACCEPT || verdict.decision() == v1::DECISION_JUNK;
    if (!taken || recipient.account_id() == 0 || !was_delivered_to(block, recipient.recipient())) continue;
    verdict.set_decision(v1::DECISION_REFUSE);
    set_reply({"LOOP", 554, "5.4.6", "Routing loop: the message was delivered to this address before"},
              *verdict.mutable_reply());
  }
}

/// Authentication-Results of ours, and away with those that only look like it (RFC 8601 5).
void FilterService::add_results(const v1::CheckMessageRequest& request, std::string_view block,
                                std::span<const EngineReport> reports, v1::CheckMessageResponse& response) const {
  const v1::Transaction& transaction = request.transaction();
  const std::string& name = authserv_id_.empty() ? transaction.receiving_host() : authserv_id_;
  v1::HeaderEdit& results = *response.add_edits();
  results.set_kind(v1::HeaderEdit::KIND_PREPEND);
  results.set_name("Authentication-Results");
  std::vector<mailauth::MethodResult> methods;
  if (transaction.authenticated_account_id() != 0) {
    methods.push_back({"auth", "pass", {{"smtp.auth", transaction.authenticated_address()}}, {}});
  }
  for (const EngineReport& report : reports) {
    const auto& found = report.findings.authentication;
    if (found) methods.insert(methods.end(), found->methods.begin(), found->methods.end());
  }
  results.set_value(mailauth::write_authentication_results(name, methods));
  if (request.results_checked()) return;  // what is left under our name is theirs
  const std::string own[] = {name, transaction.receiving_host()};
  const std::vector<std::size_t> forged = mailauth::forged_results(block, own);
  // From the last to the first, so that an index stays right when edits are made one after the other.
  for (auto index = forged.rbegin(); index != forged.rend(); ++index) {
    v1::HeaderEdit& edit = *response.add_edits();
    edit.set_kind(v1::HeaderEdit::KIND_DELETE);
    edit.set_name("Authentication-Results");
    edit.set_index(static_cast<std::int32_t>(*index));
  }
}

}  // namespace merpati::filter
