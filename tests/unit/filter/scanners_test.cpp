// clamd and Rspamd as engines, against scanners of our own that say what is wanted; the real ones are in tests/e2e.
#include <gtest/gtest.h>

#include "fake_scanner.hpp"
#include "filter/clamd_engine.hpp"
#include "filter/rspamd_engine.hpp"
#include "support/loop.hpp"

namespace merpati::filter {
namespace {

using namespace std::string_literals;

struct Scanners : testing::Test {
  Findings check(Engine& engine, MessageView view) {
    view.whole = true;
    auto found = loop.run(engine.check(view));
    EXPECT_TRUE(found.has_value()) << found.error().describe();
    return found.has_value() ? *found : Findings();
  }
  Error fail(Engine& engine, std::string_view message) {
    MessageView view;
    view.message = message;
    view.whole = true;
    auto found = loop.run(engine.check(view));
    EXPECT_TRUE(found.has_error());
    return found.has_error() ? found.error() : Error();
  }
  std::shared_ptr<ScannerLink> link(const std::string& address, std::size_t most = 4) {
    return *ScannerLink::make(address, most, blocking);
  }
  merpati::test::Loop loop;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking{1};
};
using Clamd = Scanners;
using Rspamd = Scanners;

bool stream_ended(const std::string& heard) { return heard.ends_with("\0\0\0\0"s); }

MessageView message(std::string_view text) {
  MessageView view;
  view.message = text;
  return view;
}

TEST_F(Clamd, SendsTheMessageInChunksAndReadsTheVerdict) {
  test::FakeScanner scanner(stream_ended, "stream: OK\0"s);
  ClamdEngine engine({}, link(scanner.address()));
  const std::string text(300'000, 'x');
  const auto findings = check(engine, message(text));
  EXPECT_TRUE(findings.symbols.empty() && findings.refusals.empty());
  const auto heard = scanner.heard();
  ASSERT_TRUE(heard.starts_with("zINSTREAM\0\0\2\0\0x"s)) << "131072 octets first";
  EXPECT_EQ(heard.size(), 10 + 3 * 4 + text.size() + 4);
}

TEST_F(Clamd, AVirusRefuses) {
  test::FakeScanner scanner(stream_ended, "stream: Win.Test<EICAR>_HDB-1 FOUND\0"s);
  ClamdEngine engine({}, link(scanner.address()));
  const auto findings = check(engine, message("x"));
  ASSERT_EQ(findings.refusals.size(), 1u);
  EXPECT_EQ(findings.refusals[0].symbol, "VIRUS");
  EXPECT_EQ(findings.refusals[0].code, 554);
  EXPECT_EQ(findings.refusals[0].text, "The message carries a virus: Win.Test_EICAR__HDB-1");
  EXPECT_TRUE(findings.refusals[0].may_be_weighed);
}

TEST_F(Clamd, OrFilesIntoJunk) {
  test::FakeScanner scanner(stream_ended, "stream: Eicar FOUND\0"s);
  ClamdEngine engine({.refuse = false}, link(scanner.address()));
  const auto findings = check(engine, message("x"));
  ASSERT_EQ(findings.symbols.size(), 1u);
  EXPECT_TRUE(findings.symbols[0].junk);
  EXPECT_EQ(findings.symbols[0].detail, "Eicar");
}

TEST_F(Clamd, WhatItCannotScanIsNoVirusAndNotClean) {
  test::FakeScanner small(stream_ended, "INSTREAM size limit exceeded. ERROR\0"s);
  ClamdEngine engine({}, link(small.address()));
  EXPECT_TRUE(check(engine, message("x")).symbols.at(0).not_checked);
  ClamdEngine limited({.max_size = 3}, link("127.0.0.1:1"));
  EXPECT_TRUE(check(limited, message("four")).symbols.at(0).not_checked) << "and it was not asked";
  test::FakeScanner broken(stream_ended, "stream: Can't allocate memory ERROR\0"s);
  ClamdEngine failing({}, link(broken.address()));
  EXPECT_EQ(fail(failing, "x").code(), ErrorCode::kUnavailable);
}

TEST_F(Clamd, OneThatIsAwayOrHangsUpIsAnError) {
  ClamdEngine nobody({}, link("127.0.0.1:1"));
  EXPECT_EQ(fail(nobody, "x").code(), ErrorCode::kUnavailable);
  ClamdEngine no_socket({}, link("/nonexistent/clamd.ctl"));
  EXPECT_EQ(fail(no_socket, "x").code(), ErrorCode::kUnavailable);
  test::FakeScanner mute(stream_ended, "");
  ClamdEngine silent({}, link(mute.address()));
  EXPECT_EQ(fail(silent, "x").code(), ErrorCode::kUnavailable);
}

TEST_F(Clamd, OneThatSaysNothingIsLeftAtTheDeadline) {
  test::FakeScanner deaf([](const std::string& heard) { return heard.size() > 1'000'000; }, "");
  ClamdEngine engine({}, link(deaf.address(), 1));
  const auto view = [] {
    MessageView v = message("x");
    v.whole = true;
    return v;
  }();
  for (int i = 0; i < 2; ++i) {  // the second waits for the place that the first had
    auto found = loop.run(with_deadline(engine.check(view), Deadline::after(std::chrono::milliseconds(30))));
    ASSERT_TRUE(found.has_error());
    EXPECT_EQ(found.error().code(), ErrorCode::kDeadlineExceeded);
  }
}

TEST_F(Clamd, AnswersAPing) {
  test::FakeScanner scanner([](const std::string& heard) { return heard == "zPING\0"s; }, "PONG\0"s);
  ClamdEngine engine({}, link(scanner.address()));
  EXPECT_TRUE(loop.run(engine.ping()).has_value());
  test::FakeScanner other([](const std::string& heard) { return heard == "zPING\0"s; }, "UNKNOWN COMMAND\0"s);
  ClamdEngine stranger({}, link(other.address()));
  EXPECT_EQ(loop.run(stranger.ping()).error().code(), ErrorCode::kUnavailable);
}

TEST_F(Clamd, SubmittedMailMayBeLeftOut) {
  ClamdEngine engine({.check_submitted = false}, link("127.0.0.1:1"));
  auto view = message("x");
  view.authenticated_account = 7;
  EXPECT_TRUE(check(engine, view).symbols.empty());
}

TEST(ClamdReply, IsRead) {
  EXPECT_EQ(parse_clamd_reply("stream: OK").kind, ClamdReply::Kind::kClean);
  EXPECT_EQ(parse_clamd_reply("stream: A.B-1 FOUND").text, "A.B-1");
  for (const char* wrong : {"", "OK", "stream: ", "stream: FOUND", "UNKNOWN COMMAND", "stream: x ERROR"})
    EXPECT_EQ(parse_clamd_reply(wrong).kind, ClamdReply::Kind::kFailed) << wrong;
}

std::string http(const std::string& body, const char* status = "200 OK") {
  return "HTTP/1.1 "s + status + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}
bool has_body(const std::string& heard) { return heard.ends_with("the body\r\n"); }
constexpr const char* kText = "Subject: x\r\n\r\nthe body\r\n";

TEST_F(Rspamd, TellsWhoSentItAndReadsTheVerdict) {
  test::FakeScanner scanner(has_body, http(R"({"action":"no action","score":1.5,"required_score":15,
      "symbols":{"MIME_GOOD":{"name":"MIME_GOOD","score":-0.1,"options":["text/plain"]}}})"));
  RspamdEngine engine({.password = "pass"}, link(scanner.address()));
  auto view = message(kText);
  view.client = boost::asio::ip::make_address("192.0.2.7");
  view.helo = "host\r\nPassword: other";
  view.reverse_path = "a@sender.test";
  view.recipients = {"b@example.test", "c@example.test"};
  view.delivery_id = "0f";
  const auto findings = check(engine, view);
  EXPECT_TRUE(findings.refusals.empty());
  ASSERT_EQ(findings.symbols.size(), 2u);
  EXPECT_EQ(findings.symbols[0].name, "RSPAMD");
  EXPECT_EQ(findings.symbols[0].score, 0);
  EXPECT_EQ(findings.symbols[0].detail, "no action at 1.50");
  EXPECT_EQ(findings.symbols[1].name, "RSPAMD_MIME_GOOD");
  EXPECT_EQ(findings.symbols[1].detail, "-0.10 text/plain");
  const auto heard = scanner.heard();
  EXPECT_TRUE(heard.starts_with("POST /checkv2 HTTP/1.1\r\n"));
  for (const char* line : {"IP: 192.0.2.7", "Helo: host??Password: other", "From: a@sender.test",
                           "Rcpt: b@example.test", "Rcpt: c@example.test", "Queue-Id: 0f", "Password: pass"})
    EXPECT_NE(heard.find("\r\n"s + line + "\r\n"), std::string::npos) << line << " in " << heard;
  EXPECT_EQ(heard.find("User:"), std::string::npos);
  EXPECT_TRUE(heard.ends_with("\r\n\r\n"s + kText));
}

TEST_F(Rspamd, AnswersAPing) {
  test::FakeScanner scanner([](const std::string& heard) { return heard.ends_with("\r\n\r\n"); },
                            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npong\r\n");
  RspamdEngine engine({}, link(scanner.address()));
  EXPECT_TRUE(loop.run(engine.ping()).has_value());
  EXPECT_TRUE(scanner.heard().starts_with("GET /ping HTTP/1.1\r\n"));
}

TEST(RspamdReply, ActionsBecomeOurs) {
  const RspamdSettings settings;
  const auto found = [&](const std::string& json) { return findings_of(json, settings); };
  const auto reject = found(R"({"action":"reject","score":20,"messages":{"smtp_message":"Gtube\npattern"}})");
  ASSERT_EQ(reject->refusals.size(), 1u);
  EXPECT_EQ(reject->refusals[0].code, 554);
  EXPECT_EQ(reject->refusals[0].text, "Gtube?pattern");
  EXPECT_EQ(found(R"({"action":"soft reject","score":1})")->refusals.at(0).code, 451);
  for (const char* action : {"add header", "rewrite subject"})
    EXPECT_TRUE(found("{\"action\":\""s + action + "\",\"score\":7}")->symbols.at(1).junk);
  for (const char* action : {"no action", "greylist", "something new"}) {
    const auto nothing = found("{\"action\":\""s + action + "\",\"score\":5}");
    EXPECT_TRUE(nothing->refusals.empty());
    EXPECT_EQ(nothing->symbols.size(), 1u);
  }
  EXPECT_TRUE(found(R"({"is_skipped":true,"action":"no action"})")->symbols.at(0).not_checked);
  EXPECT_EQ(found(R"({"is_skipped":true,"action":"reject","score":15.0})")->refusals.size(), 1u) << "as for GTUBE";
  for (const char* wrong : {"", "[]", "{}", "{\"action\":1}", "{\"error\":\"x\"}", "{\"action\":"})
    EXPECT_TRUE(found(wrong).has_error()) << wrong;
}

TEST(RspamdReply, OrItsScoreCounts) {
  RspamdSettings settings;
  settings.follow_action = false;
  settings.score_factor = 0.5;
  const auto findings = findings_of(R"({"action":"reject","score":20,"symbols":{"X":{"score":20}}})", settings);
  EXPECT_TRUE(findings->refusals.empty());
  EXPECT_DOUBLE_EQ(findings->symbols.at(0).score, 10);
}

TEST_F(Rspamd, ErrorsAreNoVerdict) {
  test::FakeScanner forbids(has_body, http(R"({"error":"Unauthorized"})", "403 Forbidden"));
  RspamdEngine engine({}, link(forbids.address()));
  EXPECT_NE(fail(engine, kText).message().find("403"), std::string::npos);
  test::FakeScanner talks(has_body, "what?\r\n\r\n");
  RspamdEngine other({}, link(talks.address()));
  EXPECT_EQ(fail(other, kText).code(), ErrorCode::kUnavailable);
  test::FakeScanner cut(has_body, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"action\":\"no action\"");
  RspamdEngine half({}, link(cut.address()));
  EXPECT_EQ(fail(half, kText).code(), ErrorCode::kUnavailable);
}

TEST(ScannerLink, WantsAPathOrHostAndPort) {
  asio::thread_pool blocking(1);
  for (const char* good : {"/run/clamd.ctl", "clamd:3310", "[::1]:3310"})
    EXPECT_TRUE(ScannerLink::make(good, 1, blocking).has_value()) << good;
  for (const char* bad : {"", "clamd", "clamd:", ":3310", "clamd:x", "run/clamd.ctl"})
    EXPECT_TRUE(ScannerLink::make(bad, 1, blocking).has_error()) << bad;
}

}  // namespace
}  // namespace merpati::filter
