#include "mux_client.hpp"

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <unordered_map>
#include <vector>

#include "mux_wire.hpp"
#include "wire.hpp"

namespace merpati::rpc {

namespace {

constexpr auto kSweep = std::chrono::milliseconds(10);
constexpr auto kConnect = std::chrono::seconds(1);
constexpr auto kHandshake = std::chrono::seconds(5);  // until credit; a busy server may take a while
// Without a word from the server while somebody waits, in sweeps of this loop: a stop of our own does not count, and on
// a busy machine, where sweeps come late, an answer may come late, too.
constexpr auto kQuietUntilPing = std::chrono::milliseconds(50);
constexpr auto kBetweenAsking = std::chrono::milliseconds(50);  // the other replicas, so that all are known at once
constexpr auto kQuietUntilStalled = std::chrono::milliseconds(600);  // calls fail, until the server is heard again
constexpr auto kQuietUntilEnd = std::chrono::seconds(7);             // the connection ends
constexpr auto kHeardOfLate = std::chrono::milliseconds(200);
constexpr auto kHeardJustNow = std::chrono::milliseconds(50);
constexpr auto kBetweenLooks = std::chrono::milliseconds(50);  // while streams depend on the server
constexpr std::size_t kWaitingCalls = 4096;                    // until the server says what it allows
constexpr std::size_t kWaitingBytes = 4 << 20;

// A call that waits for its answer. Completed exactly once, by whoever takes it out of the table.
struct Pending {
  virtual ~Pending() = default;
  virtual void resume(std::unique_ptr<Pending> self) = 0;
  Deadline deadline;
  std::size_t bytes = 0;
  FrameWriter held;                 // the call itself, until the connection is open
  MessageLite* response = nullptr;  // null: asks only whether the server lives
  Attempt* attempt = nullptr;
};

template <class Handler>
struct PendingOf final : Pending {
  explicit PendingOf(Handler h) : handler(std::move(h)), work(asio::make_work_guard(handler)) {}
  void resume(std::unique_ptr<Pending> self) override {
    auto executor = work.get_executor();
    // dispatch: a batch of answers resumes its callers one after the other without a trip through the queue for each.
    asio::dispatch(executor, [self = std::move(self)]() mutable {
      auto& own = static_cast<PendingOf&>(*self);
      if (auto slot = asio::get_associated_cancellation_slot(own.handler); slot.is_connected()) slot.clear();
      Handler go_on = std::move(own.handler);
      self.reset();
      std::move(go_on)();
    });
  }
  Handler handler;
  asio::executor_work_guard<asio::associated_executor_t<Handler>> work;
};

// A ping that nobody waits for.
struct Look final : Pending {
  Look() { attempt = &outcome; }
  void resume(std::unique_ptr<Pending>) override {}
  Attempt outcome;
};

class MuxConnection final : public MuxClient, public ResponseSink, public std::enable_shared_from_this<MuxConnection> {
 public:
  MuxConnection(asio::ip::tcp::endpoint server, std::shared_ptr<MuxClientTls> tls, asio::any_io_executor loop,
                std::function<void()> on_quiet)
      : server_(std::move(server)),
        tls_(std::move(tls)),
        on_quiet_(std::move(on_quiet)),
        loop_(std::move(loop)),
        wire_(std::make_shared<MuxWire>(loop_)),
        sweep_(loop_),
        opening_(loop_),
        looks_(loop_) {
    wire_->on_flush([this] { sent_below_ = next_id_; });
  }

