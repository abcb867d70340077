// Sieve scripts for IMAP events (RFC 6785): commands over IMAP, the real filter and the real store on a private
// PostgreSQL.
#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "filter/migrations.hpp"
#include "filter/module.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/config/v1/store.pb.h"
#include "merpati/pg/migration.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "store/migrations.hpp"
#include "store/module.hpp"
#include "support/postgres.hpp"
#include "unit/service_imap/fixture.hpp"

namespace merpati::imap::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Also tells the filter and the store its keys.
class KeyAuth final : public FakeAuth {
 public:
  explicit KeyAuth(const rpc::SigningKey& key) : FakeAuth(key), id_(key.id), pub_(key.pub) {}
  Task<auth::v1::ListPublicKeysResponse> list_public_keys(rpc::Context&,
                                                          const auth::v1::ListPublicKeysRequest&) override {
    auth::v1::ListPublicKeysResponse response;
    auto& key = *response.add_keys();
    key.set_key_id(id_);
    key.set_ed25519_public(pub_);
    co_return response;
  }

 private:
  std::string id_, pub_;
};

class FakeQueue final : public queue::v1::QueueService {
 public:
  Task<queue::v1::EnqueueResponse> enqueue(rpc::Context&, const queue::v1::EnqueueRequest& request) override {
    std::lock_guard lock(mutex_);
    if (down) co_return Error(ErrorCode::kUnavailable, "down");
    sent_.push_back(request);
    co_return queue::v1::EnqueueResponse();
  }
  std::vector<queue::v1::EnqueueRequest> sent() {
    std::lock_guard lock(mutex_);
    return std::exchange(sent_, {});
  }
  std::atomic<bool> down = false;

 private:
  std::mutex mutex_;
  std::vector<queue::v1::EnqueueRequest> sent_;
};

class ImapSieveTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = new test::Postgres(); }
  static void TearDownTestSuite() { delete database_; }

  void SetUp() override {
    for (const char* schema : {"store", "filter"})
      database_->sql("drop schema if exists " + std::string(schema) + " cascade");
    ASSERT_TRUE(pg::migrate(database_->dsn(), "store", store::migrations()).has_value());
    ASSERT_TRUE(pg::migrate(database_->dsn(), "filter", filter::migrations()).has_value());
    std::filesystem::create_directories(files_);
    keys_->add(key_.id, key_.pub);
    auth_dispatcher_.register_service(auth_);
    queue_dispatcher_.register_service(queue_);
    runtime::apply_defaults(filter_config_);
    filter_config_.set_authserv_id("mx.example.test");
    filter_config_.mutable_database()->set_dsn(database_->dsn());
  }
  /// A script for events, in front of start().
  void script(const std::string& mailbox, const std::string& source, std::vector<config::v1::ImapEvent> causes = {},
              const std::string& from = {}) {
    auto& wanted = *filter_config_.mutable_sieve()->add_imap();
    const std::string file = files_ + "/" + std::to_string(filter_config_.sieve().imap_size()) + ".sieve";
    std::ofstream(file) << source;
    wanted.set_mailbox(mailbox);
    wanted.set_from_mailbox(from);
    wanted.set_script(file);
    for (const auto cause : causes) wanted.add_causes(cause);
  }
  Result<void> try_start() {
    config::v1::Store store_config;
    store_config.mutable_database()->set_dsn(database_->dsn());
    store_config.mutable_objects()->set_directory(files_ + "/objects");
    auto store = std::make_unique<store::Module>(process_, store_config, nullptr);
    store->set_token_verifier(keys_);
    auto filter = std::make_unique<filter::Module>(process_, filter_config_,
                                                   rpc::in_process_channel(auth_dispatcher_, rpc::Role::kFilter),
                                                   rpc::in_process_channel(store->dispatcher(), rpc::Role::kFilter),
                                                   rpc::in_process_channel(queue_dispatcher_, rpc::Role::kFilter));
    config::v1::Imap imap_config;
    auto* listener = imap_config.add_listeners();
    listener->set_address("127.0.0.1");
    listener->set_plaintext_login_from_loopback(true);
    auto edge =
        std::make_unique<Module>(process_, imap_config, rpc::in_process_channel(auth_dispatcher_, rpc::Role::kImap),
                                 rpc::in_process_channel(store->dispatcher(), rpc::Role::kImap),
                                 rpc::in_process_channel(filter->dispatcher(), rpc::Role::kImap));
    edge_ = edge.get();
    process_.add(std::move(store));
    process_.add(std::move(filter));
    process_.add(std::move(edge));
    auto started = process_.start();
    running_ = started.has_value();
    return started;
  }
  void start() {
    const auto started = try_start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
  }
  void TearDown() override {
    if (running_) process_.stop();
    std::filesystem::remove_all(files_);
  }
  std::unique_ptr<Client> open(const std::string& mailbox = "INBOX") {
    auto client = std::make_unique<Client>(edge_->ports().front());
    client->log_in();
    client->run("CREATE " + mailbox);
    EXPECT_THAT(client->run("SELECT " + mailbox), HasSubstr("t OK [READ-WRITE]"));
    return client;
  }
  static void append(Client& client, const std::string& mailbox, const std::string& mail,
                     const std::string& flags = "()") {
    client.send("t APPEND " + mailbox + " " + flags + " {" + std::to_string(mail.size()) + "+}\r\n" + mail + "\r\n");
    EXPECT_THAT(client.until("t "), HasSubstr("t OK [APPENDUID"));
  }
  /// What a session that has just come sees of the mailbox: "(\Seen) (a b)".
  std::string flags_in(const std::string& mailbox) {
    auto client = open(mailbox);
    const auto answer = client->run("FETCH 1:* FLAGS");
    std::string out;
    for (std::size_t at = 0; (at = answer.find("FLAGS (", at)) != std::string::npos;) {
      const auto end = answer.find(')', at);
      std::string one = answer.substr(at + 7, end - at - 7);
      for (const std::string recent : {" \\Recent", "\\Recent "})
        if (const auto found = one.find(recent); found != std::string::npos) one.erase(found, recent.size());
      if (one == "\\Recent") one.clear();
      out += (out.empty() ? "(" : " (") + one + ")";
      at = end;
    }
    return out;
  }
  double counted(const std::string& name, const char* result) {
    return process_.metrics().counter(name, "", {{"result", result}}).value();
  }
  void expect_runs(double ok, double error, double failed) {
    EXPECT_EQ(counted("merpati_filter_event_runs_total", "ok"), ok);
    EXPECT_EQ(counted("merpati_filter_event_runs_total", "error"), error);
    EXPECT_EQ(counted("merpati_filter_event_runs_total", "failed"), failed);
  }

  static inline test::Postgres* database_ = nullptr;
  static runtime::ProcessOptions options() {
    runtime::ProcessOptions options;
    options.loops = 2;
    options.endpoint_delay = {};
    options.grace_period = std::chrono::seconds(1);
    return options;
  }
  std::string files_ = std::filesystem::temp_directory_path() / ("merpati-imapsieve-" + new_uuid());
  runtime::Process process_{options()};
  rpc::SigningKey key_ = rpc::SigningKey::generate("k1");
  std::shared_ptr<rpc::KeyRing> keys_ = std::make_shared<rpc::KeyRing>();
  KeyAuth auth_{key_};
  FakeQueue queue_;
  rpc::Dispatcher auth_dispatcher_{keys_}, queue_dispatcher_{keys_};
  config::v1::Filter filter_config_;
  Module* edge_ = nullptr;
  bool running_ = false;
};

