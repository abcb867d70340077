// Dialogs with milters of our own on loopback: order, policies, edits. Real ones are in tests/e2e.
#include <gtest/gtest.h>

#include <algorithm>

#include "filter/milter_dialog.hpp"
#include "filter/milter_setup.hpp"
#include "merpati/runtime/config_loader.hpp"
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
using Kind = StageAnswer::Kind;
namespace step = milter::step;

struct Milters : testing::Test {
  std::shared_ptr<MilterSeat> seat(const std::string& address, const std::string& name = "m",
                                   WhenUnchecked policy = WhenUnchecked::kTemporary) {
    MilterSettings settings;
    settings.name = name;
    settings.when_unchecked = policy;
    settings.timeouts = {patience, patience, patience, patience};
    settings.message = 5s;
    settings.breaker = {100, 50ms};
    settings.max_size = max_size;
    settings.max_connections = max_connections;
    return std::make_shared<MilterSeat>(settings, *ScannerLink::make(address, 100, blocking), metrics);
  }
  MilterDialog& dialog(const MilterSeats& seats) {
    DialogFacts facts;
    facts.client = {"[192.0.2.7]", asio::ip::make_address("192.0.2.7"), 25};
    current = std::make_unique<MilterDialog>(seats, facts);
    return *current;
  }
  template <class T>
  T run(Task<T> task) {
    auto result = loop.run(std::move(task));
    EXPECT_TRUE(result.has_value()) << result.error().describe();
    return result.has_value() ? *std::move(result) : T();
  }
  /// connect, helo, mail
  StageAnswer begin(MilterDialog& dialog) {
    for (auto answer : {run(dialog.connect()), run(dialog.helo("h")), run(dialog.mail({"s@t", {}}))})
      if (answer.stage.kind != Kind::kGoOn) return answer.stage;
    return {};
  }
  MilterDialog::Answer end(MilterDialog& dialog) {
    message = std::make_unique<MilterMessage>(
        MilterMessage{.header = milter::EditedHeader("Subject: x\r\nFrom: a@b\r\n\r\n"), .received_body = "text\r\n"});
    return run(dialog.content(*message, 40));
  }
  std::string notes() const {
    std::string out;
    for (const auto& note : current->notes())
      out.append(note.milter).append(" ").append(note.stage).append(" ").append(note.answer).append("\n");
    return out;
  }
  ~Milters() override {
    // Where its sockets live.
    asio::post(loop.context, [this] { current.reset(); });
    loop.catch_up();
  }

  merpati::test::Loop loop;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking{1};
  runtime::Metrics metrics;
  std::chrono::milliseconds patience = 20s;
  std::uint64_t max_size = 1'000'000;
  std::uint32_t max_connections = 100;
  std::unique_ptr<MilterDialog> current;
  std::unique_ptr<MilterMessage> message;
};

TEST_F(Milters, AllAreAskedInOrderAndEachSeesWhatTheOneBeforeHasChanged) {
  FakeMilter first({{'E', milter_header('i', "X-First", "1", 0) + milter_header('m', "Subject", "", 1) +
                              milter_packet('b', "new") + milter_packet('b', " body\r\n") + milter_packet('c')}});
  FakeMilter second({{'E', milter_header('h', "X-Second", "2") + milter_packet('a')}});
  auto& both = dialog({seat(first.address(), "first"), seat(second.address(), "second")});
  EXPECT_EQ(begin(both).kind, Kind::kGoOn);
  EXPECT_EQ(run(both.recipient({"a@b", {}})).stage.kind, Kind::kGoOn);
  EXPECT_EQ(run(both.data()).stage.kind, Kind::kGoOn);
  const auto answer = end(both);
  EXPECT_EQ(answer.stage.kind, Kind::kGoOn);
  EXPECT_EQ(message->header.str(), "X-First: 1\r\nFrom: a@b\r\nX-Second: 2\r\n\r\n");
  EXPECT_EQ(message->body(), "new body\r\n");
  EXPECT_EQ(first.heard(), "OCHMRTLLNBE");
  EXPECT_EQ(second.all('L'), "X-First\0001\0From\0a@b\0"s);
  EXPECT_EQ(second.last('B'), "new body\r\n");
  EXPECT_EQ(notes(),
            "first connect continue\nsecond connect continue\nfirst helo continue\nsecond helo continue\n"
            "first mail continue\nsecond mail continue\nfirst rcpt continue\nsecond rcpt continue\n"
            "first data continue\nsecond data continue\nfirst end_of_message continue\nsecond end_of_message accept\n");
}

