// The backend's end of a Mux connection: runs each call on the connection's loop, where octets are read and written
// too.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>

#include "merpati/runtime/log.hpp"
#include "mux_wire.hpp"
#include "server_shared.hpp"

namespace merpati::rpc {

namespace {

constexpr auto kSweep = std::chrono::milliseconds(10);

std::string name_of(const asio::ip::tcp::endpoint& peer) {
  const auto host = peer.address().to_string();
  const auto port = std::to_string(peer.port());
  return peer.address().is_v4() ? "ipv4:" + host + ":" + port : "ipv6:[" + host + "]:" + port;
}

// Everything but the MuxPeer's functions is on loop_.
class MuxServerConnection final : public MuxPeer,
                                  public RequestSink,
                                  public std::enable_shared_from_this<MuxServerConnection> {
 public:
  MuxServerConnection(std::shared_ptr<ServerShared> shared, asio::ip::tcp::socket socket,
                      std::shared_ptr<MuxServerTls> tls)
      : shared_(std::move(shared)),
        tls_(std::move(tls)),
        loop_(socket.get_executor()),
        stream_(std::move(socket)),
        peer_(std::make_shared<const std::string>(name_of(stream_.remote()))),
        wire_(std::make_shared<MuxWire>(loop_)),
        sweep_(loop_) {}

  void start() {
    shared_->add(shared_from_this());
    auto ended = [self = shared_from_this()](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(loop_, run(), std::move(ended));
  }

  void announce_draining() override {
    asio::post(loop_, [self = shared_from_this()] {
      if (!self->wire_->is_open()) return;  // said with the credit
      self->wire_->out().add_draining();
      self->wire_->flush_soon();
    });
  }
  void abort() override {
    asio::post(loop_, [self = shared_from_this()] {
      if (self->begun_)
        self->wire_->abort();
      else
        self->stream_.abort();
    });
  }

 private:
  struct Call {
    asio::cancellation_signal cancel;
    Deadline deadline;
    std::size_t bytes = 0;
    bool ended = false;    // cancelled, by whomever
    bool expired = false;  // by its deadline

    void end() {
      ended = true;
      cancel.emit(asio::cancellation_type::terminal);
    }
  };

  asio::awaitable<void> run() {
    const auto self = shared_from_this();
    co_await asio::this_coro::throw_if_cancelled(false);
    auto result = co_await begin();
    if (result.has_value()) {
      give_credit();
      result = co_await wire_->read([this](std::string_view frame) { return read_request(frame, *this); });
    }
    if (!begun_ || result.error().code() == ErrorCode::kInvalidArgument)
      log::info("rpc_connection_refused", result.error().message(), {{"peer", *peer_}});
    // A caller that has gone, and one that says no more, waits for nothing.
    while (!calls_.empty()) {
      cancel_all();
      if (calls_.empty()) break;
      if (auto waited = co_await sleep_for(kSweep); waited.has_error()) break;
    }
    shared_->remove(self);
  }

  Task<void> begin() {
    if (tls_) {
      MERPATI_CO_TRY(role_, co_await tls_->accept(stream_, Deadline::after(shared_->options.greeting_timeout)));
    } else {
      role_ = shared_->options.role_without_tls;
    }
    if (role_ == Role::kAnonymous) co_return Error(ErrorCode::kPermissionDenied, "a certificate is needed");
    begun_ = true;
    wire_->open(std::move(stream_));
    co_return Result<void>();
  }
  void give_credit() {
    wire_->out().add_credit(shared_->options.mux_calls, shared_->options.mux_bytes);
    if (shared_->draining) wire_->out().add_draining();
    wire_->flush_soon();
  }

  void on_call(const RequestSink::Call& frame) override {
    const auto& options = shared_->options;
    if (calls_.size() >= options.mux_calls || bytes_ + frame.payload.size() > options.mux_bytes + kMaxFrame)
      return refuse(frame.id, {ErrorCode::kResourceExhausted, "more calls in flight than the credit allows"});
    if (shared_->calls >= options.max_calls)
      return refuse(frame.id, {ErrorCode::kUnavailable, "too many calls in flight"});
    if (wire_->waiting() > options.mux_bytes)
      return refuse(frame.id, {ErrorCode::kUnavailable, "too many answers wait"});
    const auto* entry = shared_->dispatcher.find(frame.method);
    if (entry == nullptr || entry->method->kind != CallKind::kUnary)
      return refuse(frame.id, {ErrorCode::kUnimplemented, "no such method"});
    auto request = entry->method->new_request();
    if (!request->ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())))
      return refuse(frame.id, {ErrorCode::kInvalidArgument, "malformed message"});
    auto call = std::make_shared<Call>();
    if (frame.timeout_us > 0) call->deadline = Deadline::after(std::chrono::microseconds(frame.timeout_us));
    call->bytes = frame.payload.size();
    if (!calls_.emplace(frame.id, call).second)
      return refuse(frame.id, {ErrorCode::kInvalidArgument, "the call id is in use"});
    bytes_ += call->bytes;
    ++shared_->calls;
    auto ended = [self = shared_from_this(), call](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    };
    Context context(role_, peer_, call->deadline, std::string(frame.token), std::string(frame.trace_id));
    asio::co_spawn(loop_, serve(frame.id, *entry, call, std::move(context), std::move(request)),
                   asio::bind_cancellation_slot(call->cancel.slot(), std::move(ended)));
    arm_sweep();
  }
  void on_cancelled(std::uint64_t id) override {
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    const auto call = found->second;  // the handler may end, and be forgotten, inside emit
    call->end();
  }
  void on_ping() override {
    wire_->out().add_pong();
    wire_->flush_soon();
  }

