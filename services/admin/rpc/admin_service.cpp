#include "admin/rpc/admin_service.hpp"

#include "admin/rpc/convert.hpp"
#include "merpati/rpc/cell_channel.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::admin {
namespace {

/// Stands for a service that this installation does not have.
class AbsentChannel : public rpc::Channel {
 public:
  explicit AbsentChannel(std::string name) : name_(std::move(name)) {}
  Task<void> unary(const rpc::Method&, const rpc::MessageLite&, rpc::MessageLite&, const rpc::CallOptions&) override {
    co_return error();
  }
  Task<std::shared_ptr<rpc::Stream>> open(const rpc::Method&, const rpc::MessageLite*,
                                          const rpc::CallOptions&) override {
    co_return error();
  }

 private:
  Error error() const {
    const std::string text = "this installation has no service " + name_;
    return Error(ErrorCode::kUnavailable, text).with_public(text);
  }
  std::string name_;
};

Channel present(Channel channel, const char* name) {
  return channel ? std::move(channel) : std::make_shared<AbsentChannel>(name);
}

}  // namespace

AdminService::AdminService(Tokens& tokens, Audit& audit, Peers peers, runtime::Metrics& metrics, TaskGroup& tasks)
    : tokens_(tokens),
      audit_(audit),
      status_(std::move(peers.status)),
      directory_(present(std::move(peers.auth), "auth")),
      store_(present(peers.store, "store")),
      scripts_(present(peers.filter, "filter")),
      learning_(present(peers.filter, "filter")),
      dmarc_reports_(present(peers.filter, "filter")),
      policies_(present(std::move(peers.filter), "filter")),
      queue_(present(peers.queue, "queue")),
      store_trace_(present(peers.store, "store")),
      cells_(rpc::cells_of(*present(std::move(peers.store), "store"))),
      queue_trace_(present(std::move(peers.queue), "queue")),
      metrics_(metrics),
      tasks_(tasks) {}

rpc::CallOptions AdminService::forward(const rpc::Context& context) {
  rpc::CallOptions options;
  options.deadline = context.deadline();
  options.trace_id = context.trace();
  return options;
}

Task<std::int64_t> AdminService::admit(const rpc::Context& context, const Act& act) {
  MERPATI_CO_TRY(const Token token, co_await tokens_.authenticate(context.token(), context.deadline()));
  const auto allowed = check_access(token, act);
  if (!act.changes) {
    if (allowed.has_error()) co_return allowed.error();
    co_return 0;
  }
  AuditRow row;
  row.token_name = token.name;
  row.peer = context.peer();
  row.method = act.method;
  row.target = act.target;
  MERPATI_CO_TRY(const std::int64_t id, co_await audit_.begin(std::move(row), context.deadline()));
  if (allowed.has_error()) {
    co_await finish(act, id, to_string(allowed.error().code()));
    co_return allowed.error();
  }
  co_return id;
}

asio::awaitable<void> AdminService::finish(const Act& act, std::int64_t row, std::string_view outcome) {
  metrics_
      .counter("merpati_admin_calls_total", "Calls of operators",
               {{"method", std::string(act.method)}, {"outcome", std::string(outcome)}})
      .add();
  if (row == 0) co_return;
  const auto written = co_await audit_.finish(row, outcome, Deadline::after(std::chrono::seconds(5)));
  if (written.has_error()) {
    log::warning("audit_outcome_lost", "the outcome of an audit row could not be written",
                 {{"audit_id", row}, {"outcome", outcome}, {"error", written.error().describe()}});
  }
}

Task<v1::Token> AdminService::who_am_i(rpc::Context& context, const v1::WhoAmIRequest&) {
  MERPATI_CO_TRY(const Token token, co_await tokens_.authenticate(context.token(), context.deadline()));
  co_return to_proto(token);
}

}  // namespace merpati::admin
