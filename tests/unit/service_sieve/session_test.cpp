// Whole sessions over loopback, against backends in memory.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "fakes.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/process.hpp"
#include "sieve/module.hpp"

namespace merpati::managesieve {
namespace {

using namespace std::string_literals;
using asio::ip::tcp;

std::string literal(const std::string& octets) { return "{" + std::to_string(octets.size()) + "+}\r\n" + octets; }

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(loop_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
    greeting = answer();
  }
  void send(const std::string& text) { asio::write(socket_, asio::buffer(text)); }
  /// One line without CRLF, literals in it as they are; "<eof>" when the server has closed.
  std::string line() {
    auto text = until_crlf();
    while (text.ends_with('}')) {
      const auto open = text.rfind('{');
      const std::size_t size = std::stoul(text.substr(open + 1));
      while (buffer_.size() < size) {
        char piece[4096];
        buffer_.append(piece, socket_.read_some(asio::buffer(piece)));
      }
      text += "\r\n" + buffer_.substr(0, size);
      buffer_.erase(0, size);
      text += until_crlf();
    }
    return text;
  }
  /// Lines up to OK, NO or BYE, joined by "|".
  std::string answer() {
    std::string all;
    for (;;) {
      const auto text = line();
      all += all.empty() ? text : "|" + text;
      if (text == "<eof>" || text.starts_with("OK") || text.starts_with("NO") || text.starts_with("BYE")) return all;
    }
  }
  std::string ask(const std::string& command) {
    send(command + "\r\n");
    return answer();
  }
  std::string log_in() {
    return ask("AUTHENTICATE \"PLAIN\" \"" + to_base64("\0alice@example.test\0a secret"s) + "\"");
  }
  std::string greeting;

 private:
  std::string until_crlf() {
    boost::system::error_code error;
    const auto size = asio::read_until(socket_, asio::dynamic_buffer(buffer_), "\r\n", error);
    if (error) return "<eof>";
    auto text = buffer_.substr(0, size - 2);
    buffer_.erase(0, size);
    return text;
  }
  asio::io_context loop_;
  tcp::socket socket_;
  std::string buffer_;
};

class ManageSieveSession : public testing::Test {
 protected:
  void start() {
    config.mutable_listeners()->Clear();
    auto& listener = *config.add_listeners();
    listener.set_address("127.0.0.1");
    listener.set_plaintext_login_from_loopback(plaintext);
    listener.set_max_connections(50);
    config.set_hostname("sieve.example.test");
    runtime::apply_defaults(config);
    process = std::make_unique<runtime::Process>(
        runtime::ProcessOptions{.name = "sieve", .loops = 1, .blocking_threads = 1, .endpoint_delay = {}});
    auto module =
        std::make_unique<Module>(*process, config, rpc::in_process_channel(backends.auth_dispatcher, rpc::Role::kSieve),
                                 rpc::in_process_channel(backends.filter_dispatcher, rpc::Role::kSieve));
    auto* seen = module.get();
    process->add(std::move(module));
    const auto started = process->start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
    port = seen->port(0);
  }
  void TearDown() override {
    if (process) process->stop();
  }

