// Fakes of auth, store, filter and queue in memory, and a whole SMTP edge on loopback ports in front of them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/config/v1/smtp.pb.h"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/filter/v1/milters.rpc.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/process.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "smtp/module.hpp"

namespace merpati::smtp::testing {

using namespace std::chrono_literals;

/// alice (7) and bob (8) of example.test, everything "secret"; team@ is both and an address outside; far@ lives in
/// another cell; full@ (11) has a limit of 100 messages.
class FakeAuth final : public auth::v1::AuthService {
 public:
  Task<auth::v1::ResolveRecipientResponse> resolve_recipient(
      rpc::Context&, const auth::v1::ResolveRecipientRequest& request) override {
    ++resolved;
    if (fail) co_return *fail;
    auth::v1::ResolveRecipientResponse out;
    const auto& address = request.address();
    const auto add = [&](std::int64_t id, const std::string& main) {
      auto& recipient = *out.add_recipients();
      recipient.set_grant("grant-" + std::to_string(id));
      recipient.mutable_claims()->set_account_id(id);
      recipient.mutable_claims()->set_recipient(address);
      recipient.mutable_claims()->set_address(main);
      recipient.mutable_claims()->set_expires_at(std::time(nullptr) + 600);
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_LOCAL);
    };
    const auto at = address.rfind('@');
    if (address.substr(at + 1) != "example.test") {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_REMOTE);
    } else if (address == "alice@example.test" || address.starts_with("alice+")) {
      add(7, "alice@example.test");
    } else if (address == "bob@example.test") {
      add(8, "bob@example.test");
    } else if (address == "p\xc3\xa4ul@example.test") {
      add(9, address);
    } else if (address == "far@example.test") {
      add(10, address);
      out.mutable_recipients(0)->mutable_claims()->set_cell("two");
    } else if (address == "full@example.test") {
      add(11, address);
      out.mutable_recipients(0)->mutable_claims()->set_quota_messages(100);
    } else if (address == "team@example.test") {
      add(7, "alice@example.test");
      add(8, "bob@example.test");
      out.add_remote_addresses("friend@elsewhere.test");
    } else if (address == "away@example.test") {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_LOCAL);
      out.add_remote_addresses("one@elsewhere.test");
      out.add_remote_addresses("two@elsewhere.test");
    } else if (address == "gone@example.test") {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_DISABLED);
    } else {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_UNKNOWN);
    }
    co_return out;
  }
  Task<auth::v1::CheckSenderResponse> check_sender(rpc::Context&,
                                                   const auth::v1::CheckSenderRequest& request) override {
    auth::v1::CheckSenderResponse out;
    out.set_allowed(request.account_id() == 7 && request.address() == "alice@example.test");
    co_return out;
  }
  /// PLAIN, and a made-up SCRAM-SHA-256 of one challenge with data at its end.
  Task<void> sasl(rpc::Context&, rpc::Reader<auth::v1::SaslRequest>& in,
                  rpc::Writer<auth::v1::SaslResponse>& out) override {
    MERPATI_CO_TRY(auto first, co_await in.read());
    if (!first) co_return Result<void>();
    std::string given = first->start().initial_response();
    if (!first->start().has_initial_response()) {
      auth::v1::SaslResponse challenge;
      challenge.set_challenge(first->start().mechanism() == "PLAIN" ? "" : "challenge");
      MERPATI_CO_CHECK(co_await out.write(std::move(challenge)));
      MERPATI_CO_TRY(auto second, co_await in.read());
      if (!second) co_return Result<void>();
      given = second->response();
    }
    auth::v1::SaslResponse last;
    if (given == std::string("\0alice@example.test\0secret", 26) || given == "scram") {
      auto& success = *last.mutable_success();
      success.set_token("token");
      success.mutable_claims()->set_account_id(7);
      success.mutable_claims()->set_address("alice@example.test");
      success.mutable_claims()->set_expires_at(std::time(nullptr) + 900);
      success.mutable_claims()->add_scopes(auth::v1::SCOPE_SUBMIT);
      if (given == "scram") success.set_server_final("v=proof");
    } else {
      last.mutable_failure()->set_reason(auth::v1::LoginFailure::REASON_CREDENTIALS);
    }
    co_return co_await out.write(std::move(last));
  }

  std::optional<Error> fail;
  std::atomic<int> resolved = 0;
};

