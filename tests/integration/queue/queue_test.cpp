// The queue against a real PostgreSQL and an SMTP server: what was accepted leaves once, whatever goes wrong between.
#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <thread>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/config/v1/queue.pb.h"
#include "merpati/filter/v1/filter.rpc.hpp"
#include "merpati/mime/reencode.hpp"
#include "merpati/mime/transfer.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/process.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "queue/migrations.hpp"
#include "queue/module.hpp"
#include "support/postgres.hpp"
#include "support/smtp_sink.hpp"

namespace merpati::queue {
namespace {

using namespace std::chrono_literals;

// Knows the domain example.test; everything else is remote.
class FakeAuth : public auth::v1::AuthService {
 public:
  Task<auth::v1::ResolveRecipientResponse> resolve_recipient(
      rpc::Context&, const auth::v1::ResolveRecipientRequest& request) override {
    auth::v1::ResolveRecipientResponse out;
    const std::string& address = request.address();
    if (!address.ends_with("@example.test")) {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_REMOTE);
    } else if (address.starts_with("nobody@")) {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_UNKNOWN);
    } else if (address.starts_with("away@") || address.starts_with("team@")) {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_LOCAL);
      out.add_remote_addresses("target@remote.test");
      out.add_remote_addresses("second@remote.test");
      if (!address.starts_with("away@")) add(address, out);
    } else {
      out.set_status(auth::v1::ResolveRecipientResponse::STATUS_LOCAL);
      add(address, out);
    }
    co_return out;
  }
  static void add(const std::string& address, auth::v1::ResolveRecipientResponse& out) {
    auto& recipient = *out.add_recipients();
    recipient.set_grant("grant of " + address);
    recipient.mutable_claims()->set_recipient(address);
    recipient.mutable_claims()->set_account_id(7);
  }
};

