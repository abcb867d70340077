#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "ctl/commands.hpp"
#include "ctl/mail_dialog.hpp"
#include "merpati/base/encoding.hpp"

namespace merpati::ctl {
namespace {

struct SelftestOptions {
  std::string smtp;
  std::string imap;
  std::string pop3;
  std::string domain = "selftest.invalid";
};

/// An account for the length of the test. Its domain stays when the directory wants to keep it.
class Account {
 public:
  Account(Client& client, const std::string& domain) : client_(client), domain_(domain) {
    auth::v1::CreateDomainRequest make;
    make.set_name(domain);
    const auto made = client.try_call(&AdminClient::create_domain, make);
    if (made.has_error() && made.error().code() != ErrorCode::kAlreadyExists) throw Failure{made.error(), {}};
    address = "selftest-" + to_hex(random_bytes(6)) + "@" + domain;
    auth::v1::CreateAccountRequest request;
    request.set_address(address);
    request.set_password(password);
    request.set_display_name("merpatictl selftest");
    client.call(&AdminClient::create_account, request);
  }
  ~Account() {
    auth::v1::DeleteAccountRequest remove;
    remove.set_address(address);
    static_cast<void>(client_.try_call(&AdminClient::delete_account, remove));
    auth::v1::DeleteDomainRequest domain;
    domain.set_name(domain_);
    static_cast<void>(client_.try_call(&AdminClient::delete_domain, domain));
  }
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  std::string address;
  std::string password = to_hex(random_bytes(16));

 private:
  Client& client_;
  std::string domain_;
};

template <class T>
T step(const Session& session, runtime::Loops& loops, const std::string& what, Task<T> task) {
  auto result = runtime::block_on(loops.main(), std::move(task));
  if (result.has_error()) throw Failure{std::move(result).error().in(what), "the service's log tells more"};
  session.done(what + ": done");
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

void must_contain(const std::string& text, const std::string& mark, const std::string& where) {
  if (text.find(mark) != std::string::npos) return;
  throw Failure{Error(ErrorCode::kFailedPrecondition, "the message is not in what " + where + " answered"), {}};
}

void selftest(Client& client, const Session& session, const SelftestOptions& options) {
  runtime::Loops loops(1);
  loops.start();
  const auto deadline = Deadline::after(std::chrono::minutes(1));
  const Account account(client, options.domain);
  const std::string mark = "selftest " + to_hex(random_bytes(12));
  const std::string message = fmt::format(
      "From: <{0}>\r\nTo: <{0}>\r\nSubject: selftest\r\nMessage-ID: <{1}@{2}>\r\n"
      "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n{3}\r\n",
      account.address, to_hex(random_bytes(12)), options.domain, mark);
  step(session, loops, "sent by SMTP", send_by_smtp(options.smtp, account.address, message, deadline));
  if (!options.imap.empty()) {
    const auto text =
        step(session, loops, "read by IMAP", read_by_imap(options.imap, account.address, account.password, deadline));
    must_contain(text, mark, "IMAP");
  }
  if (!options.pop3.empty()) {
    const auto text =
        step(session, loops, "read by POP3", read_by_pop3(options.pop3, account.address, account.password, deadline));
    must_contain(text, mark, "POP3");
  }
}

}  // namespace

void add_selftest_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<SelftestOptions>();
  auto* command =
      add_command(&app, session, "selftest", "Make an account, send it a message, read it back, and remove the account",
                  [&session, options](Client& client) { selftest(client, session, *options); });
  command->add_option("--smtp", options->smtp, "HOST:PORT where mail from other servers is taken")->required();
  command->add_option("--imap", options->imap, "HOST:PORT with STARTTLS; empty: not tried");
  command->add_option("--pop3", options->pop3, "HOST:PORT with STLS; empty: not tried");
  command->add_option("--domain", options->domain, "domain of the account; made when it is missing")
      ->capture_default_str();
}

}  // namespace merpati::ctl
