#include "filter/rpc/filter_service.hpp"

#include "filter/stored_message.hpp"
#include "filter/structure_engine.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {
void set_reply(const Refusal& refusal, v1::Reply& reply) {
  reply.set_code(refusal.code);
  reply.set_enhanced(refusal.enhanced);
  reply.set_text(refusal.text);
}

v1::Decision decision_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccept:
      return v1::DECISION_ACCEPT;
    case Outcome::kJunk:
      return v1::DECISION_JUNK;
    case Outcome::kTemporary:
      return v1::DECISION_TEMPORARY;
    case Outcome::kRefuse:
      return v1::DECISION_REFUSE;
  }
  return v1::DECISION_UNSPECIFIED;
}

MessageView view_of(const v1::CheckMessageRequest& request) {
  const v1::Transaction& transaction = request.transaction();
  MessageView view;
  view.whole = !request.message().empty() || request.size() == 0;
  view.message = request.message();
  boost::system::error_code no_address;  // then it stays unspecified
  view.client = boost::asio::ip::make_address(transaction.client_address(), no_address);
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

void add_symbol(const Symbol& symbol, const std::string& whose, v1::CheckMessageResponse& response) {
  v1::Symbol& out = *response.add_symbols();
  out.set_name(symbol.name);
  out.set_score(symbol.score);
  out.set_detail(symbol.detail + whose);
  out.set_not_checked(symbol.not_checked);
  out.set_engine(symbol.engine);
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
      scoring_(std::move(scoring)),
      store_(std::move(store)),
      engines_(metrics, scoring_) {
  engines_.add(std::make_shared<StructureEngine>(limits, blocking), CircuitBreaker::never());
  for (std::size_t i = v1::DECISION_ACCEPT; i < kDecisionNames.size(); ++i) {
    decisions_[i] = metrics.counter("merpati_filter_messages_total", "Messages judged, by decision",
                                    {{"decision", std::string(kDecisionNames[i])}});
  }
}

Task<v1::CheckConnectionResponse> FilterService::check_connection(rpc::Context& context,
                                                                  const v1::CheckConnectionRequest& request) {
  v1::CheckConnectionResponse response;
  response.set_decision(v1::DECISION_ACCEPT);
  const v1::Transaction& transaction = request.transaction();
  const bool stranger = transaction.authenticated_account_id() == 0 && transaction.listener() != "submission";
  boost::system::error_code no_address;
  const auto client = boost::asio::ip::make_address(transaction.client_address(), no_address);
  if (!client_check_ || !stranger || no_address) co_return response;
  // What cannot be found out now is asked again of the message.
  const auto found = co_await with_deadline(client_check_(client), context.deadline());
  const auto refusal = found.has_value() ? refusal_of(*found, scoring_) : std::nullopt;
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
  Spool spool;
  std::string joined;
  MessageView view = view_of(request);
  if (!view.whole && !request.blob_id().empty() && request.size() <= limits_.max_scanned_size && store_) {
    MERPATI_CO_CHECK(co_await read_message(request, context, spool));
    MERPATI_CO_TRY(view.message, spool.view());
    view.whole = true;
  } else if (!request.header_prefix().empty()) {
    joined = request.header_prefix() + (view.whole ? request.message() : request.header());
    if (view.whole) view.message = joined;
  }
  std::string_view header = view.whole ? view.message : joined.empty() ? request.header() : std::string_view(joined);
  view.header_block = header.substr(0, mime::header_block_size(header));
  v1::CheckMessageResponse response;
  std::vector<EngineReport> reports;
  if (request.scripts_only()) {
    response.set_decision(v1::DECISION_ACCEPT);
    for (int i = 0; i < request.recipients_size(); ++i) response.add_recipients()->set_decision(v1::DECISION_ACCEPT);
  } else {
    MERPATI_CO_TRY(reports, co_await engines_.run(view, context.deadline()));
    response = answer(request, view.header_block, reports);
    for (const auto& report : reports)
      if (report.findings.authentication) view.authentication = report.findings.authentication.get();
    for (const auto& tell : judged_) tell(view, reports);
  }
  rpc::CallOptions call;
  call.deadline = context.deadline();
  call.trace_id = context.trace();
  if (sieve_ != nullptr) MERPATI_CO_CHECK(co_await sieve_->apply(request, view, call, response));
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

Task<void> FilterService::read_message(const v1::CheckMessageRequest& request, const rpc::Context& context,
                                       Spool& into) {
  MERPATI_CO_CHECK(into.open());
  if (!request.header_prefix().empty()) MERPATI_CO_CHECK(into.add(request.header_prefix()));
  rpc::CallOptions options;
  options.deadline = context.deadline();
  options.trace_id = context.trace();
  options.cell = request.cell();
  co_return co_await read_blob(store_, request.blob_id(), std::move(options),
                               limits_.max_scanned_size + request.header_prefix().size(), into);
}

v1::CheckMessageResponse FilterService::answer(const v1::CheckMessageRequest& request, std::string_view block,
                                               std::span<const EngineReport> reports) const {
  v1::CheckMessageResponse response;
  const Verdict judged = decide(reports, scoring_);
  const v1::Transaction& transaction = request.transaction();
  response.set_decision(decision_of(judged.outcome));
  response.set_score(judged.score);
  if (judged.reply) set_reply(*judged.reply, *response.mutable_reply());
  for (const Symbol& symbol : judged.symbols) add_symbol(symbol, {}, response);
  for (const auto& [recipient, symbol] : judged.of_recipients) {
    // Not by name: who may see the message may not see all of its recipients.
    const bool alone = request.recipients_size() == 1;
    add_symbol(symbol, alone ? std::string() : ", for recipient " + std::to_string(recipient + 1), response);
  }
  for (const EngineReport& report : reports) {
    v1::EngineRun& run = *response.add_engines();
    run.set_engine(report.engine);
    run.set_checked(report.checked);
    run.set_duration_us(report.took.count());
  }
  const Thresholds& thresholds = scoring_.thresholds;
  response.mutable_thresholds()->set_junk(thresholds.junk);
  response.mutable_thresholds()->set_temporary(thresholds.temporary);
  response.mutable_thresholds()->set_refuse(thresholds.refuse);

  for (const v1::FilterRecipient& recipient : request.recipients()) {
    v1::RecipientVerdict& verdict = *response.add_recipients();
    verdict.set_decision(
        decision_of(outcome_for(static_cast<std::size_t>(response.recipients_size() - 1), judged, scoring_)));
    if (judged.reply) {
      set_reply(*judged.reply, *verdict.mutable_reply());
      continue;
    }
    // Somebody who sends again what is in his own mailbox is no loop.
    const bool local_from_outside = recipient.account_id() != 0 && transaction.authenticated_account_id() == 0;
    if (local_from_outside && was_delivered_to(block, recipient.recipient())) {
      verdict.set_decision(v1::DECISION_REFUSE);
      set_reply({"LOOP", 554, "5.4.6", "Routing loop: the message was delivered to this address before"},
                *verdict.mutable_reply());
    }
  }

  add_results(transaction, block, reports, response);
  return response;
}

/// Authentication-Results of ours, and away with those that only look like it (RFC 8601 5).
void FilterService::add_results(const v1::Transaction& transaction, std::string_view block,
                                std::span<const EngineReport> reports, v1::CheckMessageResponse& response) const {
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
