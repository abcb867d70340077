#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "ctl/commands.hpp"
#include "ctl/mail_dialog.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/runtime/process.hpp"

namespace merpati::ctl {
namespace {

struct SelftestOptions {
  std::string smtp;
  std::string imap;
  std::string pop3;
  std::string domain = "selftest.invalid";
  int patience = 0;  ///< seconds
};

/// An account for the length of the test. Its domain stays when the directory wants to keep it.
class Account {
 public:
  Account(Client& client, const std::string& domain, Deadline until) : client_(client), domain_(domain) {
    auth::v1::CreateDomainRequest make;
    make.set_name(domain);
    auto made = client.try_call(&AdminClient::create_domain, make);
    while (made.has_error() && made.error().code() == ErrorCode::kUnavailable && !until.passed()) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      made = client.try_call(&AdminClient::create_domain, make);
    }
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

/// Repeats what failed until `until`: services that have just started may not have found each other yet.
template <class Make>
auto step(const Session& session, runtime::Loops& loops, Deadline until, const std::string& what, Make make) {
  for (;;) {
    auto result = runtime::block_on(loops.main(), make(Deadline::after(std::chrono::minutes(1))));
    if (result.has_value()) {
      session.done(what + ": done");
      if constexpr (std::is_void_v<typename decltype(result)::value_type>)
        return;
      else
        return *std::move(result);
    }
    if (until.passed()) throw Failure{std::move(result).error().in(what), "the service's log tells more"};
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void must_contain(const std::string& text, const std::string& mark, const std::string& where) {
  if (text.find(mark) != std::string::npos) return;
  throw Failure{Error(ErrorCode::kFailedPrecondition, "the message is not in what " + where + " answered"), {}};
}

void selftest(Client& client, const Session& session, const SelftestOptions& options) {
  runtime::Loops loops(1);
  loops.start();
  const auto until = Deadline::after(std::chrono::seconds(options.patience));
  const Account account(client, options.domain, until);
  const std::string mark = "selftest " + to_hex(random_bytes(12));
  const std::string message = fmt::format(
      "From: <{0}>\r\nTo: <{0}>\r\nSubject: selftest\r\nMessage-ID: <{1}@{2}>\r\n"
      "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n{3}\r\n",
      account.address, to_hex(random_bytes(12)), options.domain, mark);
  step(session, loops, until, "sent by SMTP",
       [&](Deadline deadline) { return send_by_smtp(options.smtp, account.address, message, deadline); });
  if (!options.imap.empty()) {
    const auto text = step(session, loops, until, "read by IMAP", [&](Deadline deadline) {
      return read_by_imap(options.imap, account.address, account.password, deadline);
    });
    must_contain(text, mark, "IMAP");
  }
  if (!options.pop3.empty()) {
    const auto text = step(session, loops, until, "read by POP3", [&](Deadline deadline) {
      return read_by_pop3(options.pop3, account.address, account.password, deadline);
    });
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
  command->add_option("--patience", options->patience, "seconds in which what fails is tried again")
      ->capture_default_str();
}

}  // namespace merpati::ctl
