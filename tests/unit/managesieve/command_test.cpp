#include "merpati/managesieve/command.hpp"

#include <gtest/gtest.h>

namespace merpati::managesieve {
namespace {

using namespace std::string_literals;

TEST(ManageSieveCommand, ReadsEveryCommand) {
  EXPECT_EQ(parse_command("starttls")->verb, Verb::kStartTls);
  EXPECT_EQ(parse_command("LogOut")->verb, Verb::kLogout);
  EXPECT_EQ(parse_command("CAPABILITY")->verb, Verb::kCapability);
  EXPECT_EQ(parse_command("UNAUTHENTICATE")->verb, Verb::kUnauthenticate);
  EXPECT_EQ(parse_command("LISTSCRIPTS")->verb, Verb::kListScripts);
  EXPECT_FALSE(parse_command("NOOP")->tag);
  EXPECT_EQ(parse_command("NOOP \"\"")->tag, "");
  EXPECT_EQ(parse_command("NOOP {3+}\r\na\r\n")->tag, "a\r\n");
  EXPECT_EQ(parse_command("GETSCRIPT \"a b\"")->name, "a b");
  EXPECT_EQ(parse_command("DELETESCRIPT {3+}\r\na\"b")->name, "a\"b");
  const auto space = parse_command("HAVESPACE \"big\" 4294967295");
  EXPECT_EQ(space->name, "big");
  EXPECT_EQ(space->size, 4294967295u);
  const auto put = parse_command("Putscript {1+}\r\nx {11+}\r\nkeep;\r\n\"\\{}");
  EXPECT_EQ(put->verb, Verb::kPutScript);
  EXPECT_EQ(put->name, "x");
  EXPECT_EQ(put->script, "keep;\r\n\"\\{}");
  EXPECT_EQ(parse_command("CHECKSCRIPT \"keep;\"")->script, "keep;");
  const auto renamed = parse_command("RENAMESCRIPT \"a\\\"\\\\\" \"b\"");
  EXPECT_EQ(renamed->name, "a\"\\");
  EXPECT_EQ(renamed->new_name, "b");
  EXPECT_EQ(parse_command("SETACTIVE \"\"")->name, "");
}

TEST(ManageSieveCommand, ReadsAuthentication) {
  const auto plain = parse_command("AUTHENTICATE \"plain\" \"AGEAYg==\"");
  EXPECT_EQ(plain->mechanism, "PLAIN");
  EXPECT_EQ(plain->initial_response, "\0a\0b"s);
  EXPECT_FALSE(parse_command("AUTHENTICATE \"SCRAM-SHA-256\"")->initial_response);
  EXPECT_EQ(parse_command("AUTHENTICATE {5+}\r\nPLAIN \"\"")->initial_response, "");
  EXPECT_EQ(*parse_sasl_response("\"AGEAYg==\""), "\0a\0b"s);
  EXPECT_EQ(*parse_sasl_response("{0+}\r\n"), "");
  EXPECT_EQ(parse_sasl_response("\"*\"").error().code(), ErrorCode::kCancelled);
  for (const char* bad : {"", "*", "AGE=", "\"?\"", "\"\" \"\"", "{4+}\r\nAGE"}) {
    const auto parsed = parse_sasl_response(bad);
    ASSERT_TRUE(parsed.has_error()) << bad;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument) << bad;
    EXPECT_FALSE(parsed.error().public_text().empty()) << bad;
  }
}

TEST(ManageSieveCommand, RefusesWhatIsMalformed) {
  for (const char* bad : {"GETSCRIPT",
                          "GETSCRIPT a",
                          "GETSCRIPT \"a",
                          "GETSCRIPT \"a\" \"b\"",
                          "GETSCRIPT \"\"",
                          "GETSCRIPT\"a\"",
                          "GETSCRIPT \"\\a\"",
                          "GETSCRIPT \"a\"x",
                          "STARTTLS now",
                          "LISTSCRIPTS \"\"",
                          "HAVESPACE \"a\"",
                          "HAVESPACE \"a\" \"1\"",
                          "HAVESPACE \"a\" 4294967296",
                          "HAVESPACE \"a\" 01",
                          "HAVESPACE \"a\" -1",
                          "PUTSCRIPT \"a\"",
                          "PUTSCRIPT \"a\" {5+}\r\nkeep",
                          "CHECKSCRIPT {4}\r\nkeep",
                          "CHECKSCRIPT {x {4+}\r\nkeep",
                          "AUTHENTICATE PLAIN",
                          "AUTHENTICATE \"\"",
                          "AUTHENTICATE \"PLAIN\" \"=\"",
                          "RENAMESCRIPT \"a\"",
                          "SETACTIVE",
                          "NOOP tag"}) {
    const auto parsed = parse_command(bad);
    ASSERT_TRUE(parsed.has_error()) << bad;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument) << bad;
    EXPECT_FALSE(parsed.error().public_text().empty()) << bad;
  }
  for (const char* unknown : {"", " ", "GETSCRIPTS \"a\"", "\"GETSCRIPT\" \"a\""})
    EXPECT_EQ(parse_command(unknown).error().code(), ErrorCode::kUnimplemented) << unknown;
}

TEST(ManageSieveCommand, ASpaceTooMuchIsForgiven) {
  EXPECT_EQ(parse_command("GETSCRIPT  \"a\" ")->name, "a");
  EXPECT_EQ(parse_command("LOGOUT ")->verb, Verb::kLogout);
}

TEST(ManageSieveCommand, NamesAreWhatTheStandardAllows) {
  EXPECT_EQ(*script_name("Ferien \xC3\xA4"), "Ferien \xC3\xA4");
  EXPECT_EQ(*script_name("a\xCC\x88"), "\xC3\xA4") << "normalization form C";
  EXPECT_EQ(*script_name("\xC2\xA0"), "\xC2\xA0") << "U+00A0 is no control character";
  std::string longest;
  for (int i = 0; i < 128; ++i) longest += "\xF0\x9F\x90\xA6";
  EXPECT_EQ(*script_name(longest), longest);
  EXPECT_TRUE(script_name(longest + "x").has_error());
  for (const auto& bad :
       {""s, "a\tb"s, "a\0b"s, "\x7F"s, "\xC2\x85"s, "\xE2\x80\xA8"s, "x\xE2\x80\xA9"s, "\xC3"s, "\xFF"s})
    EXPECT_TRUE(script_name(bad).has_error()) << bad;
}

TEST(ManageSieveCommand, LiteralsAreAnnounced) {
  EXPECT_EQ(**announced_literal("PUTSCRIPT \"a\" {17+}"), 17u);
  EXPECT_EQ(**announced_literal("{0+}"), 0u);
  for (const char* none : {"", "NOOP", "NOOP \"{3+}\"", "NOOP {3+} ", "x}", "{+}", "{a+}", "{-1+}"})
    EXPECT_FALSE(*announced_literal(none)) << none;
  for (const char* bad : {"NOOP {3}", "{4294967296+}", "{007+}"})
    EXPECT_TRUE(announced_literal(bad).has_error()) << bad;
}

}  // namespace
}  // namespace merpati::managesieve
