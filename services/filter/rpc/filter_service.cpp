#include "filter/rpc/filter_service.hpp"

#include "filter/authentication_results.hpp"
#include "merpati/base/spool.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {
namespace {
void set_reply(const Refusal& refusal, v1::Reply& reply) {
  reply.set_code(refusal.code);
  reply.set_enhanced(refusal.enhanced);
  reply.set_text(refusal.text);
}

constexpr std::array<std::string_view, v1::Decision_ARRAYSIZE> kDecisionNames = {"unspecified", "accept", "junk",
                                                                                 "temporary",   "refuse", "discard"};
}  // namespace

FilterService::FilterService(std::string authserv_id, CheckLimits limits, runtime::Metrics& metrics,
                             std::shared_ptr<rpc::Channel> store, asio::thread_pool& blocking)
    : authserv_id_(std::move(authserv_id)), limits_(limits), store_(std::move(store)), blocking_(blocking) {
  for (std::size_t i = v1::DECISION_ACCEPT; i < kDecisionNames.size(); ++i) {
    decisions_[i] = metrics.counter("merpati_filter_messages_total", "Messages judged, by decision",
                                    {{"decision", std::string(kDecisionNames[i])}});
  }
}

Task<v1::CheckConnectionResponse> FilterService::check_connection(rpc::Context&, const v1::CheckConnectionRequest&) {
  v1::CheckConnectionResponse response;
  response.set_decision(v1::DECISION_ACCEPT);
  co_return response;
}

Task<v1::CheckRecipientResponse> FilterService::check_recipient(rpc::Context&, const v1::CheckRecipientRequest&) {
  v1::CheckRecipientResponse response;
  response.set_decision(v1::DECISION_ACCEPT);
  co_return response;
}

Task<v1::CheckMessageResponse> FilterService::check_message(rpc::Context& context,
                                                            const v1::CheckMessageRequest& request) {
  Parts parts = Parts::kInRequest;
  std::optional<Refusal> parts_refusal;
  if (request.message().empty() && request.size() > 0) {
    parts = Parts::kUnseen;
    if (!request.blob_id().empty() && request.size() <= limits_.max_scanned_size && store_) {
      MERPATI_CO_TRY(parts_refusal, co_await check_blob(request, context));
      parts = Parts::kSeen;
    }
  }
  v1::CheckMessageResponse response = judge(request, parts, parts_refusal);
  decisions_[static_cast<std::size_t>(response.decision())].add();
  log::info("filter_message_judged", response.reply().text(),
            {{"trace_id", context.trace_id()},
             {"delivery_id", request.transaction().delivery_id()},
             {"decision", kDecisionNames[static_cast<std::size_t>(response.decision())]},
             {"symbol", response.symbols_size() > 0 ? response.symbols(0).name() : std::string()}});
  co_return response;
}

Task<std::optional<Refusal>> FilterService::check_blob(const v1::CheckMessageRequest& request,
                                                       const rpc::Context& context) {
  Spool spool;
  MERPATI_CO_CHECK(spool.open());
  store::v1::StoreClient store(store_);
  store::v1::ReadBlobRequest wanted;
  wanted.set_blob_id(request.blob_id());
  rpc::CallOptions options;
  options.deadline = context.deadline();
  options.trace_id = context.trace_id();
  MERPATI_CO_TRY(auto reader, co_await store.read_blob(wanted, options));
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await reader->read());
    if (!chunk) break;
    if (spool.size() + chunk->chunk().size() > limits_.max_scanned_size)
      co_return Error(ErrorCode::kInvalidArgument, "the blob is larger than the request says");
    MERPATI_CO_CHECK(spool.add(chunk->chunk()));
  }
  MERPATI_CO_TRY(const auto message, spool.view());
  auto look = [message, limits = limits_] { return check_parts(message, limits); };
  co_return co_await run_blocking(blocking_, std::move(look));
}

v1::CheckMessageResponse FilterService::judge(const v1::CheckMessageRequest& request, Parts parts,
                                              const std::optional<Refusal>& parts_refusal) const {
  v1::CheckMessageResponse response;
  const v1::Transaction& transaction = request.transaction();
  const bool whole = parts == Parts::kInRequest;
  const std::string_view message = whole ? std::string_view(request.message()) : std::string_view(request.header());
  const std::string_view block = message.substr(0, mime::header_block_size(message));

  response.set_decision(v1::DECISION_ACCEPT);
  std::optional<Refusal> refusal = check_header(block, limits_);
  if (!refusal) refusal = whole ? check_parts(message, limits_) : parts_refusal;
  if (refusal) {
    response.set_decision(v1::DECISION_REFUSE);
    set_reply(*refusal, *response.mutable_reply());
    response.add_symbols()->set_name(refusal->symbol);
  } else if (parts == Parts::kUnseen) {
    v1::Symbol& symbol = *response.add_symbols();
    symbol.set_name("PARTS");
    symbol.set_not_checked(true);
  }

  for (const v1::FilterRecipient& recipient : request.recipients()) {
    v1::RecipientVerdict& verdict = *response.add_recipients();
    verdict.set_decision(response.decision());
    if (refusal) {
      set_reply(*refusal, *verdict.mutable_reply());
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

  const std::string& name = authserv_id_.empty() ? transaction.receiving_host() : authserv_id_;
  v1::HeaderEdit& results = *response.add_edits();
  results.set_kind(v1::HeaderEdit::KIND_PREPEND);
  results.set_name("Authentication-Results");
  results.set_value(authentication_results(
      name, {transaction.authenticated_account_id() != 0 ? transaction.authenticated_address() : std::string()}));
  const std::string own[] = {name, transaction.receiving_host()};
  const std::vector<std::size_t> forged = forged_results(block, own);
  // From the last to the first, so that an index stays right when edits are made one after the other.
  for (auto index = forged.rbegin(); index != forged.rend(); ++index) {
    v1::HeaderEdit& edit = *response.add_edits();
    edit.set_kind(v1::HeaderEdit::KIND_DELETE);
    edit.set_name("Authentication-Results");
    edit.set_index(static_cast<std::int32_t>(*index));
  }
  return response;
}

}  // namespace merpati::filter
