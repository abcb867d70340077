#include <gtest/gtest.h>

#include "unit/sieve/world.hpp"

namespace merpati::sieve {
namespace {

std::string errors_of(std::string_view source) { return to_text(compile(source).errors); }

TEST(Compile, SaysWhereEachMistakeIs) {
  EXPECT_EQ(errors_of("keep;\nfoo;\n  fileinto \"x\";\nif header \"a\" { stop; }\n"),
            "2:1: there is no command named foo\n"
            "3:3: fileinto needs require \"fileinto\"\n"
            "4:4: header takes a string or a list of strings, then a string or a list of strings\n");
  EXPECT_EQ(errors_of("keep"), "1:5: after keep a ; or { is expected, not end of the script\n");
  EXPECT_EQ(errors_of("if true { keep;"), "1:9: this { has no } that closes it\n");
  EXPECT_EQ(errors_of("keep; }"), "1:7: this } closes nothing\n");
  EXPECT_EQ(errors_of("redirect \"a@b.c"),
            "1:1: redirect takes a string\n1:10: this string has no end: a closing \" is missing\n"
            "1:16: after redirect a ; or { is expected, not end of the script\n");
  EXPECT_EQ(errors_of("/* x\nkeep;"), "1:1: this comment has no end: */ is missing\n");
  EXPECT_EQ(errors_of("require \"nothing\";"), "1:9: the extension \"nothing\" is not known\n");
  EXPECT_EQ(errors_of("keep; require \"fileinto\";"), "1:7: require must stand before all other commands\n");
  EXPECT_EQ(errors_of("else { keep; }"), "1:1: else needs an if before it\n");
  EXPECT_EQ(errors_of("if size 10 { keep; }"), "1:4: size needs :over or :under\n");
  EXPECT_EQ(errors_of("if size :over 99999999999G { keep; }"),
            "1:15: this number is too large: at most 9223372036854775807\n");
  EXPECT_EQ(errors_of("if header :is :contains \"a\" \"b\" { }"),
            "1:15: :contains cannot stand beside another argument of its kind\n");
  EXPECT_EQ(errors_of("if header :comparator \"i;nothing\" \"a\" \"b\" { }"),
            "1:23: there is no comparator \"i;nothing\"\n");
  EXPECT_EQ(errors_of("if header \"a b\" \"b\" { }"), "1:11: \"a b\" is no name of a header field\n");
  EXPECT_EQ(errors_of("redirect \"nobody\";"), "1:10: \"nobody\" is no mail address\n");
  EXPECT_EQ(errors_of("require \"include\"; include 1;"), "1:28: a string is expected here\n");
  EXPECT_EQ(errors_of("keep \"x\";"), "1:6: keep takes no string, list or number\n");
  EXPECT_EQ(errors_of("# \xC3\xA4\xC3\xB6\n/* \xC3\xA4 */ foo;"), "2:9: there is no command named foo\n");
  EXPECT_EQ(errors_of("keep;\n\"\xFF\""), "2:1: this line is not UTF-8 text\n");
  EXPECT_EQ(errors_of("require \"regex\"; if header :regex \"a\" \"(\" { }"),
            "1:39: this regular expression is not understood: missing ): (\n");
  EXPECT_EQ(errors_of("require \"variables\"; set \"1x\" \"\"; set \"a\" \"${foo.bar}\";"),
            "1:26: \"1x\" is no name of a variable\n1:43: ${foo.bar}: the namespace foo is not known here\n");
}

TEST(Compile, HasLimits) {
  CompileLimits limits;
  limits.max_nesting = 5;
  std::string deep = "keep;";
  for (int i = 0; i < 6; ++i) deep = "if true { " + deep + " }";
  EXPECT_EQ(to_text(compile(deep, limits).errors), "1:51: blocks and tests are nested deeper than 5\n");
  std::string nots = "if ";
  for (int i = 0; i < 100'000; ++i) nots += "not ";
  EXPECT_EQ(to_text(compile(nots + "true { }").errors),
            "1:1: after if a block in { } is expected\n1:132: blocks and tests are nested deeper than 32\n");
  limits.max_nodes = 2;
  EXPECT_EQ(to_text(compile("keep; keep; keep;", limits).errors),
            "1:13: the script has more than 2 commands and tests\n");
  limits.max_size = 3;
  EXPECT_EQ(to_text(compile("keep;", limits).errors), "1:1: the script is larger than 3 octets\n");
  limits = {};
  limits.max_string = 3;
  EXPECT_EQ(to_text(compile("redirect \"a@bc\";", limits).errors), "1:10: this string is longer than 3 octets\n");
  EXPECT_EQ(compile(std::string(100'000, ';')).errors.size(), 100u);
  EXPECT_NE(to_text(compile("require \"regex\"; if header :regex \"a\" \"((a{100}){100}){100}\" {}").errors)
                .find("not understood"),
            std::string::npos);
}

}  // namespace
}  // namespace merpati::sieve