class FakeStore : public store::v1::StoreService {
 public:
  Task<store::v1::DeliverResponse> deliver(rpc::Context&, const store::v1::DeliverRequest& request) override {
    store::v1::DeliverResponse out;
    std::lock_guard lock(mutex);
    for (const auto& r : request.recipients()) {
      static_cast<void>(r);
      out.add_results()->set_status(store::v1::DeliverResult::STATUS_DELIVERED);
    }
    delivered.push_back(request);
    co_return out;
  }
  Task<store::v1::ResolveDeliveryResponse> resolve_delivery(rpc::Context&,
                                                            const store::v1::ResolveDeliveryRequest& request) override {
    store::v1::ResolveDeliveryResponse out;
    std::lock_guard lock(mutex);
    out.set_committed(committed == request.delivery_id());
    co_return out;
  }
  Task<store::v1::KeepBlobResponse> keep_blob(rpc::Context&, const store::v1::KeepBlobRequest& request) override {
    if (request.blob_id() != "big") co_return Error(ErrorCode::kNotFound, "no such blob");
    store::v1::KeepBlobResponse out;
    out.set_size(blob.size());
    co_return out;
  }
  Task<void> read_blob(rpc::Context&, const store::v1::ReadBlobRequest&,
                       rpc::Writer<store::v1::ReadBlobResponse>& out) override {
    for (std::size_t at = 0; at < blob.size(); at += 100'000) {
      store::v1::ReadBlobResponse response;
      response.set_chunk(blob.substr(at, 100'000));
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
    co_return Result<void>();
  }
  std::vector<store::v1::DeliverRequest> deliveries() {
    std::lock_guard lock(mutex);
    return delivered;
  }
  std::mutex mutex;
  std::vector<store::v1::DeliverRequest> delivered;
  std::string committed;
  std::string blob;
};

class FakeFilter : public filter::v1::FilterService {
 public:
  Task<filter::v1::CheckMessageResponse> check_message(rpc::Context&,
                                                       const filter::v1::CheckMessageRequest& request) override {
    std::lock_guard lock(mutex);
    asked.push_back(request);
    if (fail) co_return *fail;
    filter::v1::CheckMessageResponse out;
    for (const auto& recipient : request.recipients()) {
      auto& verdict = *out.add_recipients();
      verdict.set_decision(filter::v1::DECISION_ACCEPT);
      if (answer) answer(recipient, verdict);
    }
    out.set_settle(settle);
    co_return out;
  }
  Task<filter::v1::SettleMessageResponse> settle_message(rpc::Context&,
                                                         const filter::v1::SettleMessageRequest& request) override {
    std::lock_guard lock(mutex);
    settled.push_back(request);
    co_return filter::v1::SettleMessageResponse();
  }
  std::mutex mutex;
  std::optional<Error> fail;
  bool settle = false;
  std::function<void(const filter::v1::FilterRecipient&, filter::v1::RecipientVerdict&)> answer;
  std::vector<filter::v1::CheckMessageRequest> asked;
  std::vector<filter::v1::SettleMessageRequest> settled;
};

class QueueTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = new test::Postgres(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  void SetUp() override {
    auth_door_.register_service(auth_);
    store_door_.register_service(store_);
    filter_door_.register_service(filter_);
    database_->sql("drop schema if exists queue cascade");
    const auto migrated = pg::migrate(database_->dsn(), "queue", migrations());
    ASSERT_TRUE(migrated.has_value()) << migrated.error().describe();
    runtime::apply_defaults(config_);
    config_.mutable_database()->set_dsn(database_->dsn());
    config_.set_hostname("mx.example.test");
    config_.add_routes("remote.test=127.0.0.1:" + std::to_string(sink_.port()));
    config_.add_routes("closed.test=127.0.0.1:1");
    config_.mutable_retry_first()->set_seconds(0);
    config_.mutable_retry_first()->set_nanos(50'000'000);
    config_.mutable_held_check()->set_seconds(1);
  }
  void TearDown() override { stop(); }

  void start() {
    runtime::ProcessOptions options;
    options.loops = 1;
    options.endpoint_delay = 0s;
    process_ = std::make_unique<runtime::Process>(options);
    auto module = std::make_unique<Module>(*process_, config_, rpc::in_process_channel(auth_door_, rpc::Role::kQueue),
                                           rpc::in_process_channel(store_door_, rpc::Role::kQueue),
                                           rpc::in_process_channel(filter_door_, rpc::Role::kQueue));
    channel_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kSmtp);
    admin_ = rpc::in_process_channel(module->dispatcher(), rpc::Role::kAdmin);
    process_->add(std::move(module));
    const auto started = process_->start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
  }
  void stop() {
    channel_.reset();
    admin_.reset();
    if (process_) process_->stop();
    process_.reset();
  }

  template <class T>
  T call(Task<T> task) {
    auto result = runtime::block_on(process_->loops().main(), std::move(task));
    EXPECT_TRUE(result.has_value()) << (result.has_error() ? result.error().describe() : "");
    return result.has_value() ? *std::move(result) : T();
  }

  v1::EnqueueRequest request(std::vector<std::string> recipients, bool held = false) {
    v1::EnqueueRequest out;
    out.set_delivery_id(new_uuid());
    out.set_reverse_path("alice@example.test");
    for (auto& r : recipients) out.add_recipients()->set_address(std::move(r));
    out.mutable_body()->set_inline_("From: alice@example.test\r\nSubject: hello\r\n\r\n.dot\r\nbody\r\n");
    out.set_header_prefix("Received: by mx.example.test\r\n");
    out.set_held(held);
    out.set_deciding_account_id(held ? 7 : 0);
    return out;
  }
  v1::EnqueueResponse enqueue(const v1::EnqueueRequest& r) {
    v1::QueueClient client(channel_);
    return call(client.enqueue(r));
  }
  v1::Item item(std::int64_t id) {
    v1::QueueClient client(admin_);
    v1::GetItemRequest r;
    r.set_item_id(id);
    return call(client.get_item(r));
  }
  template <class Check>
  bool eventually(Check check, std::chrono::milliseconds wait = 15s) {
    const auto end = std::chrono::steady_clock::now() + wait;
    while (std::chrono::steady_clock::now() < end) {
      if (check()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return check();
  }

  static inline test::Postgres* database_ = nullptr;
  test::SmtpSink sink_;
  FakeAuth auth_;
  FakeStore store_;
  FakeFilter filter_;
  rpc::Dispatcher auth_door_, store_door_, filter_door_;
  config::v1::Queue config_;
  std::unique_ptr<runtime::Process> process_;
  std::shared_ptr<rpc::Channel> channel_, admin_;
};

TEST_F(QueueTest, DeliversOnceWhatWasEnqueuedTwice) {
  start();
  const auto r = request({"a@remote.test", "b@remote.test"});
  const auto first = enqueue(r);
  const auto second = enqueue(r);
  EXPECT_FALSE(first.duplicate());
  EXPECT_TRUE(second.duplicate());
  EXPECT_EQ(std::vector(first.item_ids().begin(), first.item_ids().end()),
            std::vector(second.item_ids().begin(), second.item_ids().end()));
  ASSERT_TRUE(eventually([&] { return item(first.item_ids(1)).state() == v1::ITEM_STATE_DONE; }));
  const auto mails = sink_.mails();
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_EQ(mails[0].recipients, (std::vector<std::string>{"a@remote.test", "b@remote.test"}));
  EXPECT_EQ(mails[0].data, "Received: by mx.example.test\r\n" + r.body().inline_());
  EXPECT_EQ(mails[0].mail_command.substr(0, 35), "MAIL FROM:<alice@example.test> SIZE");
}

TEST_F(QueueTest, HeldMailWaitsForItsRelease) {
  config_.mutable_held_check()->set_seconds(3600);
  start();
  v1::QueueClient client(channel_);
  const auto kept = request({"a@remote.test"}, true);
  const auto dropped = request({"b@remote.test"}, true);
  const auto kept_id = enqueue(kept).item_ids(0);
  const auto dropped_id = enqueue(dropped).item_ids(0);
  EXPECT_EQ(item(kept_id).state(), v1::ITEM_STATE_HELD);
  v1::DropRequest drop;
  drop.set_delivery_id(dropped.delivery_id());
  call(client.drop(drop));
  v1::ReleaseRequest release;
  release.set_delivery_id(kept.delivery_id());
  EXPECT_FALSE(call(client.release(release)).taken_back());
  EXPECT_FALSE(call(client.release(release)).taken_back());
  release.set_delivery_id(dropped.delivery_id());
  EXPECT_TRUE(call(client.release(release)).taken_back()) << "who promised its delivery must know";
  ASSERT_TRUE(eventually([&] { return item(kept_id).state() == v1::ITEM_STATE_DONE; }));
  EXPECT_EQ(item(dropped_id).state(), v1::ITEM_STATE_FAILED);
  EXPECT_EQ(sink_.mails().size(), 1u);
}

// One transaction's messages of different bodies or senders: all or none, and one word lets all go.
TEST_F(QueueTest, SeveralMessagesOfOneTransactionShareItsFate) {
  config_.mutable_held_check()->set_seconds(3600);
  start();
  v1::QueueClient client(channel_);
  const auto several = [&](const std::string& name) {
    auto r = request({name + "-1@remote.test"}, true);
    auto further = request({name + "-2@remote.test", name + "-3@remote.test"}, true);
    further.set_reverse_path("other@example.test");
    *r.add_also() = further;
    return r;
  };
  const auto kept = several("kept"), dropped = several("dropped");
  const auto kept_ids = enqueue(kept).item_ids();
  const auto dropped_ids = enqueue(dropped).item_ids();
  ASSERT_EQ(kept_ids.size(), 3);
  EXPECT_TRUE(enqueue(kept).duplicate());
  EXPECT_EQ(item(kept_ids[1]).reverse_path(), "other@example.test");
  EXPECT_EQ(item(kept_ids[2]).recipient(), "kept-3@remote.test");
  v1::DropRequest drop;
  drop.set_delivery_id(dropped.delivery_id());
  call(client.drop(drop));
  v1::ReleaseRequest release;
  release.set_delivery_id(kept.delivery_id());
  call(client.release(release));
  for (const auto id : kept_ids) ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_DONE; }));
  for (const auto id : dropped_ids) EXPECT_EQ(item(id).state(), v1::ITEM_STATE_FAILED);
  EXPECT_EQ(sink_.mails().size(), 2u);
  auto bad = several("bad");
  bad.mutable_also(0)->mutable_recipients(0)->set_address("no address");
  const auto refused = runtime::block_on(process_->loops().main(), client.enqueue(bad));
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(QueueTest, SeveralForgottenMessagesFollowTheStore) {
  auto committed = request({"a@remote.test"}, true);
  *committed.add_also() = request({"b@remote.test"}, true);
  store_.committed = committed.delivery_id();
  start();
  const auto ids = enqueue(committed).item_ids();
  for (const auto id : ids) ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_DONE; }));
}

