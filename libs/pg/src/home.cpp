#include "home.hpp"

#include <algorithm>

#include "pooler.hpp"

namespace merpati::pg {
namespace {
using namespace std::chrono_literals;
constexpr auto kSweepEvery = 20ms;
// Sweeps without a word from the server while somebody waits. Counted, so that a stop of our own does not count.
constexpr int kQuietUntilProbe = 10;    // 200 ms
constexpr int kQuietAfterAnswer = -40;  // it lives and is slow: asked again a second later
constexpr auto kFirstBackoff = 50ms;
constexpr auto kLongestBackoff = 1000ms;
}  // namespace

Home::Home(asio::any_io_executor loop, std::shared_ptr<PoolShared> shared)
    : loop_(loop),
      shared_(std::move(shared)),
      sweep_timer_(loop),
      retry_timer_(loop),
      random_(std::random_device{}()) {}

int Home::limit(Lane which) const {
  return which == Lane::kRead ? shared_->options.read_connections : shared_->options.write_connections;
}

std::size_t Home::depth(Lane which) const {
  return static_cast<std::size_t>(which == Lane::kRead ? shared_->options.read_depth : shared_->options.write_depth);
}

void Home::submit(std::shared_ptr<Op> op) {
  shared_->queries.fetch_add(1, std::memory_order_relaxed);
  if (closed_) return op->complete(Error(ErrorCode::kUnavailable, "the pool is closed"));
  auto& state = lane(op->lane);
  if (broken_ && state.connections.empty()) return op->complete(broken_why_);
  if (state.waiting.size() >= shared_->options.max_waiting)
    return op->complete(Error(ErrorCode::kResourceExhausted, "too many queries wait for PostgreSQL"));
  const auto which = op->lane;
  state.waiting.push_back(std::move(op));
  start_sweeping();
  pump(which);
}

void Home::pump(Lane which) {
  auto& state = lane(which);
  while (!closed_ && !state.waiting.empty()) {
    if (state.waiting.front()->finished()) {  // cancelled before it was sent
      state.waiting.pop_front();
      continue;
    }
    Connection* best = nullptr;
    for (const auto& connection : state.connections)
      if (connection->open() && (!best || connection->in_flight() < best->in_flight())) best = connection.get();
    const int total = static_cast<int>(state.connections.size()) + state.connecting;
    if ((!best || best->in_flight() > 0) && total < limit(which) && !broken_) connect(which);
    if (!best || best->in_flight() >= depth(which)) break;
    auto op = std::move(state.waiting.front());
    state.waiting.pop_front();
    auto keep = best->shared_from_this();
    keep->send(std::move(op));
  }
  count();
}

void Home::connect(Lane which) {
  ++lane(which).connecting;
  asio::post(shared_->connector, [self = shared_from_this(), which] {
    asio::post(self->loop_,
               [self, which, result = self->open()]() mutable { self->connected(which, std::move(result)); });
  });
}

Result<Handle> Home::open() {
  const auto& options = shared_->options;
  // Where the server is gone or silent a whole connection would be waited for much longer than for its first octet.
  if (broken_) MERPATI_CHECK(shared_->prober.ask(options.dsn));
  MERPATI_TRY(auto handle,
              open_connection(options.dsn, shared_->server_options, options.application_name, options.connect_timeout));
  if (!shared_->pooler_checked) {
    MERPATI_CHECK(check_pooler(handle.get(), options.schema, options.dsn, shared_->server_options,
                               options.application_name, options.connect_timeout));
    shared_->pooler_checked = true;
  }
  return handle;
}

void Home::connected(Lane which, Result<Handle> result) {
  auto& state = lane(which);
  --state.connecting;
  if (closed_) return;
  if (!result) {
    shared_->connect_failures.fetch_add(1, std::memory_order_relaxed);
    // A failure beside working connections (the server's limit, say) does not mean that the server is gone.
    if (state.connections.empty()) break_circuit(result.error());
    return;
  }
  shared_->connects.fetch_add(1, std::memory_order_relaxed);
  broken_ = false;
  quiet_sweeps_ = 0;
  backoff_ = 0ms;
  const std::weak_ptr<Home> weak = weak_from_this();
  Connection::Events events;
  events.freed = [weak, which] {
    if (auto self = weak.lock()) self->pump(which);
  };
  events.repeat = [weak](std::shared_ptr<Op> op) {
    if (auto self = weak.lock())
      self->repeat(std::move(op));
    else
      op->complete(Error(ErrorCode::kUnavailable, "the pool is closed"));
  };
  events.lost = [weak, which](Connection* connection, const Error& why) {
    if (auto self = weak.lock()) self->lost(which, connection, why);
  };
  auto connection = std::make_shared<Connection>(loop_, std::move(*result), std::move(events));
  state.connections.push_back(connection);
  connection->start();
  pump(which);
}

void Home::lost(Lane which, Connection* connection, const Error& why) {
  auto& connections = lane(which).connections;
  std::erase_if(connections, [&](const auto& item) { return item.get() == connection; });
  // Try again at once; only when that fails too is the server taken for gone.
  if (!closed_ && !lane(which).waiting.empty()) pump(which);
  count();
}

void Home::repeat(std::shared_ptr<Op> op) {
  shared_->conflicts.fetch_add(1, std::memory_order_relaxed);
  if (op->conflicts == 0) return submit(std::move(op));
  auto timer = std::make_shared<asio::steady_timer>(loop_, jittered(2ms * (1 << std::min(op->conflicts, 6))));
  timer->async_wait([self = shared_from_this(), timer, op = std::move(op)](const boost::system::error_code&) mutable {
    self->submit(std::move(op));
  });
}

void Home::break_circuit(const Error& why) {
  broken_ = true;
  broken_why_ = why;
  for (auto& state : lanes_) {
    if (!state.connections.empty()) continue;
    for (auto& op : state.waiting) op->complete(why);
    state.waiting.clear();
  }
  backoff_ =
      std::clamp(backoff_ * 2, std::chrono::milliseconds(kFirstBackoff), std::chrono::milliseconds(kLongestBackoff));
  retry_timer_.expires_after(backoff_ / 2 + jittered(backoff_));
  retry_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (error || !self || self->closed_) return;
    // Half open: one attempt; its success closes the circuit.
    auto& state = self->lane(Lane::kWrite);
    if (self->broken_ && state.connecting == 0 && state.connections.empty())
      self->connect(Lane::kWrite);
    else if (self->broken_ && state.connecting == 0)
      self->broken_ = false;
  });
  count();
}

