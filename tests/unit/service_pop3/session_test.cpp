// Whole sessions over loopback, against backends in memory.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "fakes.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/process.hpp"
#include "pop3/module.hpp"

namespace merpati::pop3 {
namespace {

using asio::ip::tcp;

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(loop_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
    greeting = line();
  }
  void send(const std::string& text) { asio::write(socket_, asio::buffer(text)); }
  /// Without CRLF; "<eof>" when the server has closed.
  std::string line() {
    boost::system::error_code error;
    const auto size = asio::read_until(socket_, asio::dynamic_buffer(buffer_), "\r\n", error);
    if (error) return "<eof>";
    auto text = buffer_.substr(0, size - 2);
    buffer_.erase(0, size);
    return text;
  }
  std::string ask(const std::string& command) {
    send(command + "\r\n");
    return line();
  }
  /// The lines after a "+OK" up to the dot, dots undone.
  std::vector<std::string> body() {
    std::vector<std::string> lines;
    for (auto text = line(); text != "." && text != "<eof>"; text = line())
      lines.push_back(text.starts_with('.') ? text.substr(1) : text);
    return lines;
  }
  std::string log_in() {
    ask("USER alice@example.test");
    return ask("PASS a secret");
  }
  void hang_up() { socket_.close(); }
  std::string greeting;