TEST_F(QueueTest, ForgottenHeldMailFollowsTheStore) {
  const auto committed = request({"a@remote.test"}, true);
  const auto lost = request({"b@remote.test"}, true);
  store_.committed = committed.delivery_id();
  start();
  const auto committed_id = enqueue(committed).item_ids(0);
  const auto lost_id = enqueue(lost).item_ids(0);
  EXPECT_TRUE(eventually([&] { return item(committed_id).state() == v1::ITEM_STATE_DONE; }));
  EXPECT_TRUE(eventually([&] { return item(lost_id).state() == v1::ITEM_STATE_FAILED; }));
  EXPECT_EQ(sink_.mails().size(), 1u);
}

TEST_F(QueueTest, TemporaryFailuresAreTriedAgain) {
  sink_.set([](auto& b) { b.recipient_replies["a@remote.test"] = "451 4.3.0 later"; });
  start();
  const auto ids = enqueue(request({"a@remote.test", "b@remote.test"})).item_ids();
  ASSERT_TRUE(eventually([&] { return item(ids[0]).attempts() >= 2; }));
  EXPECT_EQ(item(ids[1]).state(), v1::ITEM_STATE_DONE);
  EXPECT_EQ(item(ids[0]).last_error(), "451 4.3.0 later");
  sink_.set([](auto& b) { b.recipient_replies.clear(); });
  ASSERT_TRUE(eventually([&] { return item(ids[0]).state() == v1::ITEM_STATE_DONE; }));
  EXPECT_EQ(sink_.mails().size(), 2u);
}