  void start() {
    auto ended = [self = shared_from_this()](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(loop_, run(), asio::bind_cancellation_slot(connecting_.slot(), std::move(ended)));
  }

  asio::awaitable<Attempt> call(const Method& method, const MessageLite& request, MessageLite& response,
                                const CallOptions& options, Deadline deadline) override {
    const std::size_t bytes = request.ByteSizeLong();
    if (const auto* why = refusal()) co_return unsent(why);
    if (table_.size() >= credit_calls_ || bytes_ + bytes > credit_bytes_) co_return unsent("no credit left");
    co_return co_await wait_for([&](std::unique_ptr<Pending> pending) {
      pending->response = &response;
      pending->deadline = deadline;
      pending->bytes = bytes;
      return enter(method, request, options, std::move(pending));
    });
  }

  asio::awaitable<Attempt> check() override {
    if (const auto* why = refusal()) co_return unsent(why);
    if (state_ == State::kOpen && std::chrono::steady_clock::now() - heard_at_ < kHeardOfLate)
      co_return Attempt{Result<void>(), false};
    auto attempt = co_await wait_for([&](std::unique_ptr<Pending> pending) { return enter_check(std::move(pending)); });
    attempt.sent = false;
    co_return attempt;
  }

  void ask() override {
    // While a call waits, the sweeps find out.
    if (!ended() && table_.empty() && std::chrono::steady_clock::now() - heard_at_ >= kHeardJustNow)
      enter_check(std::make_unique<Look>());
  }
  void tell_silence(std::weak_ptr<SilenceListener> listener) override {
    silence_listeners_.push_back(std::move(listener));
    if (!std::exchange(looking_, true)) look_later();
  }

  State state() const override { return state_; }
  SteadyTime ended_at() const override { return ended_at_; }
  bool draining() const override { return draining_; }
  void close() override {
    const auto self = shared_from_this();
    connecting_.emit(asio::cancellation_type::terminal);
    end("the channel was closed");
  }

 private:
  // --- the connection
  asio::awaitable<void> run() {
    const auto self = shared_from_this();
    co_await asio::this_coro::throw_if_cancelled(false);
    auto result = co_await connect();
    if (result.has_value() && state_ == State::kNew) {
      result = co_await wire_->read([this](std::string_view frame) {
        heard();
        return read_response(frame, *this);
      });
      if (state_ == State::kNew)
        result = std::move(result).error().in("before the server gave credit (does it accept this certificate?)");
    }
    end(result.has_error() ? result.error().message() : "the connection was closed");
  }

  Task<void> connect() {
    asio::ip::tcp::socket socket(loop_);
    MERPATI_CO_CHECK(co_await with_deadline(connect_socket(socket), Deadline::after(kConnect)));
    watch_for_silence(socket.native_handle());
    net::Stream stream(std::move(socket));
    const auto deadline = Deadline::after(kHandshake);
    MERPATI_CO_CHECK(co_await stream.write(kMuxPreamble, deadline));
    if (tls_) MERPATI_CO_CHECK(co_await tls_->connect(stream, deadline));
    if (state_ != State::kNew) co_return Error(ErrorCode::kCancelled, "the channel was closed");
    wire_->open(std::move(stream));
    opening_.expires_at(deadline.at());
    opening_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error && self->state_ == State::kNew) self->end("the server gave no credit");
    });
    co_return Result<void>();
  }
  Task<void> connect_socket(asio::ip::tcp::socket& socket) {
    auto [error] = co_await socket.async_connect(server_, kAwait);
    if (error) co_return Error(ErrorCode::kUnavailable, "cannot connect: " + error.message());
    co_return Result<void>();
  }

  bool ended() const { return state_ == State::kBroken || state_ == State::kNeverOpened; }
  /// Why nothing can be asked of the server now; null: it can.
  const char* refusal() const {
    if (ended()) return why_.c_str();
    return stalled() ? kDoesNotAnswer : nullptr;
  }
  void end(const std::string& why) {
    if (ended()) return;
    state_ = state_ == State::kOpen ? State::kBroken : State::kNeverOpened;
    why_ = why;
    ended_at_ = std::chrono::steady_clock::now();
    wire_->abort();
    sweep_.cancel();
    opening_.cancel();
    looks_.cancel();
    for (const auto id : ids_in_order()) finish(id, Error(ErrorCode::kUnavailable, why_), id < sent_below_);
  }

