// The filter against a real PostgreSQL, with an auth and a store that are told what to say.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/use_future.hpp>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "filter/migrations.hpp"
#include "filter/module.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/filter/v1/scripts.rpc.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/process.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "support/postgres.hpp"

namespace merpati::filter {

using namespace std::chrono_literals;

/// A feed of purges; position n is that of account n.
class FakeAuth final : public auth::v1::AuthService {
 public:
  Task<void> watch_events(rpc::Context&, const auth::v1::WatchEventsRequest& request,
                          rpc::Writer<auth::v1::Event>& out) override {
    for (std::int64_t account = 1; account <= purged_up_to; ++account) {
      if (account <= request.after_position()) continue;
      auth::v1::Event event;
      event.set_position(account);
      event.set_kind(auth::v1::Event::KIND_ACCOUNT_PURGED);
      event.set_account_id(account);
      MERPATI_CO_CHECK(co_await out.write(std::move(event)));
    }
    co_return Result<void>();
  }
  /// Addresses of account N: "alias-of-N@example.test".
  Task<auth::v1::CheckSenderResponse> check_sender(rpc::Context&,
                                                   const auth::v1::CheckSenderRequest& request) override {
    ++senders_checked;
    auth::v1::CheckSenderResponse out;
    out.set_allowed(request.address() == "alias-of-" + std::to_string(request.account_id()) + "@example.test");
    co_return out;
  }
  std::atomic<std::int64_t> purged_up_to = 0;
  std::atomic<int> senders_checked = 0;
};

class FakeStore final : public store::v1::StoreService {
 public:
  Task<store::v1::ResolveDeliveryResponse> resolve_delivery(rpc::Context&,
                                                            const store::v1::ResolveDeliveryRequest& request) override {
    std::lock_guard lock(mutex);
    ++resolutions;
    if (fail) co_return *fail;
    store::v1::ResolveDeliveryResponse out;
    out.set_committed(committed.contains(request.delivery_id()));
    co_return out;
  }
  Task<store::v1::ListMailboxesResponse> list_mailboxes(rpc::Context&,
                                                        const store::v1::ListMailboxesRequest&) override {
    std::lock_guard lock(mutex);
    ++listings;
    if (fail) co_return *fail;
    co_return mailboxes;
  }
  std::mutex mutex;
  std::optional<Error> fail;
  std::set<std::string> committed;
  store::v1::ListMailboxesResponse mailboxes;
  int resolutions = 0, listings = 0;
};

class FilterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = new test::Postgres(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  void SetUp() override {
    auth_door_.register_service(auth_);
    store_door_.register_service(store_);
    database_->sql("drop schema if exists filter cascade");
    const auto migrated = pg::migrate(database_->dsn(), "filter", migrations());
    ASSERT_TRUE(migrated.has_value()) << migrated.error().describe();
    runtime::apply_defaults(config_);
    config_.set_authserv_id("mx.example.test");
    config_.mutable_database()->set_dsn(database_->dsn());
  }
  void TearDown() override { stop(); }

  void start() {
    runtime::ProcessOptions options;
    options.loops = 1;
    options.endpoint_delay = 0s;
    process_ = std::make_unique<runtime::Process>(options);
    auto module = std::make_unique<Module>(*process_, config_, rpc::in_process_channel(auth_door_, rpc::Role::kFilter),
                                           rpc::in_process_channel(store_door_, rpc::Role::kFilter));
    smtp_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kSmtp);
    admin_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kAdmin);
    process_->add(std::move(module));
    const auto started = process_->start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
  }
  void stop() {
    smtp_.reset();
    admin_.reset();
    if (process_) process_->stop();
    process_.reset();
  }

  template <class T>
  Result<T> attempt(Task<T> task) {
    return runtime::block_on(process_->loops().main(), std::move(task));
  }
  template <class T>
  T call(Task<T> task) {
    auto result = attempt(std::move(task));
    EXPECT_TRUE(result.has_value()) << (result.has_error() ? result.error().describe() : "");
    return result.has_value() ? *std::move(result) : T();
  }

  v1::PutScriptResponse put(std::int64_t account, const std::string& name, const std::string& source) {
    v1::PutScriptRequest request;
    request.set_account_id(account);
    request.set_name(name);
    request.set_source(source);
    v1::ScriptsClient client(admin_);
    return call(client.put_script(request));
  }
  /// kUnknown when it goes well.
  ErrorCode activate(std::int64_t account, const std::string& name) {
    v1::SetActiveScriptRequest request;
    request.set_account_id(account);
    request.set_name(name);
    v1::ScriptsClient client(admin_);
    auto done = attempt(client.set_active_script(request));
    return done.has_error() ? done.error().code() : ErrorCode::kUnknown;
  }

  static inline test::Postgres* database_ = nullptr;
  FakeAuth auth_;
  FakeStore store_;
  rpc::Dispatcher auth_door_, store_door_;
  config::v1::Filter config_;
  std::unique_ptr<runtime::Process> process_;
  std::shared_ptr<rpc::Channel> smtp_, admin_;
};

}  // namespace merpati::filter