TEST_F(QueueTest, PermanentFailuresReturnToTheSendersMailbox) {
  sink_.set([](auto& b) { b.recipient_replies["bad@remote.test"] = "550 5.1.1 no such user"; });
  start();
  const auto ids = enqueue(request({"bad@remote.test", "good@remote.test"})).item_ids();
  ASSERT_TRUE(eventually([&] { return !store_.deliveries().empty(); }));
  EXPECT_EQ(item(ids[0]).state(), v1::ITEM_STATE_FAILED);
  EXPECT_EQ(item(ids[1]).state(), v1::ITEM_STATE_DONE);
  const auto bounce = store_.deliveries()[0];
  EXPECT_EQ(bounce.recipients(0).grant(), "grant of alice@example.test");
  EXPECT_EQ(bounce.recipients(0).header_prefix(), "Return-Path: <>\r\nDelivered-To: alice@example.test\r\n");
  const std::string& text = bounce.body().inline_();
  for (const char* wanted :
       {"report-type=delivery-status", "Final-Recipient: rfc822; bad@remote.test\r\n", "Status: 5.1.1\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user", "Subject: hello", "Action: failed"}) {
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted;
  }
}

TEST_F(QueueTest, NoBounceAboutABounceNorWhereNoneIsWanted) {
  sink_.set([](auto& b) { b.recipient_replies["bad@remote.test"] = "550 5.1.1 no"; });
  start();
  auto r = request({"bad@remote.test"});
  r.set_reverse_path("");
  const auto first = enqueue(r).item_ids(0);
  auto never = request({"bad@remote.test"});
  never.mutable_recipients(0)->set_notify("NEVER");
  const auto second = enqueue(never).item_ids(0);
  ASSERT_TRUE(eventually(
      [&] { return item(first).state() == v1::ITEM_STATE_FAILED && item(second).state() == v1::ITEM_STATE_FAILED; }));
  EXPECT_FALSE(eventually([&] { return !store_.deliveries().empty(); }, 300ms));
}

TEST_F(QueueTest, OldMailIsGivenUp) {
  config_.mutable_give_up()->set_seconds(1);
  start();
  const auto id = enqueue(request({"a@closed.test"})).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_FAILED; }));
  ASSERT_TRUE(eventually([&] { return !store_.deliveries().empty(); }));
  EXPECT_NE(store_.deliveries()[0].body().inline_().find("Status: 4.4.7"), std::string::npos);
}

TEST_F(QueueTest, AliasesOfOursGoOn) {
  start();
  enqueue(request({"away@example.test"}));
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 1; }));
  EXPECT_EQ(sink_.mails()[0].recipients, (std::vector<std::string>{"target@remote.test", "second@remote.test"}));
  EXPECT_TRUE(sink_.mails()[0].mail_command.starts_with("MAIL FROM:<alice@example.test>")) << "as the filter leaves it";
  EXPECT_TRUE(sink_.mails()[0].data.starts_with("Received: "));
}

TEST_F(QueueTest, AliasesGoOnAsTheFilterWants) {
  filter_.answer = [](const filter::v1::FilterRecipient& recipient, filter::v1::RecipientVerdict& verdict) {
    if (recipient.account_id() != 0) return;
    auto& redirect = *verdict.add_actions()->mutable_redirect();
    redirect.set_address(recipient.recipient());
    redirect.set_reverse_path("srs@example.test");
    auto& trace = *redirect.add_edits();
    trace.set_kind(filter::v1::HeaderEdit::KIND_PREPEND);
    trace.set_name("Delivered-To");
    trace.set_value(recipient.alias());
  };
  start();
  const auto done = enqueue(request({"team@example.test"}));
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 1; }));
  const auto mail = sink_.mails()[0];
  EXPECT_TRUE(mail.mail_command.starts_with("MAIL FROM:<srs@example.test>")) << mail.mail_command;
  EXPECT_EQ(mail.recipients, (std::vector<std::string>{"target@remote.test", "second@remote.test"})) << "together";
  EXPECT_TRUE(mail.data.starts_with("Delivered-To: team@example.test\r\nReceived: ")) << mail.data;
  EXPECT_EQ(store_.deliveries().size(), 1u) << "who is here gets it, too";
  ASSERT_EQ(filter_.asked.size(), 1u);
  EXPECT_TRUE(filter_.asked[0].scripts_only());
  EXPECT_EQ(filter_.asked[0].recipients(1).recipient(), "target@remote.test");
  // As if this replica had died before it wrote the outcome.
  database_->sql(
      "update queue.items set state = 2, due_at = now() where recipient = 'team@example.test';"
      "update queue.messages set finished_at = null; select pg_notify('queue_due', '')");
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(sink_.mails().size(), 1u) << "once";
}

