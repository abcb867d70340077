// A store with its own PostgreSQL and a directory of objects, called in process as edges call it.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merpati/auth/v1/token.pb.h"
#include "merpati/base/encoding.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/config/v1/store.pb.h"
#include "merpati/pg/migration.hpp"
#include "merpati/rpc/token.hpp"
#include "merpati/runtime/process.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "store/migrations.hpp"
#include "store/module.hpp"
#include "support/postgres.hpp"

namespace merpati::store {

using namespace std::chrono_literals;

class StoreFixture {
 public:
  using ConfigureObjects = std::function<void(config::v1::Objects&)>;
  /// Without `configure` objects are files of a directory of its own.
  explicit StoreFixture(test::Postgres& postgres, std::size_t loops = 1, const ConfigureObjects& configure = {})
      : postgres_(postgres) {
    objects_ = std::filesystem::temp_directory_path() / ("merpati-store-" + new_uuid());
    key_ = rpc::SigningKey::generate("test");
    ring_ = std::make_shared<rpc::KeyRing>();
    ring_->add(key_.id, key_.pub);
    auto migrated = pg::migrate(postgres.dsn(), "store", migrations());
    if (!migrated) throw std::runtime_error(migrated.error().describe());
    config_.mutable_database()->set_dsn(postgres.dsn());
    if (configure) {
      configure(*config_.mutable_objects());
    } else {
      config_.mutable_objects()->set_directory(objects_);
    }
    config_.mutable_database()->set_connections(8);
    start(loops);
  }
  ~StoreFixture() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(objects_, ignored);
  }

  void start(std::size_t loops = 1) {
    runtime::ProcessOptions options;
    options.loops = loops;
    options.endpoint_delay = 0s;
    process_ = std::make_unique<runtime::Process>(options);
    auto module = std::make_unique<Module>(*process_, config_, nullptr);
    module->set_token_verifier(ring_);
    smtp_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kSmtp);
    imap_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kImap);
    pop3_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kPop3);
    admin_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kAdmin);
    queue_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kQueue);
    process_->add(std::move(module));
    auto started = process_->start();
    if (!started) throw std::runtime_error(started.error().describe());
  }
  void stop() {
    for (auto* channel : {&smtp_, &imap_, &pop3_, &admin_, &queue_}) channel->reset();
    if (process_) process_->stop();
    process_.reset();
  }

  v1::StoreClient smtp() { return v1::StoreClient(smtp_); }
  v1::StoreClient imap() { return v1::StoreClient(imap_); }
  v1::StoreClient pop3() { return v1::StoreClient(pop3_); }
  v1::StoreClient admin() { return v1::StoreClient(admin_); }
  v1::StoreClient queue() { return v1::StoreClient(queue_); }
  runtime::Process& process() { return *process_; }

  template <class T>
  Result<T> run(Task<T> task) {
    return runtime::block_on(process_->loops().next(), std::move(task));
  }
  /// The value; the test fails otherwise.
  template <class T>
  T get(Task<T> task) {
    auto result = run(std::move(task));
    EXPECT_TRUE(result.has_value()) << (result.has_error() ? result.error().describe() : "");
    return result.has_value() ? *std::move(result) : T();
  }

  rpc::CallOptions as(std::int64_t account, std::int64_t quota = 0) {
    auth::v1::SessionClaims claims;
    claims.set_account_id(account);
    claims.add_scopes(auth::v1::SCOPE_MAIL_READ);
    claims.add_scopes(auth::v1::SCOPE_MAIL_WRITE);
    claims.set_issued_at(std::time(nullptr) - 1);
    claims.set_expires_at(std::time(nullptr) + 900);
    claims.set_quota_bytes(quota);
    rpc::CallOptions options;
    options.token = rpc::sign(key_, rpc::TokenKind::kSession, claims.SerializeAsString());
    options.account_id = account;
    return options;
  }
  std::string grant(std::int64_t account, std::int64_t quota = 0) {
    auth::v1::RecipientGrant claims;
    claims.set_account_id(account);
    claims.set_quota_bytes(quota);
    claims.set_expires_at(std::time(nullptr) + 900);
    return rpc::sign(key_, rpc::TokenKind::kRecipient, claims.SerializeAsString());
  }
  v1::DeliverRequest delivery(const std::string& octets, const std::vector<std::int64_t>& accounts,
                              std::string id = new_uuid()) {
    v1::DeliverRequest request;
    request.set_delivery_id(std::move(id));
    request.mutable_body()->set_inline_(octets);
    request.set_received_at_ms(1'790'000'000'000);
    for (const auto account : accounts) {
      auto& recipient = *request.add_recipients();
      recipient.set_grant(grant(account));
      recipient.set_header_prefix("Delivered-To: u" + std::to_string(account) + "@example.test\r\n");
    }
    return request;
  }
  v1::DeliverResult deliver(std::int64_t account, const std::string& octets) {
    const auto request = delivery(octets, {account});
    const auto response = get(smtp().deliver(request));
    return response.results_size() == 1 ? response.results(0) : v1::DeliverResult();
  }
  v1::OpenMailboxResponse open(std::int64_t account, const std::string& name = "INBOX", bool take_recent = false) {
    v1::OpenMailboxRequest request;
    request.set_account_id(account);
    request.set_name(name);
    request.set_take_recent(take_recent);
    return get(imap().open_mailbox(request, as(account)));
  }
  std::string content(std::int64_t account, std::int64_t mailbox, std::uint32_t uid) {
    std::string all;
    for (;;) {
      v1::ReadContentRequest request;
      request.set_account_id(account);
      request.set_mailbox_id(mailbox);
      auto& range = *request.add_ranges();
      range.set_uid(uid);
      range.set_offset(all.size());
      const auto response = get(imap().read_content(request, as(account)));
      if (response.contents_size() != 1 || response.contents(0).octets().empty()) return all;
      all += response.contents(0).octets();
      if (all.size() >= response.contents(0).message_size()) return all;
    }
  }
  /// Uses the keys of another fixture, as replicas do.
  void trust(StoreFixture& other) {
    ring_->add(other.key_.id, other.key_.pub);
    key_ = other.key_;
  }
  std::filesystem::path objects() const { return objects_; }
  test::Postgres& postgres() { return postgres_; }

 private:
  test::Postgres& postgres_;
  std::filesystem::path objects_;
  rpc::SigningKey key_;
  std::shared_ptr<rpc::KeyRing> ring_;
  config::v1::Store config_;
  std::unique_ptr<runtime::Process> process_;
  std::shared_ptr<rpc::Channel> smtp_, imap_, pop3_, admin_, queue_;
};

inline std::string mail(const std::string& subject, const std::string& body = "Hello.\r\n",
                        const std::string& more = "") {
  return "From: Ana <ana@remote.test>\r\nTo: bob@example.test\r\nSubject: " + subject + "\r\nMessage-ID: <" + subject +
         "@remote.test>\r\n" + more + "\r\n" + body;
}

inline v1::UidRange* add_range(google::protobuf::RepeatedPtrField<v1::UidRange>* ranges, std::uint32_t first,
                               std::uint32_t last) {
  auto* range = ranges->Add();
  range->set_first(first);
  range->set_last(last);
  return range;
}

}  // namespace merpati::store