  // --- calls
  /// Suspends the caller until what `enter` put into the table is taken out of it.
  template <class Enter>
  asio::awaitable<Attempt> wait_for(Enter enter) {
    Attempt attempt;
    auto token = asio::use_awaitable;
    auto begin = [&](auto handler) {
      using Handler = std::decay_t<decltype(handler)>;
      auto slot = asio::get_associated_cancellation_slot(handler);
      auto pending = std::make_unique<PendingOf<Handler>>(std::move(handler));
      pending->attempt = &attempt;
      const auto id = enter(std::move(pending));
      if (slot.is_connected())
        slot.assign([weak = weak_from_this(), id](asio::cancellation_type) {
          if (const auto self = weak.lock()) self->abandon(id, Error(ErrorCode::kCancelled, "cancelled"));
        });
    };
    co_await asio::async_initiate<decltype(token), void()>(begin, token);
    co_return attempt;
  }
  std::uint64_t enter(const Method& method, const MessageLite& request, const CallOptions& options,
                      std::unique_ptr<Pending> pending) {
    const auto id = next_id_++;
    FrameWriter::Call call;
    call.method = method.path;
    if (!pending->deadline.is_never())
      call.timeout_us = std::max<std::int64_t>(
          1, std::chrono::duration_cast<std::chrono::microseconds>(pending->deadline.left()).count());
    call.token = options.token;
    call.trace_id = options.trace_id;
    // Before the server's credit nothing is sent, so that a failed connection has certainly not delivered a call.
    (state_ == State::kOpen ? wire_->out() : pending->held).add_call(id, call, request);
    bytes_ += pending->bytes;
    table_.emplace(id, std::move(pending));
    if (state_ == State::kOpen) wire_->flush_soon();
    arm_sweep();
    return id;
  }
  std::uint64_t enter_check(std::unique_ptr<Pending> pending) {
    const auto id = next_id_++;
    table_.emplace(id, std::move(pending));
    checks_.push_back(id);
    if (state_ == State::kOpen) ping();
    arm_sweep();
    return id;
  }
  static Attempt unsent(const std::string& why) { return {Error(ErrorCode::kUnavailable, why), false}; }