  log::Capture logs;
  test::Backends backends;
  config::v1::Sieve config = runtime::with_defaults<config::v1::Sieve>();
  std::unique_ptr<runtime::Process> process;
  std::uint16_t port = 0;
  bool plaintext = true;
};

TEST_F(ManageSieveSession, GreetsWithItsCapabilities) {
  start();
  Client client(port);
  EXPECT_TRUE(
      client.greeting.starts_with("\"IMPLEMENTATION\" \"Merpati\"|\"VERSION\" \"1.0\"|"
                                  "\"SASL\" \"SCRAM-SHA-256 PLAIN LOGIN\"|\"SIEVE\" \""))
      << client.greeting;
  EXPECT_TRUE(
      client.greeting.ends_with("\"|\"NOTIFY\" \"mailto\"|\"MAXREDIRECTS\" \"4\"|\"LANGUAGE\" \"en\"|"
                                "\"UNAUTHENTICATE\"|OK \"sieve.example.test ManageSieve ready\""))
      << client.greeting;
  EXPECT_NE(client.greeting.find(" fileinto "), std::string::npos);
  EXPECT_EQ(client.greeting.find("STARTTLS"), std::string::npos) << "there is no certificate";
  EXPECT_EQ(client.log_in(), "OK \"logged in\"");
  EXPECT_NE(client.ask("CAPABILITY").find("|\"OWNER\" \"alice@example.test\"|"), std::string::npos);
  EXPECT_EQ(client.ask("UNAUTHENTICATE"), "OK \"logged out\"");
  EXPECT_EQ(client.ask("CAPABILITY").find("OWNER"), std::string::npos);
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "NO \"log in first\"");
  EXPECT_EQ(client.ask("UNAUTHENTICATE"), "NO \"log in first\"");
  EXPECT_EQ(client.ask("LOGOUT"), "OK \"bye\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, KeepsScripts) {
  start();
  Client client(port);
  client.log_in();
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "OK");
  EXPECT_EQ(client.ask("PUTSCRIPT \"one\" " + literal("keep;\r\n# {5+}\r\n")), "OK");
  EXPECT_EQ(client.ask("PUTSCRIPT " + literal("a\"b") + " \"stop;\""), "OK");
  EXPECT_EQ(client.ask("SETACTIVE \"one\""), "OK");
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "\"a\\\"b\"|\"one\" ACTIVE|OK");
  EXPECT_EQ(client.ask("GETSCRIPT \"one\""), "{15}\r\nkeep;\r\n# {5+}\r\n|OK");
  EXPECT_EQ(client.ask("DELETESCRIPT \"one\""), "NO (ACTIVE) \"this is not possible with the active script\"");
  EXPECT_EQ(client.ask("RENAMESCRIPT \"one\" \"a\\\"b\""),
            "NO (ALREADYEXISTS) \"there is a script of this name already\"");
  EXPECT_EQ(client.ask("RENAMESCRIPT \"one\" \"two\""), "OK");
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "\"a\\\"b\"|\"two\" ACTIVE|OK");
  EXPECT_EQ(client.ask("SETACTIVE \"\""), "OK");
  EXPECT_EQ(client.ask("DELETESCRIPT \"two\""), "OK");
  for (const auto* command :
       {"GETSCRIPT \"two\"", "DELETESCRIPT \"two\"", "SETACTIVE \"two\"", "RENAMESCRIPT \"two\" \"x\""})
    EXPECT_EQ(client.ask(command), "NO (NONEXISTENT) \"there is no script of this name\"") << command;
}

TEST_F(ManageSieveSession, TellsWhatIsWrongWithAScript) {
  start();
  Client client(port);
  client.log_in();
  const auto wrong = "NO {66}\r\nline 1, column 4: what is \"bad\"?\r\nline 2, column 4: what is \"bad\"?"s;
  EXPECT_EQ(client.ask("PUTSCRIPT \"x\" \"bad\""), wrong);
  EXPECT_EQ(client.ask("CHECKSCRIPT \"bad\""), wrong);
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "OK");
  EXPECT_EQ(client.ask("CHECKSCRIPT \"keep;\""), "OK");
  EXPECT_TRUE(client.ask("PUTSCRIPT \"x\" \"odd\"").starts_with("OK (WARNINGS) {66}\r\nline 1, column 4:"));
  EXPECT_EQ(client.ask("PUTSCRIPT \"empty\" \"\""), "NO \"the script is empty\"");
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "\"x\"|OK");
}