TEST_F(Milters, TheFirstRefusalIsTheAnswerAtEachStage) {
  const std::string no = milter_reply("550 5.7.9 not you");
  for (const char command : "CHMRTLNBE"s) {
    SCOPED_TRACE(command);
    FakeMilter milter({{command, no}});
    auto& one = dialog({seat(milter.address())});
    StageAnswer answer = begin(one);
    if (answer.kind == Kind::kGoOn) answer = run(one.recipient({"a@b", {}})).stage;
    if (answer.kind == Kind::kGoOn) answer = run(one.data()).stage;
    if (answer.kind == Kind::kGoOn) answer = end(one).stage;
    EXPECT_EQ(answer.kind, Kind::kRefuse);
    EXPECT_EQ(answer.reply.code, 550);
    EXPECT_EQ(answer.reply.enhanced, "5.7.9");
    EXPECT_EQ(answer.reply.text, "not you");
  }
}

TEST_F(Milters, TempfailShutdownAnd421) {
  FakeMilter milter({{'M', milter_packet('t')}, {'R', milter_packet('4')}, {'T', milter_reply("421 4.7.0 go")}});
  auto& one = dialog({seat(milter.address())});
  EXPECT_EQ(begin(one).reply.code, 451);
  milter.answer('M', milter_packet('c'));
  run(one.mail({"s@t", {}}));
  const auto shutdown = run(one.recipient({"a@b", {}})).stage;
  EXPECT_TRUE(shutdown.close);
  EXPECT_EQ(shutdown.reply.code, 421);
  const auto own = run(one.data()).stage;
  EXPECT_TRUE(own.close);
  EXPECT_EQ(own.reply.text, "go");
}

TEST_F(Milters, WhoHasLetItGoOnHearsThatItDoesNotCome) {
  FakeMilter first, second({{'M', milter_packet('r')}});
  auto& both = dialog({seat(first.address(), "first"), seat(second.address(), "second")});
  EXPECT_EQ(begin(both).kind, Kind::kRefuse);
  EXPECT_EQ(first.heard("OCHMA"), "OCHMA");
}

TEST_F(Milters, AcceptedConnectionsAndMessagesAreNotToldOf) {
  FakeMilter connection({{'H', milter_packet('a')}}), mail({{'M', milter_packet('a')}});
  auto& both = dialog({seat(connection.address(), "one"), seat(mail.address(), "two")});
  begin(both);
  run(both.recipient({"a@b", {}}));
  EXPECT_EQ(end(both).stage.kind, Kind::kGoOn);
  EXPECT_EQ(connection.heard().substr(0, 3), "OCH");
  EXPECT_EQ(connection.heard().find('M'), std::string::npos);
  EXPECT_EQ(mail.heard(), "OCHM");
  run(both.mail({"s@t", {}}));
  EXPECT_EQ(mail.heard(), "OCHMM") << "of the next message it is";
}

TEST_F(Milters, DiscardIsOfTheWholeMessage) {
  FakeMilter milter({{'R', milter_packet('d')}});
  auto& one = dialog({seat(milter.address(), "drops")});
  begin(one);
  const auto answer = run(one.recipient({"a@b", {}}));
  EXPECT_EQ(answer.stage.kind, Kind::kDiscard);
  EXPECT_EQ(answer.milter, "drops");
}

TEST_F(Milters, WhatAMilterAskedForBeforeItRefusedDoesNotCount) {
  FakeMilter milter({{'E', milter_header('h', "X", "1") + milter_packet('b', "x") + milter_packet('r')}});
  auto& one = dialog({seat(milter.address())});
  begin(one);
  EXPECT_EQ(end(one).stage.kind, Kind::kRefuse);
  EXPECT_FALSE(message->header.changed());
  EXPECT_EQ(message->body(), "text\r\n");
}

TEST_F(Milters, EnvelopeAndQuarantine) {
  FakeMilter milter({{'E', milter_packet('+', "<c@d>\0"s) + milter_packet('-', "a@b\0"s) +
                               milter_packet('e', "<n@t>\0"s) + milter_packet('q', "smells\0"s) + milter_packet('c')}});
  auto& one = dialog({seat(milter.address())});
  begin(one);
  end(one);
  EXPECT_EQ(message->added_recipients, std::vector<std::string>{"c@d"});
  EXPECT_EQ(message->deleted_recipients, std::vector<std::string>{"a@b"});
  EXPECT_EQ(message->reverse_path, "n@t");
  EXPECT_EQ(message->quarantine, "smells");
  EXPECT_NE(current->notes().back().text.find("quarantine smells"), std::string::npos);
}

