#include "merpati/pg/pool.hpp"

#include <boost/asio/async_result.hpp>

#include "home.hpp"

namespace merpati::pg {
namespace {

/// "-c name=value" with blanks and backslashes escaped, as libpq's `options` wants them.
std::string server_options(const PoolOptions& options) {
  auto settings = options.settings;
  settings.emplace("statement_timeout", std::to_string(options.statement_timeout.count()));
  settings.emplace("jit", "off");
  // Every statement reads by key: planning it for each value costs more than it can gain.
  settings.emplace("plan_cache_mode", "force_generic_plan");
  if (!options.schema.empty()) settings.emplace("search_path", options.schema + ",public");
  std::string text;
  for (const auto& [name, value] : settings) {
    text += text.empty() ? "-c " : " -c ";
    text += name + "=";
    for (const char c : value) {
      if (c == ' ' || c == '\\') text += '\\';
      text += c;
    }
  }
  return text;
}

asio::execution_context* context_of(const asio::any_io_executor& executor) {
  return &asio::query(executor, asio::execution::context);
}

double seconds(SteadyTime::duration time) { return std::chrono::duration<double>(time).count(); }

/// One that was cancelled may be sent at this moment: it tells nothing.
void observe(const PoolObserver& observer, const Op& op, SteadyTime asked) {
  if (op.sent_at == SteadyTime{}) return;
  if (observer.waited) observer.waited(seconds(op.sent_at - asked));
  if (observer.answered) observer.answered(op.lane, seconds(std::chrono::steady_clock::now() - op.sent_at));
}

}  // namespace

struct Pool::Impl {
  std::shared_ptr<PoolShared> shared = std::make_shared<PoolShared>();
  std::vector<std::shared_ptr<Home>> homes;
  std::atomic<std::size_t> next{0};

  void submit(std::shared_ptr<Op> op, const asio::any_io_executor& caller) {
    for (const auto& home : homes)
      if (context_of(home->loop()) == context_of(caller)) return home->submit(std::move(op));
    const auto& home = homes[next.fetch_add(1, std::memory_order_relaxed) % homes.size()];
    asio::post(home->loop(), [home, op = std::move(op)]() mutable { home->submit(std::move(op)); });
  }
};

Pool::Pool(std::vector<asio::any_io_executor> loops, PoolOptions options) : impl_(std::make_shared<Impl>()) {
  impl_->shared->server_options = server_options(options);
  impl_->shared->options = std::move(options);
  for (auto& loop : loops) impl_->homes.push_back(std::make_shared<Home>(std::move(loop), impl_->shared));
}

Pool::~Pool() {
  close();
  impl_->shared->connector.join();
  impl_->shared->asker.join();
}

Task<Rows> Pool::query(const Statement& statement, Params params, Deadline deadline, Lane lane) {
  auto executor = co_await asio::this_coro::executor;
  if (deadline.passed()) co_return Error(ErrorCode::kDeadlineExceeded, "deadline passed before the query");
  const auto asked = std::chrono::steady_clock::now();
  auto op = std::make_shared<Op>(statement, std::move(params), deadline, lane);
  auto impl = impl_;
  auto start = [&](auto handler) {
    op->wait(std::move(handler), executor);
    impl->submit(op, executor);
  };
  auto result =
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<Rows>)>(start, asio::use_awaitable);
  if (result.has_error()) impl->shared->failures.fetch_add(1, std::memory_order_relaxed);
  observe(impl->shared->options.observer, *op, asked);
  co_return result;
}

Task<void> Pool::start(Deadline deadline) {
  static const Statement kOne{"pg_start", "select 1"};
  MERPATI_CO_CHECK(co_await query(kOne, {}, deadline, Lane::kWrite));
  co_return Result<void>();
}

void Pool::close() {
  for (const auto& home : impl_->homes) asio::post(home->loop(), [home] { home->close(); });
}

bool Pool::available() const {
  for (const auto& home : impl_->homes)
    if (home->available()) return true;
  return false;
}

PoolStats Pool::stats() const {
  const auto& s = *impl_->shared;
  return {s.connections, s.in_flight, s.waiting, s.queries, s.failures, s.conflicts, s.connects, s.connect_failures};
}

const PoolOptions& Pool::options() const { return impl_->shared->options; }

}  // namespace merpati::pg