TEST_F(ImapSieveTest, AMoveFiresAScriptThatSetsFlagsAndFilesACopy) {
  script("Work",
         "require [\"imapsieve\", \"environment\", \"imap4flags\", \"fileinto\", \"copy\", \"mailbox\"];\n"
         "if environment \"imap.cause\" \"COPY\" {\n"
         "  fileinto :copy :create :flags \"$copy\" \"Archive/2026\";\n"
         "  addflag [\"$handled\", \"\\\\Flagged\"];\n"
         "}\n");
  start();
  auto client = open();
  client->run("CREATE Work");
  append(*client, "INBOX", small_mail("one"), "(\\Seen $mine)");
  EXPECT_THAT(client->run("MOVE 1 Work"), HasSubstr("t OK"));
  EXPECT_EQ(flags_in("Work"), "(\\Seen \\Flagged $mine $handled)");
  EXPECT_EQ(flags_in("Archive/2026"), "($copy)");
  EXPECT_THAT(open("Archive/2026")->run("FETCH 1 BODY.PEEK[]"), HasSubstr(small_mail("one")));
  EXPECT_EQ(flags_in("INBOX"), "");
  expect_runs(1, 0, 0);
}

TEST_F(ImapSieveTest, WithoutKeepTheMessageIsMarkedAsDeleted) {
  script("Discarded", "require \"imapsieve\"; discard;");
  script("Filed", "require [\"imapsieve\", \"fileinto\"]; fileinto \"Elsewhere\";");
  start();
  auto client = open();
  for (const char* name : {"Discarded", "Filed", "Elsewhere"}) client->run("CREATE " + std::string(name));
  append(*client, "Discarded", small_mail("one"), "(\\Seen)");
  EXPECT_EQ(flags_in("Discarded"), "(\\Seen \\Deleted)") << "RFC 6785 3.5";
  append(*client, "Filed", small_mail("two"));
  EXPECT_EQ(flags_in("Filed"), "(\\Deleted)") << "RFC 6785 3.3";
  EXPECT_EQ(flags_in("Elsewhere"), "()");
}

