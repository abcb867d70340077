#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "filter/rpc/filter_service.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {
namespace {

class FilterTest : public ::testing::Test {
 protected:
  v1::CheckMessageRequest request(std::string message) {
    v1::CheckMessageRequest out;
    out.mutable_transaction()->set_receiving_host("mx.example.test");
    out.set_size(message.size());
    out.set_message(std::move(message));
    v1::FilterRecipient& recipient = *out.add_recipients();
    recipient.set_account_id(1);
    recipient.set_recipient("alice@example.test");
    return out;
  }
  v1::CheckMessageResponse judge(const v1::CheckMessageRequest& in) { return judge(service_, in); }
  v1::CheckMessageResponse judge(FilterService& service, const v1::CheckMessageRequest& in) {
    rpc::Context context;
    asio::io_context loop;
    auto answer = asio::co_spawn(loop, service.check_message(context, in), asio::use_future);
    loop.run();
    return answer.get().value();
  }
  runtime::Metrics metrics_;
  asio::thread_pool blocking_{1};
  FilterService service_{"mail.example.test", {}, {}, metrics_, nullptr, blocking_};
};

const std::string kGood = "From: a@b\r\nSubject: x\r\n\r\nbody\r\n";

TEST_F(FilterTest, GoodMailIsAcceptedAndSaysWhatWasChecked) {
  auto in = request(kGood);
  auto out = judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  ASSERT_EQ(out.recipients_size(), 1);
  EXPECT_EQ(out.recipients(0).decision(), v1::DECISION_ACCEPT);
  ASSERT_EQ(out.edits_size(), 1);
  EXPECT_EQ(out.edits(0).value(), "mail.example.test; none");
  in.mutable_transaction()->set_authenticated_account_id(7);
  in.mutable_transaction()->set_authenticated_address("alice@example.test");
  EXPECT_EQ(judge(in).edits(0).value(), "mail.example.test;\r\n auth=pass smtp.auth=alice@example.test");
}

// Golden: whatever comes in, nothing of ours speaks of a method that did not run.
TEST_F(FilterTest, NoResultIsWrittenThatWasNotComputed) {
  const std::string kMails[] = {
      kGood,
      "From: a@b\r\nDKIM-Signature: v=1; d=b; s=s; bh=x; b=y\r\nReceived-SPF: pass\r\n\r\n",
      "From: a@b\r\nAuthentication-Results: mail.example.test; spf=pass; dkim=pass; dmarc=pass\r\n\r\n",
      "Subject: no from\r\n\r\n",
      "",
  };
  for (const std::string& mail : kMails) {
    for (const bool authenticated : {false, true}) {
      auto in = request(mail);
      if (authenticated) {
        in.mutable_transaction()->set_authenticated_account_id(7);
        in.mutable_transaction()->set_authenticated_address("alice@example.test");
      }
      const auto out = judge(in);
      for (const auto& edit : out.edits()) {
        for (const char* method : {"spf", "dkim", "dmarc", "arc", "iprev"}) {
          EXPECT_EQ(edit.value().find(method), std::string::npos) << edit.value();
        }
      }
      for (const auto& symbol : out.symbols()) {
        EXPECT_EQ(symbol.name().find("SPF"), std::string::npos);
        EXPECT_EQ(symbol.name().find("DKIM"), std::string::npos);
      }
    }
  }
}

TEST_F(FilterTest, ForgedResultsOfOurNameAreDeleted) {
  const auto out =
      judge(request("Authentication-Results: MAIL.example.test; spf=pass\r\n"
                    "Authentication-Results: other.test; spf=pass\r\n"
                    "From: a@b\r\n"
                    "Authentication-Results: (c)\r\n \"mx.example.test\" 1; dkim=pass\r\n"
                    "Authentication-Results: mail.example.test.evil; dkim=pass\r\n\r\n"));
  ASSERT_EQ(out.edits_size(), 3);
  EXPECT_EQ(out.edits(1).kind(), v1::HeaderEdit::KIND_DELETE);
  EXPECT_EQ(out.edits(1).index(), 3);
  EXPECT_EQ(out.edits(2).index(), 1);
}

TEST_F(FilterTest, EnginesJudgeWhatCameAndRecipientsGetWhatMiltersMadeOfIt) {
  auto in = request("From: a@b\r\nAuthentication-Results: mail.example.test; dkim=pass\r\n\r\nnew body\r\n");
  in.set_results_checked(true);
  in.mutable_received()->set_header("Subject: no author\r\n\r\n");
  auto out = judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(out.symbols(0).name(), "NO_FROM") << "the milter's From is not what was sent";
  in.mutable_received()->set_header(kGood.substr(0, kGood.size() - 6));
  out = judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(out.edits_size(), 1) << "the milter's results stay";
  in.mutable_received()->set_message("Subject: no author\r\n\r\nold body\r\n");
  EXPECT_EQ(judge(in).decision(), v1::DECISION_REFUSE);
}

TEST_F(FilterTest, WhatShouldHaveGoneThroughMiltersIsNotJudgedWithoutThem) {
  MilterSettings settings;
  settings.name = "m";
  service_.set_milters(
      {std::make_shared<MilterSeat>(settings, *ScannerLink::make("127.0.0.1:1", 1, blocking_), metrics_)});
  auto in = request(kGood);
  in.mutable_transaction()->set_listener("mx");
  rpc::Context context;
  const auto ask = [&] {
    asio::io_context loop;
    auto answer = asio::co_spawn(loop, service_.check_message(context, in), asio::use_future);
    loop.run();
    return answer.get();
  };
  EXPECT_EQ(ask().error().code(), ErrorCode::kUnavailable);
  in.mutable_transaction()->set_milters_asked(true);
  EXPECT_EQ(ask()->decision(), v1::DECISION_ACCEPT);
  in.mutable_transaction()->set_milters_asked(false);
  in.mutable_transaction()->set_listener("submission");
  EXPECT_EQ(ask()->decision(), v1::DECISION_ACCEPT);
}

TEST_F(FilterTest, LoopsAreRefused) {
  std::string mail;
  for (int i = 0; i < 51; ++i) mail += "Received: from a by b\r\n";
  auto out = judge(request(mail + kGood));
  EXPECT_EQ(out.decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(out.reply().enhanced(), "5.4.6");
  auto in = request("Delivered-To: Alice@example.test\r\n" + kGood);
  in.add_recipients()->set_recipient("bob@example.test");
  out = judge(in);
  EXPECT_EQ(out.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(out.recipients(0).decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(out.recipients(1).decision(), v1::DECISION_ACCEPT);
  in.mutable_transaction()->set_authenticated_account_id(7);
  EXPECT_EQ(judge(in).recipients(0).decision(), v1::DECISION_ACCEPT);
}

TEST_F(FilterTest, LimitsAndRequiredFields) {
  const auto symbol = [&](std::string mail) {
    const auto out = judge(request(std::move(mail)));
    return out.decision() == v1::DECISION_REFUSE ? out.symbols(0).name() : std::string();
  };
  EXPECT_EQ(symbol("Subject: x\r\n\r\n"), "NO_FROM");
  EXPECT_EQ(symbol("From: a@b\r\nfrom: c@d\r\n\r\n"), "DUPLICATE_FIELD");
  EXPECT_EQ(symbol("From: a@b\r\nX: " + std::string(300'000, 'x') + "\r\n\r\n"), "HEADER_TOO_LARGE");
  std::string many = "From: a@b\r\n";
  for (int i = 0; i < 1001; ++i) many += "X-A: b\r\n";
  EXPECT_EQ(symbol(many + "\r\n"), "TOO_MANY_HEADERS");
  std::string parts = "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
  for (int i = 0; i < 1001; ++i) parts += "--b\r\n\r\n\r\n";
  EXPECT_EQ(symbol(parts), "TOO_MANY_PARTS");
}

TEST_F(FilterTest, AWeightMakesARefusalAScore) {
  Scoring scoring;
  scoring.weights = {{"NO_FROM", 6}, {"LOOP", 1}};
  FilterService service("mail.example.test", {}, scoring, metrics_, nullptr, blocking_);
  const auto junk = judge(service, request("Subject: x\r\n\r\n"));
  EXPECT_EQ(junk.decision(), v1::DECISION_JUNK);
  EXPECT_EQ(junk.score(), 6);
  ASSERT_EQ(junk.recipients_size(), 1);
  EXPECT_EQ(junk.recipients(0).decision(), v1::DECISION_JUNK);
  std::string loop;
  for (int i = 0; i < 51; ++i) loop += "Received: from a by b\r\n";
  EXPECT_EQ(judge(service, request(loop + kGood)).decision(), v1::DECISION_REFUSE) << "a loop is none to weigh";
  std::string parts = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
  for (int i = 0; i < 1001; ++i) parts += "--b\r\n\r\n\r\n";
  EXPECT_EQ(judge(service, request(parts)).decision(), v1::DECISION_REFUSE) << "limits hold without a From, too";
}

/// Remembers which client it saw.
class ClientEngine : public Engine {
 public:
  std::string_view name() const override { return "client"; }
  Task<Findings> wait_for(const MessageView& view) override {
    seen = view.client.to_string();
    co_return Findings();
  }
  std::string seen;
};

TEST_F(FilterTest, AClientThatIsMappedIntoIpv6IsSeenAsWhatItIs) {
  auto engine = std::make_shared<ClientEngine>();
  service_.add_engine(engine);
  std::string asked;
  service_.check_clients_by([&asked](const boost::asio::ip::address& client) -> Task<Findings> {
    asked = client.to_string();
    co_return Findings();
  });
  auto in = request(kGood);
  const auto see = [&](const char* client) {
    in.mutable_transaction()->set_client_address(client);
    asked.clear();
    judge(in);
    v1::CheckConnectionRequest early;
    *early.mutable_transaction() = in.transaction();
    rpc::Context context;
    asio::io_context loop;
    auto answer = asio::co_spawn(loop, service_.check_connection(context, early), asio::use_future);
    loop.run();
    EXPECT_EQ(answer.get()->decision(), v1::DECISION_ACCEPT);
    return engine->seen + " " + asked;
  };
  EXPECT_EQ(see("::ffff:192.0.2.77"), "192.0.2.77 192.0.2.77");
  EXPECT_EQ(see("192.0.2.77"), "192.0.2.77 192.0.2.77");
  EXPECT_EQ(see("2001:db8::1"), "2001:db8::1 2001:db8::1");
  EXPECT_EQ(see("nonsense"), "0.0.0.0 ") << "of nobody nothing is asked";
}

class FakeStore : public store::v1::StoreService {
 public:
  Task<void> read_blob(rpc::Context&, const store::v1::ReadBlobRequest& request,
                       rpc::Writer<store::v1::ReadBlobResponse>& out) override {
    if (request.blob_id() != "known") co_return Error(ErrorCode::kUnavailable, "down");
    for (std::size_t at = 0; at < octets.size(); at += 50'000) {
      store::v1::ReadBlobResponse response;
      response.set_chunk(octets.substr(at, 50'000));
      MERPATI_CO_CHECK(co_await out.write(std::move(response)));
    }
    co_return Result<void>();
  }
  std::string octets;
};

TEST_F(FilterTest, LargeMailIsReadFromTheStore) {
  FakeStore fake;
  rpc::Dispatcher door;
  door.register_service(fake);
  CheckLimits limits;
  limits.max_scanned_size = 1'000'000;
  FilterService service("mail.example.test", limits, {}, metrics_, rpc::in_process_channel(door, rpc::Role::kFilter),
                        blocking_);
  const auto ask = [&](const std::string& blob, std::uint64_t size) {
    v1::CheckMessageRequest in;
    in.set_header("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
    in.set_size(size);
    in.set_blob_id(blob);
    rpc::Context context;
    asio::io_context loop;
    auto answer = asio::co_spawn(loop, service.check_message(context, in), asio::use_future);
    loop.run();
    return answer.get();
  };
  fake.octets = "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" +
                std::string(100'000, 'x') + "\r\n--b--\r\n";
  const auto good = ask("known", fake.octets.size());
  ASSERT_TRUE(good.has_value()) << good.error().describe();
  EXPECT_EQ(good->decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(good->symbols_size(), 0);
  for (int i = 0; i < 1001; ++i) fake.octets += "--b\r\n\r\n\r\n";
  fake.octets.replace(fake.octets.find("--b--"), 5, "--b\r\n");
  const auto many = ask("known", fake.octets.size());
  ASSERT_TRUE(many.has_value());
  EXPECT_EQ(many->decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(many->symbols(0).name(), "TOO_MANY_PARTS");
  const auto down = ask("other", 100'000);
  ASSERT_TRUE(down.has_error()) << "the caller decides what to do with mail that nobody saw";
  const auto huge = ask("known", 2'000'000);
  ASSERT_TRUE(huge.has_value());
  ASSERT_EQ(huge->symbols_size(), 1);
  EXPECT_TRUE(huge->symbols(0).not_checked());
}

}  // namespace
}  // namespace merpati::filter