/// Remembers what was delivered; what it answers can be set.
class FakeStore final : public store::v1::StoreService {
 public:
  struct Mail {
    std::int64_t account = 0;
    std::string prefix, body, mailbox;
    bool junk = false;
    std::vector<std::string> flags = {};
  };
  Task<store::v1::DeliverResponse> deliver(rpc::Context&, const store::v1::DeliverRequest& request) override {
    std::lock_guard lock(mutex);
    ++deliveries;
    if (!failures.empty()) {
      const auto failure = failures.front();
      failures.erase(failures.begin());
      if (failure) co_return *failure;
    }
    store::v1::DeliverResponse out;
    const auto account_of = [](const auto& recipient) { return std::stoll(recipient.grant().substr(6)); };
    const bool none =
        request.all_or_none() && std::any_of(request.recipients().begin(), request.recipients().end(),
                                             [&](const auto& r) { return over_quota.contains(account_of(r)); });
    for (const auto& recipient : request.recipients()) {
      const auto account = account_of(recipient);
      auto& result = *out.add_results();
      result.set_status(none ? store::v1::DeliverResult::STATUS_WITHHELD : store::v1::DeliverResult::STATUS_DELIVERED);
      if (over_quota.contains(account)) result.set_status(store::v1::DeliverResult::STATUS_OVER_QUOTA);
      if (result.status() != store::v1::DeliverResult::STATUS_DELIVERED) continue;
      const auto& body = recipient.has_body() ? recipient.body() : request.body();
      const auto octets = body.has_inline_() ? body.inline_() : blobs[body.blob_id()];
      if (seen.emplace(request.delivery_id(), account * 100 + recipient.part()).second)
        mails.push_back({account,
                         recipient.header_prefix(),
                         octets,
                         recipient.mailbox(),
                         recipient.into_junk(),
                         {recipient.flags().begin(), recipient.flags().end()}});
    }
    if (after_deliver) after_deliver();
    co_return out;
  }
  Task<store::v1::PutBlobResponse> put_blob(rpc::Context&, rpc::Reader<store::v1::PutBlobRequest>& in) override {
    std::string all;
    for (;;) {
      MERPATI_CO_TRY(auto piece, co_await in.read());
      if (!piece) break;
      all += piece->chunk();
    }
    std::lock_guard lock(mutex);
    if (upload_fails) co_return *upload_fails;
    store::v1::PutBlobResponse out;
    out.set_blob_id(sha256(all));
    blobs[out.blob_id()] = std::move(all);
    co_return out;
  }
  Task<store::v1::ResolveDeliveryResponse> resolve_delivery(rpc::Context&,
                                                            const store::v1::ResolveDeliveryRequest& request) override {
    std::lock_guard lock(mutex);
    ++resolutions;
    if (committed == std::nullopt) co_return Error(ErrorCode::kUnavailable, "down");
    store::v1::ResolveDeliveryResponse out;
    out.set_committed(*committed || committed_for.contains(request.account_id_of_recipient()));
    co_return out;
  }
  Task<store::v1::CheckRoomResponse> check_room(rpc::Context&, const store::v1::CheckRoomRequest& request) override {
    std::lock_guard lock(mutex);
    if (room_fails) co_return *room_fails;
    store::v1::CheckRoomResponse out;
    out.set_room(request.grant() != "grant-11" || request.size() <= 5000);
    co_return out;
  }
  Mail only_mail() {
    std::lock_guard lock(mutex);
    EXPECT_EQ(mails.size(), 1U);
    return mails.empty() ? Mail{} : mails.front();
  }

  std::mutex mutex;
  std::vector<Mail> mails;
  std::set<std::pair<std::string, std::int64_t>> seen;
  std::map<std::string, std::string> blobs;
  std::vector<std::optional<Error>> failures;  ///< for the next calls of Deliver; nullopt: goes well
  std::function<void()> after_deliver;         ///< called under the lock
  std::set<std::int64_t> over_quota;
  std::optional<Error> room_fails, upload_fails;
  std::optional<bool> committed = false;
  std::set<std::int64_t> committed_for;
  int deliveries = 0, resolutions = 0;
};