TEST_F(ImapSieveTest, FlagChangesAndTheirNames) {
  script("INBOX",
         "require [\"imapsieve\", \"environment\", \"imap4flags\"];\n"
         "if allof (hasflag \"\\\\Flagged\", environment :contains \"imap.changedflags\" \"\\\\Flagged\") {\n"
         "  addflag \"$was-flagged\";\n"
         "}\n",
         {config::v1::IMAP_EVENT_FLAG});
  start();
  auto client = open();
  append(*client, "INBOX", small_mail("one"), "(\\Flagged)");
  EXPECT_EQ(flags_in("INBOX"), "(\\Flagged)") << "an append is another event";
  EXPECT_THAT(client->run("STORE 1 +FLAGS (\\Seen)"), HasSubstr("t OK"));
  EXPECT_EQ(flags_in("INBOX"), "(\\Seen \\Flagged)") << "it was flagged before";
  EXPECT_THAT(client->run("STORE 1 -FLAGS (\\Flagged)"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("STORE 1 +FLAGS (\\Flagged)"), HasSubstr("t OK"));
  EXPECT_EQ(flags_in("INBOX"), "(\\Seen \\Flagged $was-flagged)");
  expect_runs(3, 0, 0);
}

TEST_F(ImapSieveTest, WhatScriptsDoFiresNoScript) {
  // Each would answer the other for ever.
  script("a", "require [\"imapsieve\", \"fileinto\", \"copy\", \"imap4flags\"]; fileinto :copy \"b\"; addflag \"x\";");
  script("b", "require [\"imapsieve\", \"fileinto\", \"copy\", \"imap4flags\"]; fileinto :copy \"a\"; addflag \"y\";");
  start();
  auto client = open("a");
  client->run("CREATE b");
  append(*client, "a", small_mail("one"));
  EXPECT_EQ(flags_in("a"), "(x)");
  EXPECT_EQ(flags_in("b"), "()");
  expect_runs(1, 0, 0);
}

TEST_F(ImapSieveTest, TheEnvironmentOfAnEvent) {
  script("Work",
         "require [\"imapsieve\", \"environment\", \"imap4flags\", \"variables\", \"relational\"];\n"
         "set \"tag\" \"bad\";\n"
         "if allof (environment \"location\" \"MS\", environment \"phase\" \"post\",\n"
         "  environment \"imap.mailbox\" \"Work\", environment \"imap.user\" \"alice@example.test\",\n"
         "  environment \"imap.email\" \"alice@example.test\", environment \"domain\" \"example.test\",\n"
         "  environment :count \"eq\" \"imap.changedflags\" \"0\") { set \"tag\" \"good\"; }\n"
         "addflag \"${tag}\";\n");
  start();
  auto client = open();
  client->run("CREATE Work");
  append(*client, "Work", small_mail("one"));
  EXPECT_EQ(flags_in("Work"), "(good)");
}

TEST_F(ImapSieveTest, RedirectsAndNotificationsLeaveByTheQueue) {
  script("Action",
         "require [\"imapsieve\", \"copy\", \"enotify\", \"editheader\"];\n"
         "addheader \"X-Marked\" \"yes\";\n"
         "redirect :copy \"actionitems@example.com\";\n"
         "notify :message \"Look\" \"mailto:bob@example.com\";\n");
  start();
  auto client = open();
  client->run("CREATE Action");
  append(*client, "Action", "Return-Path: <old@example.net>\r\nSubject: bare\r\n\r\nbody\r\n");
  const auto sent = queue_.sent();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].reverse_path(), "alice@example.test") << "RFC 6785 3.4";
  EXPECT_EQ(sent[0].recipients(0).address(), "actionitems@example.com");
  const auto& octets = sent[0].body().inline_();
  EXPECT_THAT(octets, HasSubstr("From: <alice@example.test>\r\n")) << "submission's fix-ups";
  EXPECT_THAT(octets, HasSubstr("\r\nDate: "));
  EXPECT_THAT(octets, HasSubstr("\r\nMessage-ID: "));
  EXPECT_THAT(octets, HasSubstr("Delivered-To: alice@example.test\r\n"));
  EXPECT_THAT(octets, HasSubstr("X-Marked: yes\r\n"));
  EXPECT_THAT(octets, Not(HasSubstr("Return-Path")));
  EXPECT_THAT(octets, HasSubstr("Subject: bare\r\n\r\nbody\r\n"));
  EXPECT_EQ(sent[1].recipients(0).address(), "bob@example.com");
  EXPECT_THAT(sent[1].body().inline_(), HasSubstr("Subject: Look\r\n"));
  EXPECT_EQ(flags_in("Action"), "()");
  // Edits are for what leaves; the message itself stays as it is.
  EXPECT_THAT(open("Action")->run("FETCH 1 BODY.PEEK[]"), Not(HasSubstr("X-Marked")));
}