TEST_F(QueueTest, ACircleThroughAnAliasIsReturned) {
  filter_.answer = [](const filter::v1::FilterRecipient& recipient, filter::v1::RecipientVerdict& verdict) {
    if (recipient.account_id() != 0) return;
    verdict.set_decision(filter::v1::DECISION_REFUSE);
    verdict.mutable_reply()->set_enhanced("5.4.6");
    verdict.mutable_reply()->set_text("Routing loop");
  };
  start();
  auto r = request({"away@example.test"});
  r.set_reverse_path("alice@remote.test");
  enqueue(r);
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 1; }));
  EXPECT_EQ(sink_.mails()[0].recipients, (std::vector<std::string>{"alice@remote.test"}));
  EXPECT_NE(sink_.mails()[0].data.find("Status: 5.4.6"), std::string::npos);
}

TEST_F(QueueTest, LargeMailIsStreamedFromTheStore) {
  store_.blob = "Subject: big\r\n\r\n";
  // Lines of dots of every length, so that some of them meet the ends of the pieces it travels in.
  while (store_.blob.size() < 3'000'000) store_.blob += std::string(store_.blob.size() % 67, '.') + "\xc3\xa4 x\r\n";
  start();
  auto r = request({"a@remote.test"});
  r.mutable_body()->set_blob_id("big");
  enqueue(r);
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 1; }));
  EXPECT_EQ(sink_.mails()[0].data, r.header_prefix() + store_.blob);
}

TEST_F(QueueTest, ConnectionsAreUsedAgain) {
  config_.set_parallel_per_destination(1);
  start();
  for (int i = 0; i < 30; ++i) enqueue(request({"a@remote.test"}));
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 30; }));
  EXPECT_LT(sink_.connections(), 25);
}

TEST_F(QueueTest, ALeaseThatRanOutIsTakenOverAndItsResultIgnored) {
  start();
  const auto ids = enqueue(request({"a@closed.test"})).item_ids();
  ASSERT_TRUE(eventually([&] { return item(ids[0]).attempts() >= 1; }));
  stop();
  // As a replica that died in the middle left it.
  database_->sql(
      "update queue.items set state = 3, leased_until = now() - interval '1 second', lease_number = 1000, "
      "domain = 'remote.test', recipient = 'a@remote.test'");
  start();
  ASSERT_TRUE(eventually([&] { return item(ids[0]).state() == v1::ITEM_STATE_DONE; }));
  // The dead replica's late word changes nothing.
  database_->sql(
      "set search_path = queue; select * from finish_items(array[1::bigint], array[1000::bigint], array[5], "
      "array[0::bigint], array['late'], array[''], null, null, null, null, false, null, 1)");
  EXPECT_EQ(item(ids[0]).state(), v1::ITEM_STATE_DONE);
  EXPECT_EQ(sink_.mails().size(), 1u);
}

TEST_F(QueueTest, AnotherReplicaIsToldWhenThisOneHasItsHandsFull) {
  config_.set_parallel(1);
  start();
  runtime::ProcessOptions options;
  options.loops = 1;
  options.endpoint_delay = 0s;
  auto full = config_;
  full.set_parallel(0);
  runtime::Process other(options);
  auto module = std::make_unique<Module>(other, full, rpc::in_process_channel(auth_door_, rpc::Role::kQueue),
                                         rpc::in_process_channel(store_door_, rpc::Role::kQueue),
                                         rpc::in_process_channel(filter_door_, rpc::Role::kQueue));
  auto to_other = rpc::in_process_channel(module->dispatcher(), rpc::Role::kSmtp);
  other.add(std::move(module));
  ASSERT_TRUE(other.start().has_value());
  std::this_thread::sleep_for(300ms);  // past the first look of both
  v1::QueueClient client(to_other);
  const auto r = request({"a@remote.test"});
  ASSERT_TRUE(runtime::block_on(other.loops().main(), client.enqueue(r)).has_value());
  // Much sooner than the look that everybody takes every 15 s.
  EXPECT_TRUE(eventually([&] { return sink_.mails().size() == 1; }, 5s));
  other.stop();
}

// As another replica leaves it whose notification did not arrive.
TEST_F(QueueTest, ALostNotificationCostsTimeAndNothingElse) {
  start();
  database_->sql(
      "set search_path = queue; select item_id from enqueue('" + new_uuid() +
      "', 'alice@example.test', '', 'Subject: x\r\n\r\nx\r\n'::bytea, null, 18, 0, 0, 't', 0, false, now(), '', "
      "false, '', false, 3600, array['a@remote.test'], array['remote.test'], array[''], array[''])");
  EXPECT_TRUE(eventually([&] { return sink_.mails().size() == 1; }, 30s));
}

