#include "merpati/pop3/command.hpp"

#include <gtest/gtest.h>

namespace merpati::pop3 {
namespace {

TEST(Pop3Command, KeywordsAreCaseInsensitive) {
  EXPECT_EQ(parse_command("quit")->verb, Verb::kQuit);
  EXPECT_EQ(parse_command("ReTr 17")->message, 17u);
  EXPECT_EQ(to_string(Verb::kTop), "TOP");
}

TEST(Pop3Command, MessageNumbers) {
  EXPECT_FALSE(parse_command("LIST")->message);
  EXPECT_EQ(parse_command("LIST 4294967295")->message, 4294967295u);
  const auto top = parse_command("TOP 3 10");
  EXPECT_EQ(top->message, 3u);
  EXPECT_EQ(top->lines, 10u);
  for (const char* bad : {"RETR", "RETR 0", "RETR -1", "RETR +1", "RETR 1x", "RETR 4294967296", "DELE 1 2", "TOP 1",
                          "TOP 1 -1", "TOP 1 2 3", "LIST 0x1", "STAT 1", "QUIT now", "UIDL 1 1"}) {
    const auto parsed = parse_command(bad);
    ASSERT_TRUE(parsed.has_error()) << bad;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument) << bad;
    EXPECT_FALSE(parsed.error().public_text().empty()) << bad;
  }
}

TEST(Pop3Command, ASpaceTooMuchIsForgiven) {
  EXPECT_EQ(parse_command("RETR  2 ")->message, 2u);
  EXPECT_EQ(parse_command("STAT ")->verb, Verb::kStat);
  EXPECT_EQ(parse_command("USER alice@example.test ")->text, "alice@example.test");
}

TEST(Pop3Command, PasswordKeepsItsSpaces) {
  EXPECT_EQ(parse_command("PASS  a b ")->text, " a b ");
  EXPECT_TRUE(parse_command("PASS").has_error());
  EXPECT_TRUE(parse_command("PASS ").has_error());
}

TEST(Pop3Command, Utf8OnlyInNamesAndPasswords) {
  EXPECT_EQ(parse_command("USER jos\xC3\xA9")->text, "jos\xC3\xA9");
  EXPECT_TRUE(parse_command("USER jos\xE9").has_error());
  EXPECT_TRUE(parse_command("PASS \xC0\xAF").has_error());      // overlong
  EXPECT_TRUE(parse_command("PASS \xED\xA0\x80").has_error());  // a surrogate
  EXPECT_TRUE(parse_command("RETR \xC3\xA9").has_error());
}

TEST(Pop3Command, BadLines) {
  EXPECT_EQ(parse_command("APOP a b").error().code(), ErrorCode::kUnimplemented);
  EXPECT_EQ(parse_command("").error().code(), ErrorCode::kUnimplemented);
  EXPECT_EQ(parse_command("LISTER").error().code(), ErrorCode::kUnimplemented);
  EXPECT_TRUE(parse_command(std::string_view("USER a\0b", 8)).has_error());
  EXPECT_TRUE(parse_command("USER a\rb").has_error());
  EXPECT_TRUE(parse_command("PASS " + std::string(248, 'x')).has_value());
  EXPECT_TRUE(parse_command("PASS " + std::string(249, 'x')).has_error());  // RFC 2449 4: 255 with CRLF
}

TEST(Pop3Command, Auth) {
  EXPECT_EQ(parse_command("AUTH")->text, "");
  EXPECT_EQ(parse_command("auth scram-sha-256-plus")->text, "SCRAM-SHA-256-PLUS");
  EXPECT_FALSE(parse_command("AUTH PLAIN")->initial_response);
  EXPECT_EQ(parse_command("AUTH PLAIN =")->initial_response, "");
  EXPECT_EQ(parse_command("AUTH PLAIN AGEAYg==")->initial_response, std::string("\0a\0b", 4));
  EXPECT_TRUE(parse_command("AUTH PLAIN AGEAYg").has_error());
  EXPECT_TRUE(parse_command("AUTH PLAIN AGEAYg== x").has_error());
  EXPECT_TRUE(parse_command("AUTH ABCDEFGHIJKLMNOPQRSTU").has_error());
}

TEST(Pop3Command, AuthLines) {
  EXPECT_EQ(parse_auth_line("*").error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(parse_auth_line("").value(), "");
  EXPECT_EQ(parse_auth_line("YQ==").value(), "a");
  EXPECT_EQ(parse_auth_line("YQ").error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace merpati::pop3
