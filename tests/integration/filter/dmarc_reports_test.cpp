// DMARC aggregate reports: counted by several replicas in PostgreSQL, verified by DNS on loopback, handed to a queue
// once.
#include "filter_fixture.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/filter/v1/dmarc_reports.rpc.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "support/dns_server.hpp"

namespace merpati::filter {
namespace {

class FakeQueue final : public queue::v1::QueueService {
 public:
  Task<queue::v1::EnqueueResponse> enqueue(rpc::Context&, const queue::v1::EnqueueRequest& request) override {
    std::lock_guard lock(mutex);
    ++calls;
    if (fail) co_return *fail;
    queue::v1::EnqueueResponse out;
    const bool fresh = taken.emplace(request.delivery_id(), request).second;
    out.set_duplicate(!fresh);
    co_return out;
  }
  std::vector<queue::v1::EnqueueRequest> all() {
    std::lock_guard lock(mutex);
    std::vector<queue::v1::EnqueueRequest> out;
    for (const auto& [id, request] : taken) out.push_back(request);
    return out;
  }
  void set_fail(std::optional<Error> error) {
    std::lock_guard lock(mutex);
    fail = std::move(error);
  }
  std::mutex mutex;
  std::map<std::string, queue::v1::EnqueueRequest> taken;
  std::optional<Error> fail;
  int calls = 0;
};

class BlobStore final : public store::v1::StoreService {
 public:
  Task<store::v1::PutBlobResponse> put_blob(rpc::Context&, rpc::Reader<store::v1::PutBlobRequest>& in) override {
    std::string all;
    for (;;) {
      MERPATI_CO_TRY(auto piece, co_await in.read());
      if (!piece) break;
      all += piece->chunk();
    }
    std::lock_guard lock(mutex);
    store::v1::PutBlobResponse out;
    out.set_blob_id(sha256(all));
    blobs[out.blob_id()] = std::move(all);
    co_return out;
  }
  std::mutex mutex;
  std::map<std::string, std::string> blobs;
};

class DmarcReportsTest : public FilterTest {
 protected:
  void SetUp() override {
    FilterTest::SetUp();
    queue_door_.register_service(queue_);
    blob_door_.register_service(blobs_);
    config_.add_dns_servers(dns_.server());
    config_.mutable_mail_authentication()->add_own_networks("none");
    config_.mutable_mail_authentication()->set_dmarc(config::v1::DMARC_POLICIES_HONOUR);
    auto& reports = *config_.mutable_dmarc_reports();
    reports.set_enabled(true);
    reports.set_organization("Receiver");
    reports.set_from("dmarc@mx.test");
    reports.add_exclude_domains("excluded.test");
    dns_.add_txt("_dmarc.a.test", {"v=DMARC1; p=quarantine; rua=mailto:d@a.test"});
    dns_.add_txt("_dmarc.b.test", {"v=DMARC1; p=none; rua=mailto:d@b.test, mailto:x@elsewhere.test, https://b.test/"});
    dns_.add_txt("_dmarc.excluded.test", {"v=DMARC1; p=none; rua=mailto:d@excluded.test"});
    dns_.add_txt("_dmarc.away.test", {"v=DMARC1; p=none; rua=mailto:x@agent.test"});
    dns_.add_txt("a.test", {"v=spf1 ip4:192.0.2.1 -all"});
  }
  void TearDown() override {
    replicas_.clear();
    FilterTest::TearDown();
  }

