// The contract of dialogs: what goes in and comes out of the stream.
#include <gtest/gtest.h>

#include <algorithm>

#include "filter/milter_setup.hpp"
#include "filter/rpc/milters_service.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "support/fake_milter.hpp"
#include "support/loop.hpp"

namespace merpati::filter {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using merpati::test::FakeMilter;
using merpati::test::milter_header;
using merpati::test::milter_packet;
using merpati::test::milter_reply;

struct MiltersRpc : testing::Test {
  void serve(const FakeMilter& milter, bool submission = false) {
    MilterSettings settings;
    settings.name = "m";
    settings.submission = submission;
    MilterSeats seats{
        std::make_shared<MilterSeat>(settings, *ScannerLink::make(milter.address(), 9, blocking), metrics)};
    service.set_milters(std::move(seats));
    dispatcher.register_service(service);
    client.emplace(rpc::in_process_channel(dispatcher, rpc::Role::kSmtp));
    stream = *loop.run(client->dialog());
  }
  ~MiltersRpc() override {
    asio::post(loop.context, [this] { stream.reset(); });
    for (int i = 0; i < 10; ++i) loop.catch_up();
  }
  v1::DialogResponse hear() {
    const auto response = loop.run(stream->read());
    EXPECT_TRUE(response.has_value() && *response) << (response.has_error() ? response.error().describe() : "ended");
    return response.has_value() && *response ? **response : v1::DialogResponse();
  }
  v1::DialogResponse say(const std::function<void(v1::DialogRequest&)>& fill) {
    tell(fill);
    return hear();
  }
  void tell(const std::function<void(v1::DialogRequest&)>& fill) {
    v1::DialogRequest request;
    fill(request);
    EXPECT_TRUE(loop.run(stream->write(std::move(request))).has_value());
  }
  v1::DialogResponse connect(const std::string& listener = "mx") {
    return say([&](v1::DialogRequest& request) {
      auto& connect = *request.mutable_connect();
      connect.set_listener(listener);
      connect.set_client_address("192.0.2.7");
      connect.set_client_port(1234);
      connect.set_receiving_host("mx.test");
      connect.set_daemon_name("smtp-25");
    });
  }
  v1::DialogResponse mail() {
    return say([](v1::DialogRequest& request) {
      request.mutable_mail()->set_delivery_id("4F");
      request.mutable_mail()->set_reverse_path("s@t.test");
      request.mutable_mail()->add_parameters("SIZE=1");
      request.mutable_mail()->set_authenticated_address("a@b");
      request.mutable_mail()->set_mechanism("PLAIN");
    });
  }
  v1::DialogResponse content(const std::string& header, const std::string& body) {
    return say([&](v1::DialogRequest& request) {
      request.mutable_content()->set_header(header);
      request.mutable_content()->set_body(body);
      request.mutable_content()->set_size(header.size() + body.size());
      request.mutable_content()->set_last(true);
    });
  }