/// A server that is stopped, or behind a network that swallows everything, closes nothing: TCP would wait for minutes.
void Home::ask_whether_alive() {
  for (auto& state : lanes_)
    for (const auto& connection : state.connections)
      if (connection->heard()) quiet_sweeps_ = std::min(quiet_sweeps_, 0);
  if (++quiet_sweeps_ < kQuietUntilProbe || asking_ || broken_) return;
  asking_ = true;
  asio::post(shared_->asker, [self = shared_from_this()] {
    auto answer = self->shared_->prober.ask(self->shared_->options.dsn);
    asio::post(self->loop_, [self, answer = std::move(answer)] {
      self->asking_ = false;
      if (self->closed_) return;
      if (answer.has_value())
        self->quiet_sweeps_ = kQuietAfterAnswer;
      else if (self->quiet_sweeps_ >= kQuietUntilProbe)  // nor did anybody hear from it meanwhile
        self->fall_silent(answer.error());
    });
  });
}

void Home::fall_silent(const Error& why) {
  for (auto& state : lanes_)
    for (const auto& connection : std::exchange(state.connections, {})) connection->close(why);
  break_circuit(why);
}

void Home::fail_waiting(const Error& why) {
  for (auto& state : lanes_) {
    for (auto& op : state.waiting) op->complete(why);
    state.waiting.clear();
  }
}

void Home::start_sweeping() {
  if (sweeping_) return;
  sweeping_ = true;
  sweep_timer_.expires_after(kSweepEvery);
  sweep_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (error || !self) return;
    self->sweeping_ = false;
    self->sweep();
  });
}

void Home::sweep() {
  if (closed_) return;
  const auto now = std::chrono::steady_clock::now();
  bool busy = false;
  ask_whether_alive();
  for (auto& state : lanes_) {
    std::erase_if(state.waiting, [&](const std::shared_ptr<Op>& op) {
      if (op->deadline.at() <= now)
        op->complete(
            Error(ErrorCode::kDeadlineExceeded, "no connection to PostgreSQL in time: " + op->statement->name));
      return op->finished();
    });
    // statement_timeout ends a slow statement; a connection silent for longer than that is dead.
    const auto silent = now - shared_->options.statement_timeout - 10s;
    for (const auto& connection : std::vector(state.connections)) {
      if (connection->oldest() < silent)
        connection->fail(Error(ErrorCode::kUnavailable, "PostgreSQL does not answer"));
      else
        connection->expire(now);
      busy = busy || connection->in_flight() > 0;
    }
    busy = busy || !state.waiting.empty();
  }
  if (busy) start_sweeping();
  count();
}

void Home::close() {
  if (closed_) return;
  closed_ = true;
  sweep_timer_.cancel();
  retry_timer_.cancel();
  const Error why(ErrorCode::kUnavailable, "the pool is closed");
  fail_waiting(why);
  for (auto& state : lanes_) {
    for (const auto& connection : state.connections) connection->close(why);
    state.connections.clear();
  }
  count();
}

std::chrono::milliseconds Home::jittered(std::chrono::milliseconds upto) {
  return std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, upto.count())(random_));
}

void Home::count() {
  std::size_t connections = 0, in_flight = 0, waiting = 0;
  for (const auto& state : lanes_) {
    connections += state.connections.size();
    waiting += state.waiting.size();
    for (const auto& connection : state.connections) in_flight += connection->in_flight();
  }
  auto move = [](std::atomic<std::size_t>& total, std::size_t& mine, std::size_t now) {
    if (now != mine) total.fetch_add(now - mine, std::memory_order_relaxed);
    mine = now;
  };
  move(shared_->connections, counted_connections_, connections);
  move(shared_->in_flight, counted_in_flight_, in_flight);
  move(shared_->waiting, counted_waiting_, waiting);
}

}  // namespace merpati::pg