  std::unique_ptr<Pending> take(std::uint64_t id) {
    const auto found = table_.find(id);
    if (found == table_.end()) return nullptr;
    auto pending = std::move(found->second);
    bytes_ -= pending->bytes;
    table_.erase(found);
    return pending;
  }
  void finish(std::uint64_t id, Result<void> result, bool sent) {
    auto pending = take(id);
    if (!pending) return;
    *pending->attempt = {std::move(result), sent};
    auto* raw = pending.get();
    raw->resume(std::move(pending));
  }
  /// Nobody waits for this answer any more; the backend is told.
  void abandon(std::uint64_t id, Error why) {
    const auto self = shared_from_this();
    const auto found = table_.find(id);
    if (state_ == State::kOpen && found != table_.end() && found->second->response != nullptr) {
      wire_->out().add_cancelled(id);
      wire_->flush_soon();
    }
    finish(id, std::move(why), id < sent_below_);
  }
  std::vector<std::uint64_t> ids_in_order() const {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, pending] : table_) ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  // --- what the server says
  void on_reply(const Reply& reply) override {
    const auto found = table_.find(reply.id);
    if (found == table_.end() || found->second->response == nullptr) return;  // cancelled meanwhile, or never asked
    auto pending = take(reply.id);
    auto& result = pending->attempt->result;
    if (reply.code != 0) {
      v1::ErrorDetails details;
      if (!reply.details.empty() &&
          !details.ParseFromArray(reply.details.data(), static_cast<int>(reply.details.size())))
        details.Clear();
      result = make_error(reply.code, std::string(reply.message), details);
    } else if (!pending->response->ParseFromArray(reply.payload.data(), static_cast<int>(reply.payload.size()))) {
      result = Error(ErrorCode::kInternal, "malformed answer");
    }
    auto* raw = pending.get();
    raw->resume(std::move(pending));
  }
  void on_credit(std::uint32_t calls, std::uint64_t bytes) override {
    if (state_ != State::kNew) return;
    state_ = State::kOpen;
    opening_.cancel();
    credit_calls_ = calls;
    credit_bytes_ = bytes;
    std::size_t allowed_calls = 0;
    std::size_t allowed_bytes = 0;
    for (const auto id : ids_in_order()) {
      const auto found = table_.find(id);
      if (found == table_.end()) continue;  // ended by one that was resumed here
      auto& pending = *found->second;
      if (pending.response == nullptr) continue;
      if (++allowed_calls > credit_calls_ || (allowed_bytes += pending.bytes) > credit_bytes_) {
        finish(id, Error(ErrorCode::kUnavailable, "no credit left"), false);
      } else {
        wire_->out().append(pending.held);
      }
    }
  }
  void on_draining() override { draining_ = true; }

  // --- deadlines of calls in flight, all by one timer: a timer for each call would cost more than the call
  void arm_sweep() {
    if (sweeping_) return;
    quiet_ = {};
    next_sweep();
  }
  void next_sweep() {
    if (ended() || (table_.empty() && !stalled())) return;
    sweeping_ = true;
    sweep_.expires_after(kSweep);
    sweep_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      self->sweeping_ = false;
      if (error) return;
      self->expire(std::chrono::steady_clock::now());
      self->ask_whether_alive();
      self->next_sweep();
    });
  }
  /// TCP notices late that a peer has vanished, and never that it is there and does nothing, as a stopped process.
  void ask_whether_alive() {
    quiet_ += kSweep;
    if (quiet_ == kQuietUntilPing && state_ == State::kOpen) ping();
    if (!stalled() && quiet_ % kBetweenAsking == quiet_.zero() && on_quiet_) on_quiet_();
    if (stalled()) {
      for (const auto id : ids_in_order()) abandon(id, Error(ErrorCode::kUnavailable, kDoesNotAnswer));
      for (const auto& listener : std::exchange(silence_listeners_, {}))
        if (const auto one = listener.lock()) one->peer_is_silent();
    }
    if (state_ == State::kOpen && quiet_ >= kQuietUntilEnd) end(kDoesNotAnswer);
  }
  void look_later() {
    looks_.expires_after(kBetweenLooks);
    looks_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->look();
    });
  }
  void look() {
    std::erase_if(silence_listeners_, [](const auto& listener) { return listener.expired(); });
    looking_ = !silence_listeners_.empty();
    if (!looking_) return;
    ask();
    look_later();
  }
  bool stalled() const { return quiet_ >= kQuietUntilStalled; }
  void ping() {
    wire_->out().add_ping();
    wire_->flush_soon();
  }
  void heard() {
    quiet_ = {};
    heard_at_ = std::chrono::steady_clock::now();
    if (!checks_.empty())
      for (const auto id : std::exchange(checks_, {})) finish(id, Result<void>(), false);
  }
  void expire(SteadyTime now) {
    std::vector<std::uint64_t> due;
    for (const auto& [id, pending] : table_)
      if (pending->deadline.at() <= now) due.push_back(id);
    for (const auto id : due) abandon(id, Error(ErrorCode::kDeadlineExceeded, "deadline passed"));
  }

  const asio::ip::tcp::endpoint server_;
  const std::shared_ptr<MuxClientTls> tls_;
  const std::function<void()> on_quiet_;
  const asio::any_io_executor loop_;
  const std::shared_ptr<MuxWire> wire_;
  asio::cancellation_signal connecting_;
  State state_ = State::kNew;
  bool draining_ = false;
  std::string why_;
  SteadyTime ended_at_{};
  SteadyTime heard_at_{};
  std::unordered_map<std::uint64_t, std::unique_ptr<Pending>> table_;
  std::vector<std::uint64_t> checks_;  // ids in table_ that any word from the server answers
  std::size_t bytes_ = 0;
  std::size_t credit_calls_ = kWaitingCalls;
  std::size_t credit_bytes_ = kWaitingBytes;
  std::uint64_t next_id_ = 1;
  std::uint64_t sent_below_ = 1;  // calls with a smaller id may have reached the server
  asio::steady_timer sweep_;
  bool sweeping_ = false;
  std::chrono::milliseconds quiet_{};  // since the last frame
  std::vector<std::weak_ptr<SilenceListener>> silence_listeners_;
  bool looking_ = false;
  asio::steady_timer opening_;  // until the server's credit
  asio::steady_timer looks_;
};

}  // namespace

std::shared_ptr<MuxClient> open_mux(asio::ip::tcp::endpoint server, std::shared_ptr<MuxClientTls> tls,
                                    asio::any_io_executor loop, std::function<void()> on_quiet) {
  auto client =
      std::make_shared<MuxConnection>(std::move(server), std::move(tls), std::move(loop), std::move(on_quiet));
  client->start();
  return client;
}

}  // namespace merpati::rpc