  merpati::test::Loop loop;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking{1};
  runtime::Metrics metrics;
  MiltersService service{"mx.test"};
  rpc::Dispatcher dispatcher;
  std::optional<v1::MiltersClient> client;
  std::unique_ptr<rpc::ClientStream<v1::DialogRequest, v1::DialogResponse>> stream;
};

bool wants(const v1::DialogResponse& response, v1::DialogEvent event) {
  return std::ranges::find(response.wanted(), event) != response.wanted().end();
}

TEST_F(MiltersRpc, SaysWhichListenersHaveMilters) {
  FakeMilter milter;
  serve(milter, true);
  const v1::FollowMiltersRequest request;
  auto reader = loop.run(client->follow_milters(request));
  ASSERT_TRUE(reader.has_value());
  const auto said = loop.run((*reader)->read());
  ASSERT_TRUE(said.has_value() && *said);
  EXPECT_EQ((*said)->listeners_size(), 2);
}

TEST_F(MiltersRpc, AListenerWithoutMiltersWantsNothing) {
  FakeMilter milter;
  serve(milter);
  const auto answer = connect("submission");
  EXPECT_EQ(answer.decision(), v1::DECISION_ACCEPT);
  EXPECT_TRUE(answer.wanted().empty());
  EXPECT_EQ(milter.heard(), "");
}

TEST_F(MiltersRpc, MacrosAreOfTheDialog) {
  FakeMilter milter({}, milter::step::kRefusedRecipients);
  serve(milter);
  const auto begun = connect();
  EXPECT_TRUE(wants(begun, v1::DIALOG_EVENT_REFUSED_RECIPIENT) && wants(begun, v1::DIALOG_EVENT_BODY));
  say([](auto& request) {
    request.mutable_hello()->set_name("h");
    request.mutable_hello()->set_tls_version("TLSv1.3");
    request.mutable_hello()->set_cipher("X");
    request.mutable_hello()->set_cipher_bits(256);
  });
  mail();
  say([](auto& request) {
    request.mutable_recipient()->set_recipient("a@b.test");
    request.mutable_recipient()->set_local(true);
  });
  const auto macros = milter.all('D');
  for (const auto& macro :
       {"j\0mx.test\0"s, "{daemon_name}\0smtp-25\0"s, "{client_addr}\000192.0.2.7\0"s, "{tls_version}\0TLSv1.3\0"s,
        "{cipher_bits}\000256\0"s, "i\0004F\0"s, "{auth_type}\0PLAIN\0"s, "{auth_authen}\0a@b\0"s,
        "{mail_host}\0t.test\0"s, "{rcpt_mailer}\0local\0"s, "{rcpt_addr}\0a@b.test\0"s})
    EXPECT_NE(macros.find(macro), std::string::npos) << macro;
  EXPECT_EQ(milter.last('M'), "<s@t.test>\0SIZE=1\0"s);
  say([](auto& request) {
    request.mutable_recipient()->set_recipient("nobody@b.test");
    request.mutable_recipient()->mutable_refused()->set_enhanced("5.1.1");
    request.mutable_recipient()->mutable_refused()->set_text("No such address");
  });
  EXPECT_EQ(milter.last('D'), "R{rcpt_mailer}\0error\0{rcpt_host}\0005.1.1\0{rcpt_addr}\0No such address\0"s);
}

TEST_F(MiltersRpc, RepliesAreTheMilters) {
  FakeMilter milter({{'M', milter_reply("450-4.7.9 one\r\n450 4.7.9 two\xff")}});
  serve(milter);
  connect();
  const auto answer = mail();
  EXPECT_EQ(answer.decision(), v1::DECISION_TEMPORARY);
  EXPECT_EQ(answer.milter(), "m");
  EXPECT_EQ(answer.reply().code(), 450);
  EXPECT_EQ(answer.reply().enhanced(), "4.7.9");
  EXPECT_EQ(answer.reply().text(), "one\ntwo?");
}

TEST_F(MiltersRpc, ForgedResultsGoBeforeMiltersAddTheirs) {
  FakeMilter milter(
      {{'E', milter_header('i', "Authentication-Results", "mx.test; dkim=pass", 0) + milter_packet('c')}});
  serve(milter);
  connect();
  mail();
  const auto answer =
      content("Authentication-Results: mx.test; dkim=pass\r\nAuthentication-Results: other; x=y\r\nFrom: a@b\r\n\r\n",
              "text\r\n");
  EXPECT_EQ(answer.changes().header(),
            "Authentication-Results: mx.test; dkim=pass\r\nAuthentication-Results: other; x=y\r\nFrom: a@b\r\n\r\n");
  EXPECT_EQ(milter.all('L'), "Authentication-Results\0other; x=y\0From\0a@b\0"s);
  ASSERT_FALSE(answer.answers().empty());
  const auto& last = answer.answers(answer.answers_size() - 1);
  EXPECT_EQ(last.stage(), "end_of_message");
  EXPECT_EQ(last.text(), "insheader Authentication-Results");
  EXPECT_GT(last.at_us(), 0);
}

TEST_F(MiltersRpc, LargeBodiesComeAndGoInParts) {
  const std::string piece(60'000, 'n');
  FakeMilter milter({{'E', milter_packet('b', piece) + milter_packet('b', piece) + milter_packet('b', piece) +
                               milter_packet('b', piece) + milter_packet('b', piece) + milter_packet('c')}});
  serve(milter);
  connect();
  mail();
  const std::string part(200'000, 'o');
  tell([&](auto& request) {
    request.mutable_content()->set_header("From: a@b\r\n\r\n");
    request.mutable_content()->set_body(part);
  });
  auto answer = say([&](auto& request) {
    request.mutable_content()->set_body(part);
    request.mutable_content()->set_last(true);
  });
  EXPECT_EQ(milter.all('B'), part + part);
  EXPECT_TRUE(answer.changes().new_body());
  EXPECT_FALSE(answer.changes().has_header());
  std::string body = answer.body();
  while (answer.more()) {
    answer = hear();
    body += answer.body();
  }
  EXPECT_EQ(body.size(), 300'000U);
}

TEST_F(MiltersRpc, AnAbortHasNoAnswer) {
  FakeMilter milter;
  serve(milter);
  connect();
  mail();
  tell([](auto& request) { request.mutable_abort(); });
  EXPECT_EQ(mail().decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(milter.heard(), "OCMAM");
}

TEST_F(MiltersRpc, WhatIsNoDialogEndsTheStream) {
  FakeMilter milter;
  serve(milter);
  tell([](auto& request) { request.mutable_data(); });
  EXPECT_EQ(loop.run(stream->read()).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(MiltersRpc, MiltersHearOfTheEnd) {
  FakeMilter milter;
  serve(milter);
  connect();
  asio::post(loop.context, [this] { stream.reset(); });
  EXPECT_EQ(milter.heard("OCQ"), "OCQ");
}

}  // namespace
}  // namespace merpati::filter
