#include "merpati/smtp/data.hpp"

#include <gtest/gtest.h>

#include "merpati/smtp/client.hpp"

namespace merpati::smtp {
namespace {

struct Decoded {
  std::string message, rest;
  bool done, bare;
};
Decoded decode(std::string_view wire, std::size_t step) {
  DotDecoder decoder;
  Decoded out;
  while (!wire.empty() && !decoder.done()) wire.remove_prefix(decoder.feed(wire.substr(0, step), out.message));
  out.rest = wire;
  out.done = decoder.done();
  out.bare = decoder.bare_line_end();
  return out;
}

TEST(DotDecoder, UnstuffsAndLeavesWhatFollows) {
  for (std::size_t step = 1; step < 40; ++step) {
    const auto got = decode("A: b\r\n\r\n..\r\n...x\r\n.y\r\n.\r\nQUIT\r\n", step);
    EXPECT_TRUE(got.done);
    EXPECT_FALSE(got.bare);
    EXPECT_EQ(got.message, "A: b\r\n\r\n.\r\n..x\r\ny\r\n");
    EXPECT_EQ(got.rest, "QUIT\r\n");
  }
  EXPECT_EQ(decode(".\r\n", 9).message, "");
}

TEST(DotDecoder, NoOtherEndOfDataThanTheStandards) {
  // Each of these ends the message for some server (CVE-2023-51764, -51765, -51766); for us they are text, and refused.
  for (const std::string end :
       {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r.\r", "\n.\r", "\r\n.\r", "\r\r\n.\r\r\n", "\r\n.\r\r\n"}) {
    for (std::size_t step : {1U, 2U, 3U, 100U}) {
      const auto got = decode("text" + end + "MAIL FROM:<x@y>\r\n.\r\n", step);
      EXPECT_TRUE(got.done);
      EXPECT_EQ(got.rest, "");
      EXPECT_TRUE(got.bare) << testing::PrintToString(end);
    }
  }
}

TEST(LineEndChecker, FindsLonelyOnesOverPieces) {
  const auto bare = [](std::initializer_list<std::string_view> pieces) {
    LineEndChecker checker;
    for (const auto piece : pieces) checker.feed(piece);
    return checker.bare_line_end();
  };
  EXPECT_FALSE(bare({"a\r\nb\r\n"}));
  EXPECT_FALSE(bare({"a\r", "\nb"}));
  EXPECT_TRUE(bare({"a\r", "b"}));
  EXPECT_TRUE(bare({"a\nb"}));
  EXPECT_TRUE(bare({"a\r"}));
  EXPECT_TRUE(bare({"\r\r\n"}));
}

TEST(DotEncoder, StuffsOverPiecesAndEnds) {
  const std::string message = ".a\r\n..\r\nb.c\r\n.";
  for (std::size_t step = 1; step <= message.size(); ++step) {
    DotEncoder encoder;
    std::string wire;
    for (std::size_t at = 0; at < message.size(); at += step)
      encoder.feed(std::string_view(message).substr(at, step), wire);
    encoder.finish(wire);
    EXPECT_EQ(wire, "..a\r\n...\r\nb.c\r\n..\r\n.\r\n");
  }
}

TEST(ReplyParser, LinesCodesAndExtensions) {
  ReplyParser parser;
  EXPECT_EQ(parser.feed("250-mx.example.test Hello"), ReplyParser::State::kMore);
  EXPECT_EQ(parser.feed("250-SIZE 52428800"), ReplyParser::State::kMore);
  EXPECT_EQ(parser.feed("250-LIMITS RCPTMAX=20 MAILMAX=5"), ReplyParser::State::kMore);
  EXPECT_EQ(parser.feed("250-AUTH PLAIN scram-sha-256"), ReplyParser::State::kMore);
  EXPECT_EQ(parser.feed("250 starttls"), ReplyParser::State::kDone);
  const auto offers = parse_extensions(parser.take());
  EXPECT_EQ(offers.max_size, 52428800U);
  EXPECT_EQ(offers.rcpt_max, 20U);
  EXPECT_TRUE(offers.starttls);
  EXPECT_FALSE(offers.pipelining);
  EXPECT_EQ(offers.auth, (std::vector<std::string>{"PLAIN", "SCRAM-SHA-256"}));

  EXPECT_EQ(parser.feed("550 5.1.1 no such user"), ReplyParser::State::kDone);
  EXPECT_EQ(parser.reply().enhanced, "5.1.1");
  EXPECT_EQ(parser.take().str(), "550 5.1.1 no such user");
  EXPECT_EQ(parser.feed("550 4.1.1 classes differ"), ReplyParser::State::kDone);
  EXPECT_EQ(parser.take().enhanced, "");
  for (const auto* bad : {"", "25", "hello", "250x", "199 x", "650 x"})
    EXPECT_EQ(ReplyParser().feed(bad), ReplyParser::State::kMalformed) << bad;
  EXPECT_EQ(parser.feed("250-a"), ReplyParser::State::kMore);
  EXPECT_EQ(parser.feed("550 b"), ReplyParser::State::kMalformed);
}

}  // namespace
}  // namespace merpati::smtp