TEST_F(QueueTest, OperatorsListRetryAndDrop) {
  config_.mutable_retry_first()->set_seconds(3600);
  start();
  v1::QueueClient client(admin_);
  const auto first = enqueue(request({"a@closed.test"})).item_ids(0);
  const auto second = enqueue(request({"b@closed.test"})).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(first).attempts() == 1 && item(second).attempts() == 1; }));
  v1::ListItemsRequest list;
  list.set_domain("closed.test");
  ASSERT_TRUE(eventually([&] {
    const auto items = call(client.list_items(list)).items();
    return items.size() == 2 && items[0].state() == v1::ITEM_STATE_DUE && items[1].state() == v1::ITEM_STATE_DUE;
  }));
  v1::RetryItemsRequest retry;
  retry.add_item_ids(first);
  EXPECT_EQ(call(client.retry_items(retry)).count(), 1);
  EXPECT_TRUE(eventually([&] { return item(first).attempts() == 2 && item(first).state() == v1::ITEM_STATE_DUE; }));
  v1::DropItemsRequest drop;
  drop.add_item_ids(first);
  EXPECT_EQ(call(client.drop_items(drop)).count(), 1);
  EXPECT_EQ(item(first).state(), v1::ITEM_STATE_FAILED);
  EXPECT_TRUE(store_.deliveries().empty());
  drop.clear_item_ids();
  drop.add_item_ids(second);
  drop.set_bounce(true);
  EXPECT_EQ(call(client.drop_items(drop)).count(), 1);
  EXPECT_TRUE(eventually([&] { return !store_.deliveries().empty(); }));
}

TEST_F(QueueTest, AHostThatBreaksOffIsTriedAgain) {
  sink_.set([](auto& b) { b.drop_after_data = true; });
  start();
  const auto id = enqueue(request({"a@remote.test"})).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(id).attempts() >= 1 && item(id).state() != v1::ITEM_STATE_SENDING; }));
  EXPECT_EQ(item(id).last_error().substr(0, 23), "The connection was lost");
  sink_.set([](auto& b) { b.drop_after_data = false; });
  ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_DONE; }));
}

// RFC 6152 3: mail of our users is converted for a host without 8BITMIME; the mail of others, and what is signed, goes
// back.
TEST_F(QueueTest, EightBitMailIsConvertedForOldHosts) {
  sink_.set([](auto& b) { b.extensions = {"PIPELINING"}; });
  start();
  auto mail = request({"a@remote.test"});
  const std::string header =
      "From: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";
  mail.mutable_body()->set_inline_(header + "Content-Transfer-Encoding: 8bit\r\n\r\ngr\xC3\xBC\xC3\x9F\r\n");
  mail.set_body_type("8BITMIME");
  mail.set_sender_account_id(5);
  const auto id = enqueue(mail).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_DONE; }));
  ASSERT_EQ(sink_.mails().size(), 1u);
  EXPECT_EQ(sink_.mails()[0].data, "Received: by mx.example.test\r\n" + header +
                                       "Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=C3=9F\r\n");
  EXPECT_EQ(sink_.mails()[0].mail_command, "MAIL FROM:<alice@example.test>");
  EXPECT_NE(item(id).last_error().find("converted to 7bit"), std::string::npos);

  const auto returned = [&](v1::EnqueueRequest r, const std::string& why) {
    const auto before = store_.deliveries().size();
    r.set_delivery_id(new_uuid());
    const auto failed = enqueue(r).item_ids(0);
    ASSERT_TRUE(eventually([&] { return item(failed).state() == v1::ITEM_STATE_FAILED; }));
    EXPECT_NE(item(failed).last_error().find(why), std::string::npos) << item(failed).last_error();
    ASSERT_TRUE(eventually([&] { return store_.deliveries().size() == before + 1; }));
    EXPECT_NE(store_.deliveries().back().body().inline_().find("Status: 5.6."), std::string::npos);
  };
  auto forwarded = mail;
  forwarded.set_sender_account_id(0);
  returned(forwarded, "forwarded mail is not converted");
  auto with_signature = mail;
  with_signature.mutable_body()->set_inline_("DKIM-Signature: v=1\r\n" + mail.body().inline_());
  returned(with_signature, "break its signature");
  auto header_8bit = mail;
  header_8bit.mutable_body()->set_inline_("Subject: \xC3\xBC\r\n" + mail.body().inline_());
  returned(header_8bit, "cannot be converted");
  EXPECT_EQ(sink_.mails().size(), 1u);
}