TEST_F(ManageSieveSession, HoldsLimits) {
  config.set_max_script_size(10'000);
  start();
  Client client(port);
  client.log_in();
  const std::string large(5'000, '#'), huge(20'000, '#');
  EXPECT_EQ(client.ask("HAVESPACE \"x\" 100"), "OK");
  EXPECT_EQ(client.ask("HAVESPACE \"x\" 5000"), "NO (QUOTA/MAXSIZE) \"the script is too large\"");
  EXPECT_EQ(client.ask("HAVESPACE \"x\" 4294967295"), "NO (QUOTA/MAXSIZE) \"the script is too large\"");
  EXPECT_EQ(client.ask("PUTSCRIPT \"x\" " + literal(large)), "NO (QUOTA/MAXSIZE) \"the script is too large\"");
  EXPECT_EQ(client.ask("CHECKSCRIPT " + literal(large)), "NO (QUOTA/MAXSIZE) \"the script is too large\"");
  EXPECT_EQ(client.ask("PUTSCRIPT \"x\" " + literal(huge)), "NO (QUOTA/MAXSIZE) \"the script is too large\"")
      << "read and forgotten by the edge";
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(client.ask("PUTSCRIPT \""s + name + "\" \"keep;\""), "OK");
  EXPECT_EQ(client.ask("PUTSCRIPT \"d\" \"keep;\""), "NO (QUOTA/MAXSCRIPTS) \"there are too many scripts\"");
  EXPECT_EQ(client.ask("PUTSCRIPT \"a\" \"stop;\""), "OK");
  EXPECT_EQ(client.ask("NOOP"), "OK \"done\"");
  client.send("PUTSCRIPT \"x\" {4000000000+}\r\n");
  EXPECT_EQ(client.answer(), "BYE (QUOTA/MAXSIZE) \"the script is too large\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, BoundsWhatAllSessionsHold) {
  config.set_max_bytes_in_flight(1000);
  start();
  Client client(port);
  client.log_in();
  EXPECT_EQ(client.ask("CHECKSCRIPT " + literal(std::string(2000, '#'))),
            "NO (TRYLATER) \"the server is busy, try again later\"");
  EXPECT_EQ(client.ask("CHECKSCRIPT " + literal(std::string(900, '#'))), "OK");
}

TEST_F(ManageSieveSession, Challenges) {
  start();
  Client client(port);
  client.send("AUTHENTICATE \"PLAIN\"\r\n");
  EXPECT_EQ(client.line(), "\"\"");
  EXPECT_EQ(client.ask("\"*\""), "NO \"authentication cancelled\"");
  client.send("AUTHENTICATE \"PLAIN\"\r\n");
  EXPECT_EQ(client.line(), "\"\"");
  EXPECT_EQ(client.ask("\"???\""), "NO \"not base64\"");
  client.send("AUTHENTICATE \"SCRAM-SHA-256\"\r\n");
  EXPECT_EQ(client.line(), "\"" + to_base64("who?") + "\"");
  EXPECT_EQ(client.ask(literal(to_base64("me"))), "OK (SASL \"" + to_base64("v=proof") + "\") \"logged in\"");
  EXPECT_EQ(client.ask("AUTHENTICATE \"PLAIN\""), "NO \"you are logged in already\"");
  EXPECT_EQ(client.ask("STARTTLS"), "NO \"you are logged in already\"");
}

TEST_F(ManageSieveSession, RefusesLogins) {
  config.set_max_failed_logins(2);
  start();
  Client client(port);
  EXPECT_EQ(client.ask("AUTHENTICATE \"CRAM-MD5\""), "NO \"no such mechanism\"");
  EXPECT_EQ(client.ask("AUTHENTICATE \"SCRAM-SHA-256-PLUS\""),
            "NO (ENCRYPT-NEEDED) \"this mechanism needs TLS: use STARTTLS first\"");
  const std::string wrong = "AUTHENTICATE \"PLAIN\" \"" + to_base64("\0alice@example.test\0wrong"s) + "\"";
  EXPECT_EQ(client.ask(wrong), "NO \"wrong name or password\"");
  backends.auth.down.with([](bool& down) { down = true; });
  EXPECT_EQ(client.ask(wrong), "NO (TRYLATER) \"authentication is unavailable, try later\"");
  backends.auth.down.with([](bool& down) { down = false; });
  EXPECT_EQ(client.ask(wrong), "BYE \"too many failed logins\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, NoPasswordsInClearUnlessAllowed) {
  plaintext = false;
  start();
  Client client(port);
  EXPECT_NE(client.greeting.find("|\"SASL\" \"SCRAM-SHA-256\"|"), std::string::npos);
  EXPECT_EQ(client.log_in(), "NO (ENCRYPT-NEEDED) \"this mechanism needs TLS: use STARTTLS first\"");
}

TEST_F(ManageSieveSession, AnswersNonsenseAndGoesOn) {
  config.set_max_errors(8);
  start();
  Client client(port);
  EXPECT_EQ(client.ask("FROB"), "NO \"unknown command\"");
  EXPECT_EQ(client.ask("NOOP {3+}\r\na\r\n"), "OK (TAG {3}\r\na\r\n) \"done\"");
  client.send("NOOP \"1\"\r\nNOOP \"2\"\r\n");
  EXPECT_EQ(client.answer(), "OK (TAG \"1\") \"done\"");
  EXPECT_EQ(client.answer(), "OK (TAG \"2\") \"done\"");
  EXPECT_EQ(client.ask(std::string(20'000, 'x')), "NO \"the line is too long\"");
  EXPECT_EQ(client.ask("PUTSCRIPT \"a\" " + literal("NOOP")), "NO \"log in first\"");
  EXPECT_EQ(client.ask("STARTTLS"), "NO \"TLS is not available here\"");
  EXPECT_EQ(client.ask("NOOP {3}"), "BYE \"a client's literal is written {n+}\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, TooManyErrorsEndIt) {
  config.set_max_errors(2);
  start();
  Client client(port);
  EXPECT_EQ(client.ask("FROB"), "NO \"unknown command\"");
  EXPECT_EQ(client.ask("FROB"), "NO \"unknown command\"");
  EXPECT_EQ(client.answer(), "BYE \"too many errors\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, StaysWhileTheFilterIsAway) {
  start();
  Client client(port);
  client.log_in();
  backends.scripts.state.with([](auto& s) { s.down = true; });
  for (const auto* command : {"LISTSCRIPTS", "GETSCRIPT \"x\"", "PUTSCRIPT \"x\" \"keep;\"", "CHECKSCRIPT \"keep;\"",
                              "HAVESPACE \"x\" 1", "SETACTIVE \"x\"", "DELETESCRIPT \"x\"", "RENAMESCRIPT \"x\" \"y\""})
    EXPECT_EQ(client.ask(command), "NO (TRYLATER) \"temporarily unavailable, try again later\"") << command;
  backends.scripts.state.with([](auto& s) { s.down = false; });
  EXPECT_EQ(client.ask("LISTSCRIPTS"), "OK");
}

TEST_F(ManageSieveSession, ARevokedLoginEnds) {
  start();
  Client client(port);
  client.log_in();
  EXPECT_EQ(client.ask("NOOP"), "OK \"done\"");
  backends.auth.revoked.with([](bool& revoked) { revoked = true; });
  std::string said;
  for (int i = 0; i < 5000 && !said.starts_with("BYE"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    said = client.ask("NOOP");
  }
  EXPECT_EQ(said, "BYE \"the login has ended, please log in again\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, AnAccountHasSoManySessions) {
  config.set_max_connections_per_account(1);
  start();
  Client one(port), two(port);
  EXPECT_EQ(one.log_in(), "OK \"logged in\"");
  EXPECT_EQ(two.log_in(), "NO (TRYLATER) \"too many connections of this account\"");
  EXPECT_EQ(one.ask("UNAUTHENTICATE"), "OK \"logged out\"");
  EXPECT_EQ(two.log_in(), "OK \"logged in\"");
}

TEST_F(ManageSieveSession, SilentClientsAreToldGoodbye) {
  config.mutable_login_timeout()->set_seconds(0);
  config.mutable_login_timeout()->set_nanos(50'000'000);
  start();
  Client client(port);
  EXPECT_EQ(client.answer(), "BYE \"no login for too long\"");
  EXPECT_EQ(client.line(), "<eof>");
}

TEST_F(ManageSieveSession, IdleOnesToo) {
  config.mutable_idle_timeout()->set_seconds(0);
  config.mutable_idle_timeout()->set_nanos(50'000'000);
  start();
  Client client(port);
  client.log_in();
  EXPECT_EQ(client.answer(), "BYE \"idle for too long\"");
}

TEST_F(ManageSieveSession, ADrainEndsItAtACommandBoundary) {
  start();
  Client client(port);
  client.log_in();
  std::thread stopping([this] { process->stop(); });
  EXPECT_EQ(client.answer(), "BYE (TRYLATER) \"the server is going away, please connect again\"");
  EXPECT_EQ(client.line(), "<eof>");
  stopping.join();
}

}  // namespace
}  // namespace merpati::managesieve