  /// A process with a filter of its own.
  struct Replica {
    Replica(DmarcReportsTest& test) {
      runtime::ProcessOptions options;
      options.loops = 1;
      options.endpoint_delay = 0s;
      process = std::make_unique<runtime::Process>(options);
      auto module =
          std::make_unique<Module>(*process, test.config_, rpc::in_process_channel(test.auth_door_, rpc::Role::kFilter),
                                   rpc::in_process_channel(test.blob_door_, rpc::Role::kFilter),
                                   rpc::in_process_channel(test.queue_door_, rpc::Role::kFilter));
      smtp = rpc::in_process_channel(module->dispatcher(), rpc::Role::kSmtp);
      admin = rpc::in_process_channel(module->dispatcher(), rpc::Role::kAdmin);
      process->add(std::move(module));
      const auto started = process->start();
      EXPECT_TRUE(started.has_value()) << started.error().describe();
    }
    ~Replica() {
      smtp.reset();
      admin.reset();
      process->stop();
    }
    template <class T>
    T call(Task<T> task) {
      auto result = runtime::block_on(process->loops().main(), std::move(task));
      EXPECT_TRUE(result.has_value()) << (result.has_error() ? result.error().describe() : "");
      return result.has_value() ? *std::move(result) : T();
    }
    v1::Decision bring(const std::string& domain, const std::string& client = "192.0.2.1",
                       const std::string& recipient = "alice@here.test") {
      v1::CheckMessageRequest request;
      auto& transaction = *request.mutable_transaction();
      transaction.set_delivery_id(new_uuid());
      transaction.set_client_address(client);
      transaction.set_helo("mail.test");
      transaction.set_reverse_path("joe@" + domain);
      request.add_recipients()->set_recipient(recipient);
      request.set_message("From: joe@" + domain + "\r\nSubject: x\r\n\r\nhello\r\n");
      request.set_size(request.message().size());
      v1::FilterClient filter(smtp);
      return call(filter.check_message(request)).decision();
    }
    std::int64_t send(const std::string& domain = "") {
      v1::SendReportsRequest request;
      request.set_domain(domain);
      v1::DmarcReportsClient client(admin);
      return call(client.send_reports(request)).reports();
    }
    std::vector<v1::DmarcReportView> list(bool sent = false) {
      v1::ListReportsRequest request;
      request.set_sent(sent);
      v1::DmarcReportsClient client(admin);
      const auto response = call(client.list_reports(request));
      return {response.reports().begin(), response.reports().end()};
    }
    std::unique_ptr<runtime::Process> process;
    std::shared_ptr<rpc::Channel> smtp, admin;
  };
  Replica& replica() { return *replicas_.emplace_back(std::make_unique<Replica>(*this)); }

  template <class What>
  void until(What what, const std::string& why) {
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    while (!what()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << why;
      std::this_thread::sleep_for(5ms);
    }
  }
  std::string sql(const std::string& text) { return database_->sql("set search_path = filter; " + text); }
  void all_sent(int periods) {
    until([&] { return sql("select count(*) from dmarc_periods where state = 2") == std::to_string(periods); },
          "not all reports are sent");
  }
  void counted(int messages) {
    until([&] { return sql("select coalesce(sum(messages), 0) from dmarc_periods") == std::to_string(messages); },
          "not all messages are counted");
  }
  std::vector<std::string> recipients() {
    std::vector<std::string> out;
    for (const auto& request : queue_.all()) {
      EXPECT_EQ(request.recipients_size(), 1);
      out.push_back(request.recipients(0).address());
    }
    std::ranges::sort(out);
    return out;
  }

  test::DnsServer dns_;
  FakeQueue queue_;
  BlobStore blobs_;
  rpc::Dispatcher queue_door_, blob_door_;
  std::vector<std::unique_ptr<Replica>> replicas_;
};
using Addresses = std::vector<std::string>;

TEST_F(DmarcReportsTest, WhatTwoReplicasCountIsSentOnce) {
  auto& one = replica();
  auto& other = replica();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(one.bring("a.test"), v1::DECISION_ACCEPT);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(other.bring("a.test"), v1::DECISION_ACCEPT);
  EXPECT_EQ(other.bring("a.test", "192.0.2.9"), v1::DECISION_JUNK) << "quarantine";
  other.bring("b.test");
  one.bring("excluded.test");
  one.bring("unknown.test");
  one.bring("a.test", "192.0.2.1", "DMARC@mx.test");  // to where reports come from
  counted(7);
  const auto listed = one.list();
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].state(), v1::DMARC_REPORT_STATE_COLLECTING);
  EXPECT_GT(listed[0].due_at(), listed[0].ends_at());
  EXPECT_EQ(queue_.all().size(), 0u) << "the day is not over";
  // The day is over for all of them: both replicas look, one of them finds each.
  sql("update dmarc_periods set due_at = now()");
  EXPECT_EQ(one.send("nothing.test"), 0);
  EXPECT_EQ(other.send("nothing.test"), 0);
  all_sent(2);
  EXPECT_EQ(recipients(), (Addresses{"d@a.test", "d@b.test"})) << "elsewhere.test does not confirm it";
  EXPECT_EQ(queue_.calls, 2);
  EXPECT_EQ(sql("select count(*) from dmarc_records"), "0");
  for (const auto& request : queue_.all()) {
    EXPECT_EQ(request.reverse_path(), "dmarc@mx.test");
    EXPECT_EQ(request.recipients(0).notify(), "NEVER");
    EXPECT_FALSE(request.held());
    EXPECT_NE(request.body().inline_().find("Subject: Report Domain: "), std::string::npos);
  }
  EXPECT_EQ(one.list().size(), 0u);
  EXPECT_EQ(one.list(true).size(), 2u);
}