TEST_F(QueueTest, LargeMailIsConvertedInSteps) {
  sink_.set([](auto& b) { b.extensions = {}; });
  std::string text, octets;
  for (int i = 0; text.size() < 300'000; ++i) text += "line " + std::to_string(i) + " gr\xC3\xBC\xC3\x9F\r\n";
  for (int i = 0; i < 300'000; ++i) octets += static_cast<char>(i * 31 + i / 256);
  const std::string head = "Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b\r\n";
  store_.blob = head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text +
                "\r\n--b\r\nContent-Type: image/x\r\n\r\n" + octets + "\r\n--b--\r\n";
  start();
  auto mail = request({"a@remote.test"});
  mail.mutable_body()->set_blob_id("big");
  mail.set_body_type("BINARYMIME");
  mail.set_sender_account_id(5);
  const auto id = enqueue(mail).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_DONE; }));
  const auto data = sink_.mails().at(0).data;
  EXPECT_TRUE(mime::fits(data, mime::Carry::k7Bit));
  const auto summary = mime::summarize(data);
  ASSERT_EQ(summary.root.children.size(), 2u);
  const auto body = [&](std::size_t n, mime::Encoding encoding) {
    return mime::decode_transfer(encoding, summary.root.children[n].body.of(data));
  };
  EXPECT_TRUE(body(0, mime::Encoding::kQuotedPrintable) == text);
  EXPECT_TRUE(body(1, mime::Encoding::kBase64) == octets);
}

TEST_F(QueueTest, BinaryMailIsConvertedForHostsWithoutIt) {
  start();  // the sink takes 8BITMIME, and no BINARYMIME
  auto mail = request({"a@remote.test"});
  const std::string octets("\0\xff\n.\r\n", 6);
  mail.mutable_body()->set_inline_("MIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets);
  mail.set_body_type("BINARYMIME");
  mail.set_sender_account_id(5);
  const auto id = enqueue(mail).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_DONE; }));
  EXPECT_EQ(
      sink_.mails().at(0).data,
      "Received: by mx.example.test\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAP8KLg0K\r\n");
}

// RFC 6531 3.2: without SMTPUTF8 a domain can still be said in A-labels, a mailbox name or a header in UTF-8 cannot.
TEST_F(QueueTest, DomainsAreSaidInALabelsToHostsWithoutSmtputf8) {
  sink_.set([](auto& b) { b.extensions = {"PIPELINING", "8BITMIME"}; });
  config_.add_routes("xn--bcher-kva.test=127.0.0.1:" + std::to_string(sink_.port()));
  start();
  auto mail =
      request({"a@b\xC3\xBC"
               "cher.test",
               "\xC3\xBC@remote.test"});
  mail.set_smtputf8(true);
  const auto ids = enqueue(mail).item_ids();
  ASSERT_TRUE(eventually([&] { return item(ids[0]).state() == v1::ITEM_STATE_DONE; }));
  ASSERT_TRUE(eventually([&] { return item(ids[1]).state() == v1::ITEM_STATE_FAILED; }));
  EXPECT_EQ(sink_.mails().at(0).recipients, std::vector<std::string>{"a@xn--bcher-kva.test"});
  EXPECT_EQ(sink_.mails().size(), 1u);
  auto header =
      request({"a@b\xC3\xBC"
               "cher.test"});
  header.mutable_body()->set_inline_("Subject: \xC3\xBC\r\n\r\nx\r\n");
  header.set_smtputf8(true);
  header.set_body_type("8BITMIME");
  const auto id = enqueue(header).item_ids(0);
  ASSERT_TRUE(eventually([&] { return item(id).state() == v1::ITEM_STATE_FAILED; }));
  EXPECT_NE(item(id).last_error().find("SMTPUTF8"), std::string::npos);
}

TEST_F(QueueTest, BadRequestsAreRefused) {
  start();
  v1::QueueClient client(channel_);
  auto r = request({"not an address"});
  EXPECT_EQ(runtime::block_on(process_->loops().main(), client.enqueue(r)).error().code(), ErrorCode::kInvalidArgument);
  r = request({"a@remote.test"});
  r.set_delivery_id("x");
  EXPECT_EQ(runtime::block_on(process_->loops().main(), client.enqueue(r)).error().code(), ErrorCode::kInvalidArgument);
  r = request({"a@remote.test"});
  r.mutable_body()->set_blob_id("unknown");
  EXPECT_EQ(runtime::block_on(process_->loops().main(), client.enqueue(r)).error().code(), ErrorCode::kNotFound);
}