class FakeFilter final : public filter::v1::FilterService {
 public:
  Task<filter::v1::CheckConnectionResponse> check_connection(rpc::Context&,
                                                             const filter::v1::CheckConnectionRequest&) override {
    if (fail) co_return *fail;
    filter::v1::CheckConnectionResponse out;
    out.set_decision(filter::v1::DECISION_ACCEPT);
    co_return out;
  }
  Task<filter::v1::CheckRecipientResponse> check_recipient(rpc::Context&,
                                                           const filter::v1::CheckRecipientRequest& request) override {
    if (fail) co_return *fail;
    filter::v1::CheckRecipientResponse out;
    out.set_decision(request.recipient() == "alice+later@example.test" ? filter::v1::DECISION_TEMPORARY
                                                                       : filter::v1::DECISION_ACCEPT);
    co_return out;
  }
  Task<filter::v1::CheckMessageResponse> check_message(rpc::Context&,
                                                       const filter::v1::CheckMessageRequest& request) override {
    if (fail) co_return *fail;
    {
      std::lock_guard lock(mutex);
      last = request;
    }
    filter::v1::CheckMessageResponse out;
    out.set_decision(filter::v1::DECISION_ACCEPT);
    if (answer) answer(request, out);
    co_return out;
  }
  Task<filter::v1::SettleMessageResponse> settle_message(rpc::Context&,
                                                         const filter::v1::SettleMessageRequest& request) override {
    std::lock_guard lock(mutex);
    settled.push_back(request);
    if (settle_fails) co_return *settle_fails;
    co_return filter::v1::SettleMessageResponse();
  }
  std::optional<Error> fail, settle_fails;
  std::mutex mutex;
  std::vector<filter::v1::SettleMessageRequest> settled;
  filter::v1::CheckMessageRequest last;
  std::function<void(const filter::v1::CheckMessageRequest&, filter::v1::CheckMessageResponse&)> answer;
};

/// Milters as the edge sees them: an answer for each event, by its name in the contract ("mail"); others go on.
class FakeMilters final : public filter::v1::MiltersService {
 public:
  using Answer = std::function<void(const filter::v1::DialogRequest&, filter::v1::DialogResponse&)>;

  Task<void> follow_milters(rpc::Context&, const filter::v1::FollowMiltersRequest&,
                            rpc::Writer<filter::v1::FollowMiltersResponse>& out) override {
    filter::v1::FollowMiltersResponse response;
    for (const auto& listener : listeners) response.add_listeners(listener);
    MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    for (;;) MERPATI_CO_CHECK(co_await sleep_for(1h));
  }
  Task<void> dialog(rpc::Context&, rpc::Reader<filter::v1::DialogRequest>& in,
                    rpc::Writer<filter::v1::DialogResponse>& out) override {
    ++dialogs;
    if (fail) co_return *fail;
    for (;;) {
      MERPATI_CO_TRY(const auto request, co_await in.read());
      if (!request) co_return Result<void>();
      const auto name = name_of(*request);
      filter::v1::DialogResponse response;
      response.set_decision(filter::v1::DECISION_ACCEPT);
      response.set_accept_when_lost(accept_when_lost);
      {
        std::lock_guard lock(mutex);
        heard.push_back(*request);
        if (name != "content" || request->content().last()) names.append(names.empty() ? "" : " ").append(name);
        if (!listeners.empty())
          for (const auto event : wanted) response.add_wanted(event);
        if (name == breaks_at) co_return Error(ErrorCode::kUnavailable, "the replica is gone");
        if (const auto found = answers.find(name); found != answers.end()) found->second(*request, response);
      }
      if (name == "abort" || (name == "content" && !request->content().last())) continue;
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
  }
  static std::string name_of(const filter::v1::DialogRequest& request) {
    const auto* field = filter::v1::DialogRequest::descriptor()->FindFieldByNumber(request.event_case());
    return field == nullptr ? "" : field->name();
  }
  std::string told() {
    std::lock_guard lock(mutex);
    return names;
  }
  std::string told(const std::string& expected) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    while (told() != expected && std::chrono::steady_clock::now() < give_up) std::this_thread::sleep_for(1ms);
    return told();
  }