TEST_F(ImapSieveTest, ARedirectThatCannotGoLeavesTheMessageAsItIs) {
  script("Action", "require \"imapsieve\"; redirect \"actionitems@example.com\";");
  start();
  auto client = open();
  client->run("CREATE Action");
  queue_.down = true;
  append(*client, "Action", small_mail("one"));
  EXPECT_EQ(flags_in("Action"), "()");
  queue_.down = false;
  append(*client, "Action", small_mail("two"));
  append(*client, "Action", "Delivered-To: actionitems@example.com\r\n" + small_mail("three"));
  EXPECT_EQ(flags_in("Action"), "() (\\Deleted) ()") << "what was there before would go round";
  EXPECT_EQ(queue_.sent().size(), 1U);
  expect_runs(2, 0, 1);
}

TEST_F(ImapSieveTest, AScriptThatFailsFailsNoCommand) {
  script("a", "require [\"imapsieve\", \"fileinto\"]; fileinto \"Nowhere\"; discard;");
  script("b", "require [\"imapsieve\", \"include\", \"imap4flags\"]; addflag \"x\"; include :global \"none\";");
  script("c", "require [\"imapsieve\", \"envelope\", \"fileinto\"]; if envelope \"from\" \"a\" { discard; }");
  start();
  auto client = open();
  for (const char* name : {"a", "b", "c"}) {
    client->run("CREATE " + std::string(name));
    append(*client, name, small_mail("one"), "(kept)");
    EXPECT_EQ(flags_in(name), "(kept)") << name;
  }
  expect_runs(0, 2, 1);
  EXPECT_EQ(counted("merpati_imap_event_messages_total", "failed"), 3);
}

TEST_F(ImapSieveTest, EditedCopiesAndLargeMessages) {
  script("Work",
         "require [\"imapsieve\", \"fileinto\", \"copy\", \"editheader\", \"imap4flags\", \"body\"];\n"
         "addheader \"X-Filed\" \"yes\";\n"
         "fileinto :copy \"Edited\";\n"
         "if body :contains \"needle\" { addflag \"found\"; }\n");
  start();
  auto client = open();
  for (const char* name : {"Work", "Edited"}) client->run("CREATE " + std::string(name));
  std::string lines;
  for (int i = 0; i < 40'000; ++i) lines += "a line of a message that is larger than a call\r\n";
  const auto large = small_mail("large", lines + "needle\r\n");
  append(*client, "Work", large, "(\\Answered)");
  EXPECT_EQ(flags_in("Work"), "(\\Answered found)");
  EXPECT_EQ(flags_in("Edited"), "(\\Answered)");
  EXPECT_THAT(open("Edited")->run("FETCH 1 BODY.PEEK[]"), HasSubstr("X-Filed: yes\r\n" + large));
}

TEST_F(ImapSieveTest, ScriptsRunOneAfterTheOther) {
  script("*", "require [\"imapsieve\", \"imap4flags\"]; addflag \"first\";");
  script("Work",
         "require [\"imapsieve\", \"imap4flags\", \"environment\"]; if hasflag \"first\" { addflag \"second\"; }");
  script("*", "require [\"imapsieve\", \"imap4flags\"]; addflag \"from-junk\";", {config::v1::IMAP_EVENT_COPY}, "Junk");
  start();
  auto client = open("Junk");
  client->run("CREATE Work");
  append(*client, "Junk", small_mail("one"));
  EXPECT_EQ(flags_in("Junk"), "(first)");
  client->run("NOOP");
  EXPECT_THAT(client->run("MOVE 1 Work"), HasSubstr("t OK"));
  EXPECT_EQ(flags_in("Work"), "(from-junk first second)") << "each sees what those before it did";
}

TEST_F(ImapSieveTest, DuplicatesAreRemembered) {
  script("Work", "require [\"imapsieve\", \"duplicate\", \"imap4flags\"]; if duplicate { addflag \"again\"; }");
  start();
  auto client = open();
  client->run("CREATE Work");
  for (const char* subject : {"one", "one", "two"}) append(*client, "Work", small_mail(subject));
  EXPECT_EQ(flags_in("Work"), "() (again) ()");
}

TEST_F(ImapSieveTest, AScriptThatAnswersDeliveriesIsRefusedAtTheStart) {
  script("Work", "require \"vacation\"; vacation \"Away\";");
  const auto started = try_start();
  ASSERT_TRUE(started.has_error());
  EXPECT_THAT(started.error().describe(), HasSubstr("\"vacation\" is not for IMAP events"));
}

}  // namespace
}  // namespace merpati::imap::testing