TEST_F(QueueTest, ScriptsOfRecipientsHereAreAsked) {
  filter_.settle = true;
  filter_.answer = [](const filter::v1::FilterRecipient& recipient, filter::v1::RecipientVerdict& verdict) {
    auto& into = *verdict.add_actions()->mutable_file_into();
    into.set_mailbox("Lists");
    into.set_create(true);
    verdict.add_actions()->mutable_file_into();
    auto& redirect = *verdict.add_actions()->mutable_redirect();
    redirect.set_address("further@remote.test");
    redirect.set_reverse_path(recipient.recipient());
    auto& edit = *redirect.add_edits();
    edit.set_kind(filter::v1::HeaderEdit::KIND_PREPEND);
    edit.set_name("Delivered-To");
    edit.set_value(recipient.recipient());
    auto& send = *verdict.add_actions()->mutable_send();
    send.add_recipients("alice@remote.test");
    send.set_message("Subject: away\r\n\r\n");
  };
  start();
  const auto done = enqueue(request({"bob@example.test"}));
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 2; }));
  ASSERT_EQ(filter_.asked.size(), 1u);
  EXPECT_TRUE(filter_.asked[0].scripts_only());
  EXPECT_EQ(filter_.asked[0].header_prefix(), "Received: by mx.example.test\r\n");
  ASSERT_EQ(filter_.settled.size(), 1u);
  EXPECT_TRUE(filter_.settled[0].taken());
  EXPECT_EQ(filter_.settled[0].delivery_id(), filter_.asked[0].transaction().delivery_id());
  const auto delivered = store_.deliveries();
  ASSERT_EQ(delivered.size(), 1u);
  ASSERT_EQ(delivered[0].recipients_size(), 2);
  EXPECT_EQ(delivered[0].recipients(0).mailbox(), "Lists");
  EXPECT_EQ(delivered[0].recipients(0).part(), 0);
  EXPECT_EQ(delivered[0].recipients(1).mailbox(), "");
  EXPECT_EQ(delivered[0].recipients(1).part(), 1);
  for (const auto& mail : sink_.mails()) {
    if (mail.recipients[0] == "further@remote.test")
      EXPECT_TRUE(mail.data.starts_with("Delivered-To: bob@example.test\r\nReceived: ")) << mail.data;
    else
      EXPECT_EQ(mail.data, "Subject: away\r\n\r\n");
  }
}

TEST_F(QueueTest, WhatAScriptSendsLeavesOnceAlthoughTheItemIsTriedAgain) {
  filter_.answer = [](const filter::v1::FilterRecipient&, filter::v1::RecipientVerdict& verdict) {
    auto& send = *verdict.add_actions()->mutable_send();
    send.add_recipients("alice@remote.test");
    send.set_message("Subject: away\r\n\r\n");
  };
  start();
  const auto done = enqueue(request({"bob@example.test"}));
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 1; }));
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  // As if this replica had died before it wrote the outcome.
  database_->sql(
      "update queue.items set state = 2, due_at = now() where recipient = 'bob@example.test';"
      "update queue.messages set finished_at = null; select pg_notify('queue_due', '')");
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(sink_.mails().size(), 1u);
}

TEST_F(QueueTest, ScriptsThatHaveRunAreNotRunAgain) {
  start();
  auto r = request({"bob@example.test"});
  r.set_scripted(true);
  const auto done = enqueue(r);
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  EXPECT_TRUE(filter_.asked.empty());
  EXPECT_EQ(store_.deliveries().size(), 1u);
}

TEST_F(QueueTest, WithoutTheFilterLocalItemsWait) {
  filter_.fail = Error(ErrorCode::kUnavailable, "down");
  start();
  const auto done = enqueue(request({"bob@example.test"}));
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).attempts() >= 1; }));
  EXPECT_TRUE(store_.deliveries().empty());
  {
    std::lock_guard lock(filter_.mutex);
    filter_.fail.reset();
  }
  v1::QueueClient client(admin_);
  ASSERT_TRUE(eventually([&] {
    v1::RetryItemsRequest retry;
    retry.add_item_ids(done.item_ids(0));
    call(client.retry_items(retry));
    return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE;
  }));
}

TEST_F(QueueTest, AScriptThatRefusesReturnsTheMail) {
  filter_.answer = [](const filter::v1::FilterRecipient&, filter::v1::RecipientVerdict& verdict) {
    verdict.set_decision(filter::v1::DECISION_REFUSE);
    verdict.mutable_reply()->set_text("Not today");
  };
  start();
  auto r = request({"bob@example.test"});
  r.set_reverse_path("alice@remote.test");
  enqueue(r);
  ASSERT_TRUE(eventually([&] { return sink_.mails().size() == 1; }));
  EXPECT_NE(sink_.mails()[0].data.find("Not today"), std::string::npos);
  EXPECT_TRUE(store_.deliveries().empty());
}

TEST_F(QueueTest, FurtherCallsOfATransactionAreReleasedWithIt) {
  start();
  const auto first = request({"a@remote.test"}, true);
  auto second = request({"b@remote.test"}, true);
  second.set_decided_by(first.delivery_id());
  enqueue(first);
  const auto done = enqueue(second);
  v1::ReleaseRequest release;
  release.set_delivery_id(first.delivery_id());
  v1::QueueClient client(channel_);
  call(client.release(release));
  ASSERT_TRUE(eventually([&] { return item(done.item_ids(0)).state() == v1::ITEM_STATE_DONE; }));
  EXPECT_TRUE(eventually([&] { return sink_.mails().size() == 2; }));
}

}  // namespace
}  // namespace merpati::queue
