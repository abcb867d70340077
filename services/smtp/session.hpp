// One SMTP session: it reads a command, dispatches it, and writes. The commands are in cmd_*.cpp, one file each.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/net/server.hpp"
#include "smtp/incoming.hpp"
#include "smtp/milter_dialog.hpp"
#include "smtp/milter_outcome.hpp"
#include "smtp/site.hpp"
#include "smtp/transaction.hpp"

namespace merpati::smtp {

class Session final : public net::Session {
 public:
  Session(net::Stream stream, std::shared_ptr<Site> site, std::shared_ptr<const Door> door);
  ~Session() override;
  asio::awaitable<void> run() override;

 private:
  /// Who logged in.
  struct Login {
    std::int64_t account_id = 0;
    std::string address;
    std::string token;
    std::int64_t expires_at = 0;               ///< of the token, Unix seconds
    std::int64_t credential_version = 0;       ///< of the token
    std::vector<std::string> allowed_senders;  ///< that auth has confirmed
    std::string mechanism;
    net::AccountConnections::Place place;
  };

  // session.cpp
  Task<void> serve();
  Task<std::optional<net::Line>> next_line();
  Task<void> dispatch(std::string_view line);
  void reply(int code, std::string_view enhanced, std::string_view text);
  void reply(const Reply& reply);
  void reply_error(const Error& error);
  void log_failure(const Error& error) const;
  void goodbye(int code, std::string_view enhanced, std::string_view text);
  void reset();
  Deadline call_deadline() const;
  rpc::CallOptions call_options(std::int64_t account_id = 0) const;
  bool is_submission() const { return door_->kind == Door::Kind::kSubmission; }
  std::string_view listener() const { return is_submission() ? "submission" : "mx"; }
  bool is_loopback() const { return connection_.stream().remote().address().is_loopback(); }
  Offered offered() const;
  filter::v1::Transaction filter_transaction() const;

  // cmd_hello.cpp
  Task<void> cmd_hello(Verb verb, std::string_view argument);
  // cmd_starttls.cpp
  Task<void> cmd_starttls(std::string_view argument);
  // cmd_auth.cpp
  bool may_login() const;
  std::vector<std::string> mechanisms() const;
  Task<void> cmd_auth(std::string_view argument);
  Task<std::optional<std::string>> read_response();
  Task<void> logged_in(auth::v1::LoginResult result, std::string mechanism);
  void login_failed(const auth::v1::LoginFailure& failure);
  // cmd_mail.cpp
  Task<void> cmd_mail(std::string_view argument);
  Task<bool> connection_passes();
  Task<bool> login_holds();
  Task<bool> may_send_as(const std::string& address, const std::string& refusal);
  Task<bool> authors_are_theirs(MessageBuffer& buffer);
  // cmd_rcpt.cpp
  Task<void> cmd_rcpt(std::string_view argument);
  Task<void> take_recipient(std::string_view argument);
  Task<RecipientCache::Answer> resolve(const std::string& address);
  Task<bool> has_room(const auth::v1::ResolveRecipientResponse& resolved);
  Task<RecipientCache::Answer> resolve_postmaster(const Address& path, RecipientCache::Answer found);
  Task<bool> recipient_passes(EnvelopeRecipient& recipient);
  // cmd_data.cpp
  bool ready_for_message();
  Task<void> cmd_data(std::string_view argument);
  // cmd_bdat.cpp
  Task<void> cmd_bdat(std::string_view argument);
  Task<void> swallow(std::uint64_t octets);
  // accept.cpp
  Task<void> finish_message(std::unique_ptr<Incoming> incoming);
  // milters.cpp
  void refuse(const Reply& refusal, bool close);
  Task<filter::v1::DialogResponse> open_milters(Deadline deadline);
  Task<bool> reach_milters();
  void leave_milters_if_over();
  Task<bool> milters_greet();
  Task<bool> milters_hello(const std::string& name, bool esmtp);
  Task<bool> milters_mail(Transaction& transaction, std::string_view argument);
  Task<bool> milters_recipient(std::string_view argument, const EnvelopeRecipient& recipient);
  Task<void> milters_refused_recipient(std::string_view argument);
  Task<bool> milters_data();
  Task<bool> milters_unknown(std::string_view line);
  asio::awaitable<void> milters_abort();
  bool lose_milters(Transaction* transaction, const Error& error);
  bool go_on_without_milters(Transaction& transaction, const Error& error);
  std::optional<bool> passes_unasked(filter::v1::DialogEvent event);
  bool milters_said(Transaction& transaction, const filter::v1::DialogResponse& answer);
  static Reply milters_away();
  // milters_content.cpp
  Task<void> milters_content(std::unique_ptr<Incoming>& incoming, MilterOutcome& outcome);
  Task<void> take_new_body(filter::v1::DialogResponse response, Incoming& into);
  Task<void> change_envelope(const filter::v1::MessageChanges& changes, MilterOutcome& outcome);

  std::shared_ptr<Site> site_;
  std::shared_ptr<const Door> door_;
  std::string helo_;
  bool esmtp_ = false;
  bool ended_ = false;
  bool checked_ = false;                 ///< the filter has seen the connection
  bool refused_ = false;                 ///< by a milter, at the greeting
  bool milters_over_ = false;            ///< none wants to hear anything more
  bool milters_abort_ = false;           ///< they do not know yet that a transaction has ended
  bool milters_know_recipient_ = false;  ///< of the RCPT in hand
  std::uint32_t errors_ = 0;
  std::uint32_t failed_logins_ = 0;
  std::uint32_t transactions_ = 0;
  Verb verb_ = Verb::kUnknown;  ///< in hand, for metrics
  Deadline session_end_;
  std::unique_ptr<Login> login_;
  std::unique_ptr<Transaction> transaction_;
  std::unique_ptr<Incoming> incoming_;  ///< between two BDAT
  std::unique_ptr<MilterDialog> milters_;
  Reply last_refusal_;  ///< kept where milters want to hear of refused recipients
};

/// What a milter's answer says to the client; none when it lets it go on. Lines with "\n" between them.
std::optional<Reply> milter_refusal(const filter::v1::DialogResponse& response);

}  // namespace merpati::smtp