 private:
  asio::io_context loop_;
  tcp::socket socket_;
  std::string buffer_;
};

class Pop3Session : public testing::Test {
 protected:
  void SetUp() override {
    backends.store.state.with([](auto& s) {
      s.messages[1] = "A: 1\r\n\r\none\r\n.two\r\nthree\r\n";
      s.messages[2] = "A: 2\r\n\r\n" + std::string(200000, 'x') + "\r\n";
      s.messages[3] = "A: 3\r\n\r\nno end";
    });
  }
  void start() {
    auto config = runtime::with_defaults<config::v1::Pop3>();
    auto& listener = *config.add_listeners();
    listener.set_address("127.0.0.1");
    listener.set_plaintext_login_from_loopback(plaintext);
    config.set_hostname("pop.example.test");
    config.set_max_failed_logins(2);
    config.set_max_errors(4);
    config.mutable_login_delay()->set_seconds(login_delay);
    if (idle_milliseconds > 0) {
      config.mutable_idle_timeout()->set_seconds(0);
      config.mutable_idle_timeout()->set_nanos(idle_milliseconds * 1000000);
    }
    config.mutable_session_timeout()->set_nanos(session_milliseconds * 1000000);
    runtime::apply_defaults(config);
    process = std::make_unique<runtime::Process>(
        runtime::ProcessOptions{.name = "pop3", .loops = 1, .blocking_threads = 1, .endpoint_delay = {}});
    auto module =
        std::make_unique<Module>(*process, config, rpc::in_process_channel(backends.auth_dispatcher, rpc::Role::kPop3),
                                 rpc::in_process_channel(backends.store_dispatcher, rpc::Role::kPop3));
    auto* seen = module.get();
    process->add(std::move(module));
    const auto started = process->start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
    port = seen->port(0);
  }
  void TearDown() override {
    if (process) process->stop();
  }
  std::size_t messages() {
    return backends.store.state.with([](auto& s) { return s.messages.size(); });
  }
  void wait_until_given_back() {
    for (int i = 0; i < 2000; ++i) {
      if (!backends.store.state.with([](auto& s) { return s.leased; })) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    FAIL() << "the lease was not given back";
  }

  log::Capture logs;
  test::Backends backends;
  std::unique_ptr<runtime::Process> process;
  std::uint16_t port = 0;
  bool plaintext = true;
  int login_delay = 0;
  int idle_milliseconds = 0;
  int session_milliseconds = 0;
};

TEST_F(Pop3Session, ReadsAMaildrop) {
  start();
  Client client(port);
  EXPECT_EQ(client.greeting, "+OK pop.example.test POP3 server ready");
  EXPECT_EQ(client.log_in(), "+OK 3 messages (200050 octets)");
  EXPECT_EQ(client.ask("STAT"), "+OK 3 200050");
  EXPECT_EQ(client.ask("LIST 3"), "+OK 3 14");
  client.ask("LIST");
  EXPECT_EQ(client.body(), (std::vector<std::string>{"1 26", "2 200010", "3 14"}));
  client.ask("UIDL");
  EXPECT_EQ(client.body(), (std::vector<std::string>{"1 id-1", "2 id-2", "3 77.3"}));
  EXPECT_EQ(client.ask("UIDL 2"), "+OK 2 id-2");
  EXPECT_EQ(client.ask("RETR 1"), "+OK 26 octets");
  EXPECT_EQ(client.body(), (std::vector<std::string>{"A: 1", "", "one", ".two", "three"}));
  client.ask("RETR 2");
  EXPECT_EQ(client.body().back().size(), 200000u);
  client.ask("RETR 3");
  EXPECT_EQ(client.body(), (std::vector<std::string>{"A: 3", "", "no end"}));
  client.ask("TOP 1 2");
  EXPECT_EQ(client.body(), (std::vector<std::string>{"A: 1", "", "one", ".two"}));
  client.ask("TOP 2 0");
  EXPECT_EQ(client.body(), (std::vector<std::string>{"A: 2", ""}));
  EXPECT_EQ(client.ask("RETR 4"), "-ERR no such message");
  EXPECT_EQ(client.ask("NOOP"), "+OK");
  EXPECT_EQ(client.ask("QUIT"), "+OK bye");
  EXPECT_EQ(client.line(), "<eof>");
  EXPECT_EQ(messages(), 3u);
}

TEST_F(Pop3Session, OnlyQuitDeletes) {
  start();
  {
    Client lost(port);
    lost.log_in();
    EXPECT_EQ(lost.ask("DELE 1"), "+OK marked");
    EXPECT_EQ(lost.ask("DELE 1"), "-ERR no such message");
    EXPECT_EQ(lost.ask("STAT"), "+OK 2 200024");
    EXPECT_EQ(lost.ask("RSET"), "+OK 3 messages (200050 octets)");
    lost.ask("DELE 2");
    lost.hang_up();
  }
  wait_until_given_back();
  EXPECT_EQ(messages(), 3u);
  Client client(port);
  client.log_in();
  client.ask("DELE 1");
  client.ask("DELE 3");
  EXPECT_EQ(client.ask("QUIT"), "+OK bye");
  EXPECT_EQ(messages(), 1u);
}

TEST_F(Pop3Session, TheMaildropIsExclusive) {
  start();
  Client first(port), second(port);
  first.log_in();
  EXPECT_EQ(second.log_in(), "-ERR [IN-USE] the maildrop is in use by another session");
  first.ask("QUIT");
  EXPECT_TRUE(second.log_in().starts_with("+OK"));
}

TEST_F(Pop3Session, ALostLeaseDeletesNothing) {
  start();
  Client client(port);
  client.log_in();
  client.ask("DELE 1");
  backends.store.state.with([](auto& s) { ++s.lease; });  // another session has taken over
  EXPECT_EQ(client.ask("QUIT"), "-ERR [IN-USE] the maildrop is in use by another session");
  EXPECT_EQ(messages(), 3u);
}

TEST_F(Pop3Session, PipelinedCommandsAreAnsweredInOrder) {
  start();
  Client client(port);
  client.send("USER alice@example.test\r\nPASS a secret\r\nSTAT\r\nRETR 1\r\nQUIT\r\n");
  EXPECT_EQ(client.line(), "+OK send your password");
  EXPECT_EQ(client.line(), "+OK 3 messages (200050 octets)");
  EXPECT_EQ(client.line(), "+OK 3 200050");
  EXPECT_EQ(client.line(), "+OK 26 octets");
  EXPECT_EQ(client.body().size(), 5u);
  EXPECT_EQ(client.line(), "+OK bye");
}

TEST_F(Pop3Session, Sasl) {
  start();
  const auto plain = to_base64(std::string("\0alice@example.test\0a secret", 28));
  {
    Client client(port);
    EXPECT_TRUE(client.ask("AUTH PLAIN " + plain).starts_with("+OK"));
    client.ask("QUIT");
  }
  {
    Client client(port);
    EXPECT_EQ(client.ask("AUTH PLAIN"), "+ ");
    EXPECT_TRUE(client.ask(plain).starts_with("+OK"));
    client.ask("QUIT");
  }
  {
    Client client(port);
    EXPECT_EQ(client.ask("AUTH SCRAM-SHA-256"), "+ " + to_base64("who?"));
    EXPECT_EQ(client.ask(to_base64("me")), "+ " + to_base64("v=proof"));
    EXPECT_TRUE(client.ask("").starts_with("+OK"));
    client.ask("QUIT");
  }
  {
    Client client(port);
    client.ask("AUTH PLAIN");
    EXPECT_EQ(client.ask("*"), "-ERR authentication cancelled");
    client.ask("AUTH PLAIN");
    EXPECT_EQ(client.ask("???"), "-ERR not base64");
    EXPECT_EQ(client.ask("AUTH CRAM-MD5"), "-ERR no such mechanism here; some need STLS first");
    client.ask("AUTH");
    EXPECT_EQ(client.body(), (std::vector<std::string>{"SCRAM-SHA-256", "PLAIN", "LOGIN"}));
    EXPECT_EQ(client.ask("AUTH PLAIN " + to_base64(std::string("\0a\0b", 4))), "-ERR [AUTH] wrong name or password");
  }
}

TEST_F(Pop3Session, NoPasswordsInClear) {
  plaintext = false;
  start();
  Client client(port);
  EXPECT_TRUE(client.ask("USER alice@example.test").starts_with("-ERR [AUTH]"));
  EXPECT_TRUE(client.ask("PASS a secret").starts_with("-ERR [AUTH]"));
  EXPECT_TRUE(client.ask("AUTH PLAIN AGEAYg==").starts_with("-ERR"));
  client.ask("CAPA");
  const auto capabilities = client.body();
  EXPECT_EQ(std::ranges::count(capabilities, "USER"), 0);
  EXPECT_EQ(std::ranges::count(capabilities, "SASL SCRAM-SHA-256"), 1);
  EXPECT_EQ(std::ranges::count(capabilities, "STLS"), 0);
}

TEST_F(Pop3Session, FailuresAreBounded) {
  start();
  Client guesser(port);
  guesser.ask("USER alice@example.test");
  EXPECT_EQ(guesser.ask("PASS wrong"), "-ERR [AUTH] wrong name or password");
  EXPECT_EQ(guesser.ask("PASS wrong"), "-ERR send USER first");
  guesser.ask("USER alice@example.test");
  EXPECT_EQ(guesser.ask("PASS wrong"), "-ERR [AUTH] wrong name or password");
  EXPECT_EQ(guesser.line(), "<eof>");

  Client babbler(port);
  EXPECT_EQ(babbler.ask("EHLO me"), "-ERR unknown command");
  EXPECT_EQ(babbler.ask("STAT"), "-ERR log in first");
  EXPECT_EQ(babbler.ask(std::string(20000, 'x')), "-ERR the line is too long");
  EXPECT_EQ(babbler.ask(""), "-ERR unknown command");
  EXPECT_EQ(babbler.line(), "-ERR too many errors");
  EXPECT_EQ(babbler.line(), "<eof>");
}

TEST_F(Pop3Session, AStoreThatIsDownIsTemporary) {
  start();
  Client client(port);
  client.log_in();
  backends.store.state.with([](auto& s) { s.down = true; });
  EXPECT_EQ(client.ask("RETR 1"), "-ERR [SYS/TEMP] temporarily unavailable, try again later");
  backends.store.state.with([](auto& s) { s.down = false; });
  EXPECT_EQ(client.ask("RETR 1"), "+OK 26 octets");
  client.body();
  client.ask("DELE 1");
  backends.store.state.with([](auto& s) { s.down = true; });
  EXPECT_EQ(client.ask("QUIT"), "-ERR [SYS/TEMP] temporarily unavailable, try again later");
  EXPECT_EQ(messages(), 3u);

  backends.auth.down.with([](bool& down) { down = true; });
  Client second(port);
  EXPECT_EQ(second.log_in(), "-ERR [SYS/TEMP] temporarily unavailable, try again later");
}

TEST_F(Pop3Session, ALargeMessageGoesOnAtAnotherStore) {
  start();
  Client client(port);
  client.log_in();
  client.send("RETR 2\r\n");
  const auto read_whole = [&] {
    std::string all;
    for (auto text = client.line(); text != "." && text != "<eof>"; text = client.line()) all += text + "\n";
    return all;
  };
  const auto whole = read_whole();
  EXPECT_GT(whole.size(), 100'000u);
  backends.store.state.with([](auto& s) { s.streams_to_break = 1; });
  client.send("RETR 2\r\n");
  EXPECT_TRUE(read_whole() == whole);
}

TEST_F(Pop3Session, HalfAMessageNeverLooksWhole) {
  start();
  backends.store.state.with([](auto& s) {
    s.lose_bodies = true;
    s.gone_uid = 1;
  });
  Client client(port);
  client.log_in();
  EXPECT_EQ(client.ask("RETR 1"), "-ERR another session has removed this message");
  client.send("RETR 2\r\n");
  std::string last;
  for (auto text = client.line(); text != "<eof>"; text = client.line()) last = text;
  EXPECT_NE(last, ".");
  wait_until_given_back();
}

// RFC 6856 2: a client that did not say UTF8 gets no UTF-8 in headers.
TEST_F(Pop3Session, HeadersInUtf8AreForThoseWhoSayUtf8) {
  backends.store.state.with([](auto& s) {
    s.messages[1] = "From: a@b\r\nSubject: gr\xC3\xBC\xC3\x9F\r\n\r\n\xC3\xBC\r\nsecond\r\n";
    s.messages[2] = "Subject: \xC3\xBC";
  });
  start();
  Client old(port);
  old.log_in();
  old.ask("RETR 1");
  EXPECT_EQ(old.body(),
            (std::vector<std::string>{"From: a@b", "Subject: =?utf-8?B?Z3LDvMOf?=", "", "\xC3\xBC", "second"}));
  old.ask("TOP 1 1");
  EXPECT_EQ(old.body(), (std::vector<std::string>{"From: a@b", "Subject: =?utf-8?B?Z3LDvMOf?=", "", "\xC3\xBC"}));
  old.ask("RETR 2");
  EXPECT_EQ(old.body(), (std::vector<std::string>{"Subject: =?utf-8?B?w7w=?="}));
  old.ask("QUIT");
  Client client(port);
  EXPECT_TRUE(client.ask("UTF8").starts_with("+OK"));
  client.log_in();
  client.ask("RETR 1");
  EXPECT_EQ(client.body()[1], "Subject: gr\xC3\xBC\xC3\x9F");
}

TEST_F(Pop3Session, LoginDelay) {
  login_delay = 600;
  start();
  Client client(port);
  client.ask("CAPA");
  const auto capabilities = client.body();
  EXPECT_EQ(std::ranges::count(capabilities, "LOGIN-DELAY 600"), 1);
  EXPECT_TRUE(client.log_in().starts_with("+OK"));
  client.ask("QUIT");
  Client again(port);
  EXPECT_TRUE(again.log_in().starts_with("-ERR [LOGIN-DELAY]"));
}

TEST_F(Pop3Session, AutologoutClosesWithoutAWord) {
  idle_milliseconds = 50;
  start();
  Client client(port);
  client.log_in();
  client.ask("DELE 1");
  EXPECT_EQ(client.line(), "<eof>");
  wait_until_given_back();
  EXPECT_EQ(messages(), 3u);
}

TEST_F(Pop3Session, ASessionThatLastsTooLongEndsAtACommandBoundary) {
  session_milliseconds = 50;
  start();
  Client client(port);
  client.log_in();
  client.ask("DELE 1");
  std::string answer = "+OK";
  while (answer == "+OK") answer = client.ask("NOOP");
  EXPECT_EQ(answer, "-ERR [SYS/TEMP] the session has lasted too long; nothing was deleted");
  EXPECT_EQ(client.line(), "<eof>");
  wait_until_given_back();
  EXPECT_EQ(messages(), 3u);
}

TEST_F(Pop3Session, ListsOfAnyLength) {
  backends.store.state.with([](auto& s) {
    for (std::uint32_t uid = 10; uid < 20'000; ++uid) s.messages[uid] = "A: 1\r\n\r\n";
  });
  start();
  Client client(port);
  client.log_in();
  client.ask("DELE 7");
  for (const auto* command : {"LIST", "UIDL"}) {
    client.ask(command);
    const auto lines = client.body();
    ASSERT_EQ(lines.size(), 19'992u) << command;
    EXPECT_TRUE(lines[6].starts_with("8 ")) << "the deleted one is left out, and no number moves";
  }
}

TEST_F(Pop3Session, ADrainLeavesTheMaildropUntouched) {
  start();
  Client client(port);
  client.log_in();
  client.ask("DELE 1");
  process->stop();
  EXPECT_EQ(client.line(), "-ERR [SYS/TEMP] shutting down, come back soon; nothing was deleted");
  EXPECT_EQ(client.line(), "<eof>");
  EXPECT_EQ(messages(), 3u);
  EXPECT_FALSE(backends.store.state.with([](auto& s) { return s.leased; }));
}

}  // namespace
}  // namespace merpati::pop3