TEST_F(Milters, OneThatIsAwayHoldsUpNothingBeforeMail) {
  auto& refuses = dialog({seat("127.0.0.1:1")});
  EXPECT_EQ(run(refuses.connect()).stage.kind, Kind::kGoOn);
  EXPECT_EQ(run(refuses.helo("h")).stage.kind, Kind::kGoOn);
  const auto answer = run(refuses.mail({"s@t", {}}));
  EXPECT_EQ(answer.stage.kind, Kind::kTemporary);
  EXPECT_EQ(answer.stage.reply.code, 451);
  EXPECT_TRUE(refuses.wanted().mail);
  EXPECT_FALSE(refuses.accept_without());
}

TEST_F(Milters, WithoutItAsItsPolicySays) {
  for (const auto policy : {WhenUnchecked::kMark, WhenUnchecked::kSkip}) {
    auto& one = dialog({seat("127.0.0.1:1", "away", policy)});
    EXPECT_TRUE(one.accept_without());
    EXPECT_EQ(begin(one).kind, Kind::kGoOn);
    EXPECT_EQ(run(one.recipient({"a@b", {}})).stage.kind, Kind::kGoOn);
    EXPECT_EQ(end(one).stage.kind, Kind::kGoOn);
    EXPECT_EQ(notes().empty(), policy == WhenUnchecked::kSkip) << notes();
    if (policy == WhenUnchecked::kMark) EXPECT_NE(notes().find("away mail unchecked"), std::string::npos) << notes();
  }
}

TEST_F(Milters, OneThatDiesInTheMiddleIsReachedAgainAtTheNextMail) {
  FakeMilter milter;
  auto& one = dialog({seat(milter.address())});
  begin(one);
  milter.die_at('R');
  EXPECT_EQ(run(one.recipient({"a@b", {}})).stage.kind, Kind::kTemporary);
  EXPECT_EQ(run(one.recipient({"c@b", {}})).stage.kind, Kind::kTemporary) << "and stays so in this transaction";
  EXPECT_EQ(end(one).stage.kind, Kind::kTemporary);
  milter.die_at('\0');
  EXPECT_EQ(run(one.mail({"s@t", {}})).stage.kind, Kind::kGoOn);
  EXPECT_EQ(run(one.recipient({"a@b", {}})).stage.kind, Kind::kGoOn);
  EXPECT_EQ(end(one).stage.kind, Kind::kGoOn);
  EXPECT_EQ(milter.heard(), "OCHMROCHMRLLNBE");
}

TEST_F(Milters, OneThatHangsIsGivenUp) {
  patience = 30ms;
  for (const char command : "OCHMRTLNBE"s) {
    SCOPED_TRACE(command);
    FakeMilter milter({{command, ""}});
    auto& one = dialog({seat(milter.address(), "hangs", WhenUnchecked::kMark)});
    EXPECT_EQ(begin(one).kind, Kind::kGoOn);
    EXPECT_EQ(run(one.recipient({"a@b", {}})).stage.kind, Kind::kGoOn);
    EXPECT_EQ(run(one.data()).stage.kind, Kind::kGoOn);
    EXPECT_EQ(end(one).stage.kind, Kind::kGoOn);
    EXPECT_NE(notes().find("hangs "), std::string::npos);
    EXPECT_NE(notes().find(" unchecked"), std::string::npos);
  }
}

TEST_F(Milters, ABreakerLeavesItAlone) {
  MilterSettings settings;
  settings.name = "broken";
  settings.breaker = {2, 1h};
  const auto broken = std::make_shared<MilterSeat>(settings, *ScannerLink::make("127.0.0.1:1", 9, blocking), metrics);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(loop.run(broken->open()).error().code(), ErrorCode::kUnavailable);
  FakeMilter milter;
  EXPECT_NE(loop.run(broken->open()).error().message().find("left alone"), std::string::npos);
}