TEST_F(DmarcReportsTest, ManyFlushesAtOnceLoseNothing) {
  config_.mutable_dmarc_reports()->set_max_records(3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) replica();
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([this, i] {
      auto& mine = *replicas_[static_cast<std::size_t>(i)];
      for (int n = 0; n < 40; ++n) {
        mine.bring(n % 2 == 0 ? "a.test" : "b.test", "192.0.2." + std::to_string(10 + n % 10));
        if (n % 5 == 0) mine.send("nothing.test");  // writes what waits
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& each : replicas_) each->send("nothing.test");
  // Five addresses for each domain, of which three have a record.
  EXPECT_EQ(
      sql("select string_agg(domain || ' ' || records || ' ' || messages || ' ' || left_out, ', ' order by domain)"
          " from dmarc_periods"),
      "a.test 3 24 16, b.test 3 24 16");
  EXPECT_EQ(sql("select sum(messages) from dmarc_records"), "48");
}

TEST_F(DmarcReportsTest, ADayHasAsManyDomainsAsIsAllowed) {
  config_.mutable_dmarc_reports()->set_max_domains(1);
  auto& one = replica();
  one.bring("a.test");
  one.send("nothing.test");
  one.bring("b.test");
  one.bring("a.test");
  one.send("nothing.test");
  EXPECT_EQ(sql("select string_agg(domain || ' ' || messages, ' ') from dmarc_periods"), "a.test 2");
}

TEST_F(DmarcReportsTest, WhatComesLaterIsInAnotherReport) {
  auto& one = replica();
  one.bring("a.test");
  EXPECT_EQ(one.send("A.test"), 1);
  all_sent(1);
  one.bring("a.test");
  one.bring("a.test");
  EXPECT_EQ(one.send(), 1);
  all_sent(2);
  EXPECT_EQ(queue_.all().size(), 2u);
  EXPECT_EQ(sql("select string_agg(messages::text, ' ' order by id) from dmarc_periods"), "1 2");
  EXPECT_EQ(
      sql("select a.ends = b.begins and a.begins = date_trunc('day', a.begins at time zone 'UTC') at time zone 'UTC'"
          " from dmarc_periods a, dmarc_periods b where a.id < b.id"),
      "t")
      << "periods do not overlap";
}

TEST_F(DmarcReportsTest, ARepetitionIsTheSameDelivery) {
  auto& one = replica();
  one.bring("a.test");
  one.send();
  all_sent(1);
  // As if the replica had died between the queue's answer and its own commit: other rows, the same period.
  sql("update dmarc_periods set state = 1, due_at = now(), told = '{}', last_error = 'x'");
  sql("insert into dmarc_records select id, '\\x00', "
      "'{\"ip\":\"192.0.2.1\",\"disposition\":\"none\",\"dkim\":\"fail\",\"spf\":\"fail\"}', 1 from dmarc_periods");
  EXPECT_EQ(one.send(), 1);
  all_sent(1);
  EXPECT_EQ(queue_.calls, 2);
  EXPECT_EQ(queue_.all().size(), 1u) << "the queue knows it";
}

TEST_F(DmarcReportsTest, ALargeReportGoesThroughTheStore) {
  auto& one = replica();
  one.bring("a.test");
  one.send("nothing.test");
  sql("insert into dmarc_records select p.id, n::text::bytea, json_build_object('ip', '192.0.2.1', 'disposition', "
      "'none',"
      " 'dkim', 'fail', 'spf', 'fail', 'from', md5(n::text) || '.' || md5('x' || n) || '.a.test')::text, 2"
      " from dmarc_periods p, generate_series(1, 4000) n");
  EXPECT_EQ(one.send(), 1);
  all_sent(1);
  const auto taken = queue_.all();
  ASSERT_EQ(taken.size(), 1u);
  std::lock_guard lock(blobs_.mutex);
  ASSERT_TRUE(blobs_.blobs.contains(taken[0].body().blob_id()));
  const std::string& mail = blobs_.blobs.at(taken[0].body().blob_id());
  EXPECT_GT(mail.size(), 64u * 1024);
  EXPECT_NE(mail.find("Messages: 8001\r\n"), std::string::npos);
}

TEST_F(DmarcReportsTest, WaitsForTheQueueAndForDns) {
  dns_.fail("away.test._report._dmarc.agent.test");
  queue_.set_fail(Error(ErrorCode::kUnavailable, "the queue is down"));
  auto& one = replica();
  one.bring("a.test");
  one.bring("away.test");
  EXPECT_EQ(one.send(), 2);
  until([&] { return sql("select count(*) from dmarc_periods where state = 1 and last_error <> ''") == "2"; },
        "both wait");
  const auto listed = one.list();
  ASSERT_EQ(listed.size(), 2u);
  for (const auto& report : listed) {
    EXPECT_EQ(report.state(), v1::DMARC_REPORT_STATE_CLOSED);
    EXPECT_EQ(report.attempts(), 1);
  }
  queue_.set_fail({});
  EXPECT_EQ(one.send("a.test"), 1) << "an operator need not wait";
  all_sent(1);
  EXPECT_EQ(recipients(), Addresses{"d@a.test"});
  // A queue that refuses for good is not asked again.
  queue_.set_fail(Error(ErrorCode::kInvalidArgument, "no"));
  one.bring("a.test");
  one.send("a.test");
  all_sent(2);
}

TEST_F(DmarcReportsTest, WhatWaitsIsCountedAtTheEndAndKeptForTheDay) {
  replica().bring("a.test");
  replicas_.clear();
  EXPECT_EQ(sql("select messages from dmarc_periods"), "1");
  auto& again = replica();
  again.bring("a.test");
  again.send();
  all_sent(1);
  EXPECT_EQ(sql("select messages from dmarc_periods"), "2");
}

TEST_F(DmarcReportsTest, OldPeriodsAreForgotten) {
  auto& one = replica();
  one.bring("a.test");
  one.bring("b.test");
  one.send("a.test");
  all_sent(1);
  const auto forget = [&] { return sql("select gone || ' ' || unsent from forget_dmarc(172800, 100)"); };
  EXPECT_EQ(forget(), "0 0");
  sql("update dmarc_periods set ends = ends - interval '5 days'");
  EXPECT_EQ(forget(), "2 1");
  EXPECT_EQ(sql("select count(*) from dmarc_records"), "0");
}

TEST_F(DmarcReportsTest, WhatComesTooLateIsLeftOut) {
  auto& one = replica();
  one.bring("a.test");
  one.send("nothing.test");
  sql("update dmarc_periods set state = 1");  // the day's report is on its way
  one.bring("a.test");
  one.send("nothing.test");
  EXPECT_EQ(sql("select messages from dmarc_periods"), "1");
}

TEST_F(DmarcReportsTest, NothingIsWrittenWhereTheyAreOff) {
  config_.mutable_dmarc_reports()->set_enabled(false);
  auto& one = replica();
  one.bring("a.test");
  v1::DmarcReportsClient client(one.admin);
  const auto sent = runtime::block_on(one.process->loops().main(), client.send_reports(v1::SendReportsRequest()));
  ASSERT_TRUE(sent.has_error());
  EXPECT_EQ(sent.error().code(), ErrorCode::kFailedPrecondition);
  replicas_.clear();
  EXPECT_EQ(sql("select count(*) from dmarc_periods"), "0");
}

}  // namespace
}  // namespace merpati::filter