  std::vector<std::string> listeners;  ///< before the edge starts
  std::optional<Error> fail;
  std::atomic<int> dialogs = 0;
  std::mutex mutex;
  bool accept_when_lost = false;
  std::vector<filter::v1::DialogEvent> wanted = {
      filter::v1::DIALOG_EVENT_HELLO,   filter::v1::DIALOG_EVENT_MAIL,   filter::v1::DIALOG_EVENT_RECIPIENT,
      filter::v1::DIALOG_EVENT_DATA,    filter::v1::DIALOG_EVENT_BODY,   filter::v1::DIALOG_EVENT_REFUSED_RECIPIENT,
      filter::v1::DIALOG_EVENT_CONTENT, filter::v1::DIALOG_EVENT_UNKNOWN};
  std::map<std::string, Answer> answers;
  std::string breaks_at;
  std::vector<filter::v1::DialogRequest> heard;
  std::string names;
};

class FakeQueue final : public queue::v1::QueueService {
 public:
  Task<queue::v1::EnqueueResponse> enqueue(rpc::Context&, const queue::v1::EnqueueRequest& request) override {
    if (fail) co_return *fail;
    std::lock_guard lock(mutex);
    if (!failures.empty()) {
      const auto failure = failures.front();
      failures.erase(failures.begin());
      if (failure) co_return *failure;
    }
    items.push_back(request);
    co_return queue::v1::EnqueueResponse();
  }
  Task<queue::v1::ReleaseResponse> release(rpc::Context&, const queue::v1::ReleaseRequest& request) override {
    std::lock_guard lock(mutex);
    if (release_fails) co_return *release_fails;
    released.push_back(request.delivery_id());
    queue::v1::ReleaseResponse out;
    out.set_taken_back(taken_back);
    co_return out;
  }
  Task<queue::v1::DropResponse> drop(rpc::Context&, const queue::v1::DropRequest& request) override {
    std::lock_guard lock(mutex);
    dropped.push_back(request.delivery_id());
    co_return queue::v1::DropResponse();
  }
  std::optional<Error> fail, release_fails;
  std::vector<std::optional<Error>> failures;  ///< for the next calls of Enqueue; nullopt: goes well
  bool taken_back = false;
  std::mutex mutex;
  std::vector<queue::v1::EnqueueRequest> items;
  std::vector<std::string> released, dropped;
};

/// The edge: ports()[0] is MX, [1] submission, both in plain text with logins allowed from loopback; with a certificate
/// they offer STARTTLS, and [2] is submission over TLS.
class Edge {
 public:
  explicit Edge(config::v1::Smtp config = {}, bool check_from_header = true, std::vector<std::string> milters_of = {})
      : process_({.name = "test", .loops = 1, .grace_period = 10s, .endpoint_delay = {}}) {
    milters.listeners = std::move(milters_of);
    for (auto* service : std::initializer_list<rpc::Service*>{&auth, &store, &filter, &milters, &queue})
      dispatcher_.register_service(*service);
    config.set_hostname("mx.example.test");
    const auto listen = [&](config::v1::ListenerKind kind, config::v1::TlsMode tls) {
      auto& listener = *config.add_listeners();
      listener.set_address("127.0.0.1");
      listener.set_kind(kind);
      listener.set_tls(tls);
      listener.set_plaintext_login_from_loopback(kind == config::v1::LISTENER_KIND_SUBMISSION);
    };
    listen(config::v1::LISTENER_KIND_MX, config::v1::TLS_MODE_STARTTLS);
    listen(config::v1::LISTENER_KIND_SUBMISSION, config::v1::TLS_MODE_STARTTLS);
    if (config.has_tls()) listen(config::v1::LISTENER_KIND_SUBMISSION, config::v1::TLS_MODE_IMPLICIT);
    runtime::apply_defaults(config);
    config.set_check_from_header(check_from_header);
    const auto channel = rpc::in_process_channel(dispatcher_, rpc::Role::kSmtp);
    auto module = std::make_unique<Module>(process_, config, channel, channel, channel, channel);
    module_ = module.get();
    process_.add(std::move(module));
    auto started = process_.start();
    if (started.has_error()) std::fprintf(stderr, "%s\n", started.error().describe().c_str());
    EXPECT_TRUE(started.has_value());
  }
  ~Edge() { process_.stop(); }
  /// Drains and stops, as SIGTERM does.
  void stop() { process_.stop(); }
  std::uint16_t port(std::size_t listener) const { return module_->ports().at(listener); }

  FakeAuth auth;
  FakeStore store;
  FakeFilter filter;
  FakeMilters milters;
  FakeQueue queue;

 private:
  rpc::Dispatcher dispatcher_;
  runtime::Process process_;
  Module* module_ = nullptr;
};

}  // namespace merpati::smtp::testing