TEST_F(Milters, TooManyConnectionsAndTooLargeMessagesGoOnWithoutIt) {
  max_connections = 1;
  max_size = 39;
  FakeMilter milter;
  const auto shared = seat(milter.address(), "small", WhenUnchecked::kMark);
  auto& one = dialog({shared});
  begin(one);
  EXPECT_EQ(loop.run(shared->open()).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(end(one).stage.kind, Kind::kGoOn);
  EXPECT_EQ(milter.heard("OCHMA"), "OCHMA");
  EXPECT_NE(notes().find("small end_of_message unchecked"), std::string::npos);
}

TEST_F(Milters, RefusedRecipientsForThoseWhoWantThem) {
  FakeMilter counts({}, step::kRefusedRecipients), other;
  auto& both = dialog({seat(counts.address(), "counts"), seat(other.address(), "other")});
  begin(both);
  EXPECT_TRUE(both.wanted().refused_recipient);
  EXPECT_EQ(run(both.refused_recipient({"x@y", {}})).stage.kind, Kind::kGoOn);
  EXPECT_EQ(counts.heard(), "OCHMR");
  EXPECT_EQ(other.heard(), "OCHM");
}

TEST_F(Milters, WantWhatTheyHaveNotLeftOut) {
  FakeMilter light({}, step::kNoRecipient | step::kNoData | step::kNoBody | step::kNoUnknown);
  auto& one = dialog({seat(light.address())});
  run(one.connect());
  const auto wanted = one.wanted();
  EXPECT_TRUE(wanted.hello && wanted.mail && wanted.content);
  EXPECT_FALSE(wanted.recipient || wanted.data || wanted.body || wanted.unknown || wanted.refused_recipient);
  FakeMilter done({{'C', milter_packet('a')}});
  auto& over = dialog({seat(done.address())});
  run(over.connect());
  EXPECT_FALSE(over.wanted().mail || over.wanted().hello);
}

TEST(MilterSetup, AddressesAsTheWorldWritesThem) {
  EXPECT_EQ(*milter_address("unix:/run/m.sock"), "/run/m.sock");
  EXPECT_EQ(*milter_address("local:/run/m.sock"), "/run/m.sock");
  EXPECT_EQ(*milter_address("/run/m.sock"), "/run/m.sock");
  EXPECT_EQ(*milter_address("inet:8891@opendkim.mail"), "opendkim.mail:8891");
  EXPECT_EQ(*milter_address("inet6:8891@[::1]"), "[::1]:8891");
  EXPECT_EQ(*milter_address("inet:localhost:8891"), "localhost:8891");
  EXPECT_EQ(*milter_address("opendkim:8891"), "opendkim:8891");
  for (const char* wrong : {"", "unix:run/m", "inet:8891", "inet:x@host", "opendkim", "unix:"})
    EXPECT_TRUE(milter_address(wrong).has_error()) << wrong;
}

MilterConfigs configured(const std::string& address) {
  MilterConfigs all;
  auto& milter = *all.Add();
  runtime::apply_defaults(milter);
  milter.set_name("m");
  milter.set_address(address);
  return all;
}

TEST(MilterSetup, DefaultsAreSafeAndMistakesAreNamed) {
  auto config = configured("inet:8891@localhost");
  const auto settings = milter_settings(config);
  ASSERT_TRUE(settings.has_value()) << settings.error().message();
  EXPECT_TRUE(settings->front().sees("mx"));
  EXPECT_FALSE(settings->front().sees("submission") || settings->front().sees(""));
  EXPECT_EQ(settings->front().when_unchecked, WhenUnchecked::kTemporary);
  EXPECT_EQ(settings->front().timeouts.command, 30s);
  const auto wrong = [&](const auto& change) {
    auto broken = configured("inet:8891@localhost");
    change(broken[0]);
    const auto made = milter_settings(broken);
    return made.has_error() ? made.error().message() : std::string("nothing");
  };
  EXPECT_NE(wrong([](auto& m) { m.set_name("Open DKIM"); }).find("filter.milters[0].name"), std::string::npos);
  EXPECT_NE(wrong([](auto& m) { m.set_address("x"); }).find("filter.milters[0].address"), std::string::npos);
  EXPECT_NE(wrong([](auto& m) { m.set_max_connections(0); }).find("max_connections"), std::string::npos);
  EXPECT_NE(wrong([](auto& m) { m.mutable_timeouts()->mutable_command()->set_seconds(0); }).find("timeouts.command"),
            std::string::npos);
  *config.Add() = configured("inet:8891@localhost")[0];
  EXPECT_NE(milter_settings(config).error().message().find("milters[1].name"), std::string::npos);
}

}  // namespace
}  // namespace merpati::filter
