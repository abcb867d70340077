// One message's life: the events that store and queue keep, put together.
#include <algorithm>
#include <set>

#include "admin/rpc/admin_service.hpp"
#include "admin/trace_view.hpp"

namespace merpati::admin {
namespace {

constexpr std::size_t kMostTraces = 20;  // that one Message-ID may lead to

}  // namespace

Task<v1::GetTraceResponse> AdminService::get_trace(rpc::Context& context, const v1::GetTraceRequest& request) {
  // Everybody with a token may ask; what a domain admin sees is decided by what is found.
  MERPATI_CO_TRY(const Token token, co_await tokens_.authenticate(context.token(), context.deadline()));
  Act act{"GetTrace", request.id(), Act::Reach::kDomain, false, {token.domain}};
  co_return co_await run(context, std::move(act), find_trace(context, token, request.id()));
}

Task<v1::GetTraceResponse> AdminService::find_trace(const rpc::Context& context, const Token& token,
                                                    const std::string& id) {
  MERPATI_CO_TRY(auto wanted, wanted_events(id));
  const auto options = forward(context);
  v1::GetTraceResponse response;
  if (wanted.trace_ids().empty()) {
    // Only the queue has these keys: the edge's events and its own.
    MERPATI_CO_TRY(const auto found, co_await queue_trace_.find_events(wanted, options));
    std::set<std::string> ids;
    for (const auto& event : found.events()) {
      if (ids.size() < kMostTraces) ids.insert(event.trace_id());
      response.set_truncated(response.truncated() || !ids.contains(event.trace_id()));
    }
    response.set_truncated(response.truncated() || found.truncated());
    if (ids.empty()) co_return no_trace();
    wanted.Clear();
    for (const auto& one : ids) wanted.add_trace_ids(one);
  }
  std::vector<trace::v1::Event> events;
  const auto take = [&](const std::string& service, Result<trace::v1::FindEventsResponse> found) {
    if (found.has_error()) {
      response.add_unreachable(service);
      return;
    }
    response.set_truncated(response.truncated() || found->truncated());
    for (auto& event : *found->mutable_events()) events.push_back(std::move(event));
  };
  take("queue", co_await queue_trace_.find_events(wanted, options));
  for (const auto& cell : cells_) {
    auto to_cell = options;
    to_cell.cell = cell;
    take(cell.empty() ? "store" : "store of cell " + cell, co_await store_trace_.find_events(wanted, to_cell));
  }
  if (token.role == Role::kDomainAdmin) keep_domain(events, token.domain);
  if (events.empty() && response.unreachable().empty()) co_return no_trace();
  put_in_order(events);
  for (auto& event : events) *response.add_events() = std::move(event);
  co_return response;
}

}  // namespace merpati::admin