  asio::awaitable<void> serve(std::uint64_t id, const Dispatcher::Entry& entry, std::shared_ptr<Call> call,
                              Context context, std::unique_ptr<MessageLite> request) {
    const auto self = shared_from_this();
    co_await asio::this_coro::throw_if_cancelled(false);  // cancelled handlers clean up by results
    // A process that was stopped finds calls beside their cancellations: those must not begin, since the caller has
    // long gone elsewhere. So what has arrived is read to its end first.
    co_await asio::post(loop_, asio::use_awaitable);
    Result<void> result;
    auto response = entry.method->new_response();
    try {
      if (call->ended)
        result = Error(ErrorCode::kCancelled, "cancelled before it began");
      else
        result = co_await shared_->dispatcher.call(entry, context, *request, *response, Dispatcher::Timer::kTransport);
    } catch (const boost::system::system_error& error) {  // a cancelled coroutine below that awaits once more
      result = Error(ErrorCode::kCancelled, error.what());
    }
    if (result.has_error() && call->expired) result = Error(ErrorCode::kDeadlineExceeded, "deadline passed");
    bytes_ -= call->bytes;
    calls_.erase(id);
    if (wire_->is_open()) {
      if (result.has_error())
        wire_->out().add_error(id, result.error());
      else
        wire_->out().add_reply(id, *response);
      wire_->flush_soon();
    }
    --shared_->calls;
  }
  void refuse(std::uint64_t id, const Error& error) {
    wire_->out().add_error(id, error);
    wire_->flush_soon();
  }
  void cancel_all() {
    std::vector<std::shared_ptr<Call>> all;
    for (const auto& [id, call] : calls_) all.push_back(call);
    for (const auto& call : all) call->end();
  }

  // Deadlines of calls in flight, all by one timer: a timer for each call would cost more than the call.
  void arm_sweep() {
    if (sweeping_ || calls_.empty()) return;
    sweeping_ = true;
    sweep_.expires_after(kSweep);
    sweep_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      self->sweeping_ = false;
      if (error) return;
      self->expire(std::chrono::steady_clock::now());
      self->arm_sweep();
    });
  }
  void expire(SteadyTime now) {
    std::vector<std::shared_ptr<Call>> due;
    for (const auto& [id, call] : calls_)
      if (call->deadline.at() <= now && !call->expired) due.push_back(call);
    for (const auto& call : due) {
      call->expired = true;
      call->end();
    }
  }

  const std::shared_ptr<ServerShared> shared_;
  const std::shared_ptr<MuxServerTls> tls_;
  const asio::any_io_executor loop_;
  net::Stream stream_;  // until begun_: then it is the wire's
  bool begun_ = false;
  const std::shared_ptr<const std::string> peer_;
  Role role_ = Role::kAnonymous;
  const std::shared_ptr<MuxWire> wire_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Call>> calls_;
  std::size_t bytes_ = 0;
  asio::steady_timer sweep_;
  bool sweeping_ = false;
};

}  // namespace

void start_mux(std::shared_ptr<ServerShared> shared, asio::ip::tcp::socket socket, std::shared_ptr<MuxServerTls> tls) {
  if (shared->mux_count() >= shared->options.max_mux_connections)
    return log::info("rpc_connection_refused", "too many connections");
  watch_for_silence(socket.native_handle());
  std::make_shared<MuxServerConnection>(std::move(shared), std::move(socket), std::move(tls))->start();
}

}  // namespace merpati::rpc
