#include <sys/resource.h>
#include <unistd.h>

#include "unit/net/fixture.hpp"

namespace merpati::net::testing {
namespace {

/// Says what it heard, until "bye" or the end.
asio::awaitable<void> echo(ScriptedSession& session) {
  auto& connection = session.connection();
  for (;;) {
    if (auto ready = co_await connection.wait_for_input(Deadline::after(20s)); ready.has_error()) {
      if (session.draining()) connection.write("421 draining\r\n");
      break;
    }
    auto line = co_await connection.read_line(64, Deadline::after(20s));
    if (line.has_error() && line.error().code() == ErrorCode::kOutOfRange) {
      connection.write("too long\r\n");
      continue;
    }
    if (line.has_error()) break;
    connection.write("heard ");
    connection.write(line->text);
    connection.write("\r\n");
    if (line->text == "bye") break;
  }
  auto flushed = co_await connection.flush(Deadline::after(20s));
}

asio::awaitable<void> tell_client(ScriptedSession& session) {
  const auto& stream = session.connection().stream();
  session.connection().write(stream.remote().address().to_string() + " " + std::to_string(stream.remote().port()) +
                             " " + stream.local().address().to_string() + "\r\n");
  auto flushed = co_await session.connection().flush(Deadline::after(20s));
}

TEST_F(NetTest, PipelinedLinesAreAnsweredInOneWrite) {
  const auto port = server->listen(loopback(), scripted(echo)).value();
  auto client = dial(port);
  std::string pipelined;
  for (int i = 0; i < 20; ++i) pipelined += "line " + std::to_string(i) + "\r\n";
  send(client, pipelined);
  std::array<char, 4096> bytes;
  const auto got = run(loop, client.stream().read_some(bytes, Deadline::after(10s))).value();
  const std::string_view text(bytes.data(), got);
  EXPECT_TRUE(text.starts_with("heard line 0\r\n"));
  EXPECT_TRUE(text.ends_with("heard line 19\r\n")) << text;
}

TEST_F(NetTest, OverlongLineIsReportedAndTheNextOneIsRead) {
  const auto port = server->listen(loopback(), scripted(echo)).value();
  auto client = dial(port);
  send(client,
       std::string(100'000, 'x') + "\r\n" + std::string(62, 'y') + "\r\n" + std::string(63, 'z') + "\r\nbye\r\n");
  EXPECT_EQ(line_of(client), "too long");
  EXPECT_EQ(line_of(client), "heard " + std::string(62, 'y'));  // 64 with CRLF
  EXPECT_EQ(line_of(client), "too long");
  EXPECT_EQ(line_of(client), "heard bye");
}

TEST_F(NetTest, HalfClosedClientStillGetsItsAnswers) {
  const auto port = server->listen(loopback(), scripted(echo)).value();
  asio::ip::tcp::socket socket(loop);
  socket.connect({asio::ip::address_v4::loopback(), port});
  socket.write_some(asio::buffer("one\r\ntwo\r\n", 10));
  socket.shutdown(asio::ip::tcp::socket::shutdown_send);
  Connection client{Stream(std::move(socket))};
  EXPECT_EQ(line_of(client), "heard one");
  EXPECT_EQ(line_of(client), "heard two");
}

TEST_F(NetTest, DrainWakesIdleSessionsAndStopCutsTheDeaf) {
  const auto port = server->listen(loopback(), scripted(echo)).value();
  auto deaf = [](ScriptedSession& session) -> asio::awaitable<void> {
    auto line = co_await session.connection().read_line(64, Deadline::never());
    EXPECT_EQ(line.error().code(), ErrorCode::kCancelled);
  };
  const auto deaf_port = server->listen(loopback(), scripted(deaf)).value();
  auto client = dial(port), other = dial(deaf_port);
  while (server->sessions() < 2) loop.run_one();
  auto drained = run(loop, server->drain(Deadline::after(100ms)));
  ASSERT_TRUE(drained.has_error());
  EXPECT_EQ(drained.error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(line_of(client), "421 draining");
  EXPECT_EQ(server->sessions(), 1U);
  EXPECT_EQ(run(loop, server->stop()).value(), 1U);
  EXPECT_TRUE(run(loop, net::connect({asio::ip::address_v4::loopback(), port}, Deadline::after(5s))).has_error());
}

TEST_F(NetTest, DeadlineEndsAReadAndLaterReadsGoOn) {
  auto impatient = [](ScriptedSession& session) -> asio::awaitable<void> {
    auto& connection = session.connection();
    auto none = co_await connection.read_line(64, Deadline::after(20ms));
    connection.write(none.has_error() && none.error().code() == ErrorCode::kDeadlineExceeded ? "late\r\n" : "?\r\n");
    auto some = co_await connection.read_line(64, Deadline::after(10s));
    connection.write(some.has_error() ? "?\r\n" : "in time\r\n");
    auto flushed = co_await connection.flush(Deadline::after(10s));
  };
  auto client = dial(server->listen(loopback(), scripted(impatient)).value());
  while (server->sessions() < 1) loop.run_one();
  run(loop, sleep_for(60ms)).value();  // the wait that is tested
  send(client, "hello\r\n");
  EXPECT_EQ(line_of(client), "late");
  EXPECT_EQ(line_of(client), "in time");
}

TEST_F(NetTest, LimitsPerAddressAndInAll) {
  auto options = loopback();
  options.limits =
      std::make_shared<ConnectionLimits>(ConnectionLimits::Options{.total = 3, .per_address = 2, .exempt = {}});
  options.busy_reply = "421 busy\r\n";
  const auto port = server->listen(options, scripted(echo)).value();
  auto first = dial(port);
  auto second = dial(port);
  send(first, "a\r\n");
  send(second, "a\r\n");
  EXPECT_EQ(line_of(first), "heard a");
  EXPECT_EQ(line_of(second), "heard a");
  auto third = dial(port);
  EXPECT_EQ(line_of(third), "421 busy");
  ASSERT_EQ(refusals.size(), 1U);
  send(first, "bye\r\n");
  EXPECT_EQ(line_of(first), "heard bye");
  while (server->sessions() > 1) loop.run_one();
  auto fourth = dial(port);
  send(fourth, "b\r\n");
  EXPECT_EQ(line_of(fourth), "heard b");
}

TEST_F(NetTest, AcceptingGoesOnAfterTheProcessRanOutOfFiles) {
  int failures = 0;
  Server careful(
      {&loop}, ServerHooks{.accept_failed = [&](const ListenerOptions&, const Error&) { ++failures; }, .refused = {}});
  const auto port = careful.listen(loopback(), scripted(echo)).value();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int next = ::dup(0);  // the number that the client's socket will have
  ::close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;
  ::setrlimit(RLIMIT_NOFILE, &tight);
  auto client = dial(port);
  while (failures == 0) loop.run_one();
  ::setrlimit(RLIMIT_NOFILE, &before);
  send(client, "a\r\n");
  EXPECT_EQ(line_of(client), "heard a");
  EXPECT_TRUE(run(loop, careful.stop()).has_value());
}

TEST_F(NetTest, LastReplyArrivesThoughInputIsLeftUnread) {
  auto rude = [](ScriptedSession& session) -> asio::awaitable<void> {
    auto& connection = session.connection();
    auto line = co_await connection.read_line(10, Deadline::after(10s));
    connection.write("421 enough\r\n");
    auto flushed = co_await connection.flush(Deadline::after(10s));
  };
  auto client = dial(server->listen(loopback(), scripted(rude)).value());
  send(client, "a\r\n" + std::string(40'000, 'x'));
  EXPECT_EQ(line_of(client), "421 enough");
  EXPECT_EQ(line_of(client), "error: the peer closed the connection");
}

TEST_F(NetTest, ADroppedLineTellsItsEnd) {
  auto tell_tail = [](ScriptedSession& session) -> asio::awaitable<void> {
    auto& connection = session.connection();
    for (int i = 0; i < 3; ++i) {
      auto line = co_await connection.read_line(10, Deadline::after(10s));
      connection.write(line.has_value() ? "whole\r\n" : std::string(connection.dropped_tail()) + "\r\n");
    }
    auto flushed = co_await connection.flush(Deadline::after(10s));
  };
  auto client = dial(server->listen(loopback(), scripted(tell_tail)).value());
  send(client, "one too many\r\n" + std::string(100'000, 'x') + "0123456789abcdefghijklmnopqrstuvwxyz\r\nshort\r\n");
  EXPECT_EQ(line_of(client), "one too many");
  EXPECT_EQ(line_of(client), "456789abcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(line_of(client), "whole");
}

TEST_F(NetTest, ProxyHeaderIsMandatoryFromTheTrustedAndNotUnderstoodFromOthers) {
  auto trusting = loopback();
  trusting.proxy_from = CidrSet::parse(std::vector<std::string>{"127.0.0.0/8"}).value();
  trusting.proxy_timeout = 30ms;
  const auto port = server->listen(trusting, scripted(tell_client)).value();
  auto proxied = dial(port);
  send(proxied, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n");
  EXPECT_EQ(line_of(proxied), "192.0.2.7 4711 198.51.100.1");
  auto silent = dial(port);
  EXPECT_EQ(line_of(silent), "error: the peer closed the connection");
  auto direct = dial(port);
  send(direct, "EHLO example.test\r\n");
  EXPECT_NE(line_of(direct).find("error"), std::string::npos);
  EXPECT_EQ(refusals.size(), 2U);

  const auto open_port = server->listen(loopback(), scripted(echo)).value();
  auto forged = dial(open_port);
  send(forged, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n");
  EXPECT_EQ(line_of(forged), "heard PROXY TCP4 192.0.2.7 198.51.100.1 4711 25");
}

TEST_F(NetTest, ProxyLimitsCountTheClientAndNotTheProxy) {
  auto trusting = loopback();
  trusting.proxy_from = CidrSet::parse(std::vector<std::string>{"127.0.0.1"}).value();
  trusting.limits =
      std::make_shared<ConnectionLimits>(ConnectionLimits::Options{.total = 0, .per_address = 1, .exempt = {}});
  trusting.busy_reply = "421 busy\r\n";
  const auto port = server->listen(trusting, scripted(echo)).value();
  std::vector<Connection> clients;
  for (const auto* text :
       {"PROXY TCP4 192.0.2.7 198.51.100.1 1 25\r\na\r\n", "PROXY TCP4 192.0.2.8 198.51.100.1 2 25\r\na\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 3 25\r\na\r\n"}) {
    clients.push_back(dial(port));
    send(clients.back(), text);
    EXPECT_EQ(line_of(clients.back()), clients.size() < 3 ? "heard a" : "421 busy");
  }
}

}  // namespace
}  // namespace merpati::net::testing
