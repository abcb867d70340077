// IDLE (RFC 2177): sleeps until the client speaks, the watcher wakes it, or a drain begins.
#include "imap/session.hpp"

namespace merpati::imap {
namespace {

// Between looks at the store without an event: covers a lost notification, and keeps the session's token fresh.
constexpr auto kHousekeeping = std::chrono::minutes(4);

class Idling {
 public:
  explicit Idling(Session& session) : session_(session) {
    session.loop().probe.idling.add(1);
    session.idling = true;
    arm();
  }
  ~Idling() {
    session_.loop().probe.idling.add(-1);
    session_.idling = false;
    if (session_.selected() != nullptr) session_.selected()->subscription->set_wake({});
  }
  void arm() {
    if (session_.selected() == nullptr) return;
    auto* session = &session_;
    session_.selected()->subscription->set_wake([session] { session->connection().stream().interrupt(); });
  }

 private:
  Session& session_;
};

bool is_done(std::string_view line) {
  return line.size() == 4 && (line[0] | 0x20) == 'd' && (line[1] | 0x20) == 'o' && (line[2] | 0x20) == 'n' &&
         (line[3] | 0x20) == 'e';
}

}  // namespace

Task<Reply> cmd_idle(Session& session, const Command&) {
  auto& connection = session.connection();
  connection.write("+ idling\r\n");
  Idling idling(session);
  const auto end = Deadline::after(session.options().idle_timeout);
  bool force = false;
  for (;;) {
    if (session.is_revoked()) {
      session.out() += "* BYE The login has ended, please log in again\r\n";
      session.end();
      co_return ok({}, std::string(kAlreadyAnswered));
    }
    static_cast<void>(co_await session.synchronize(Session::Announce::kAll, force));
    force = false;
    const auto input = co_await connection.wait_for_input(end.within(kHousekeeping));
    if (input.has_value()) break;
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) co_return input.error();
    if (input.error().code() == ErrorCode::kCancelled && !session.draining()) continue;
    if (input.error().code() == ErrorCode::kCancelled ||
        (input.error().code() == ErrorCode::kDeadlineExceeded && end.passed())) {
      session.out() +=
          session.draining() ? "* BYE Server is going away, please connect again\r\n" : "* BYE Idle for too long\r\n";
      session.end();
      co_return ok({}, std::string(kAlreadyAnswered));
    }
    if (input.error().code() != ErrorCode::kDeadlineExceeded) {
      session.end();
      co_return input.error();
    }
    force = true;
    const auto fresh = co_await session.keep_token_fresh();
    if (fresh.has_error() && fresh.error().code() == ErrorCode::kUnauthenticated) {
      session.out() += "* BYE The login has ended, please log in again\r\n";
      session.end();
      co_return ok({}, std::string(kAlreadyAnswered));
    }
  }
  MERPATI_CO_TRY(auto line,
                 co_await connection.read_line(session.options().max_line, Deadline::after(std::chrono::minutes(2))));
  if (!is_done(line.text)) co_return bad("Expected DONE");
  co_return ok();
}

}  // namespace merpati::imap
