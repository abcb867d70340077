#include <gtest/gtest.h>

#include "merpati/mime/address.hpp"
#include "merpati/mime/content_type.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/header_edit.hpp"
#include "merpati/mime/message_id.hpp"
#include "merpati/mime/subject.hpp"

namespace merpati::mime {
namespace {

TEST(Header, FieldsCoverTheBlock) {
  const std::string block = "A: 1\r\n  folded\r\nno field\r\nB :2\n\tx\r\nFrom me at 10:00\r\n\r\nbody: no\r\n";
  FieldReader reader(block);
  std::string joined;
  std::vector<std::string> names;
  for (Field field; reader.next(field);) {
    joined += field.raw;
    names.emplace_back(field.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"A", "", "B", ""}));
  EXPECT_EQ(joined + "\r\nbody: no\r\n", block);
  EXPECT_EQ(unfold(find_field(block, "a")->value), "1  folded");
  EXPECT_EQ(unfold(find_field(block, "b")->value), "2 x");
  EXPECT_EQ(header_block_size(block), block.find("body"));
}

TEST(Header, EditsLeaveTheRestAlone) {
  const std::string block = "A: 1\r\nX-B: 2\r\n folded\r\njunk\r\na : 3\r\nA: 4\r\n\r\n";
  using Kind = HeaderEdit::Kind;
  const HeaderEdit edits[] = {
      {Kind::kDelete, "a", 1, ""}, {Kind::kReplace, "A", 3, "new"}, {Kind::kDelete, "x-b", 0, ""}};
  EXPECT_EQ(edit_header_block(block, edits), "junk\r\na : 3\r\nA: new\r\n\r\n");
  EXPECT_EQ(edit_header_block(block, {}), block);
}

std::string show(std::string_view value) {
  std::string out;
  for (const Address& a : parse_addresses(value)) {
    switch (a.kind) {
      case Address::Kind::kGroupStart:
        out += "{" + a.name + ":";
        break;
      case Address::Kind::kGroupEnd:
        out += "}";
        break;
      case Address::Kind::kMailbox:
        out += "[" + a.name + (a.route.empty() ? "" : "|" + a.route) + "|" + a.mailbox + "|" + a.host + "]";
    }
  }
  return out;
}

TEST(Address, TableOfForms) {
  const std::pair<const char*, const char*> kTable[] = {
      {"a@b.c", "[|a|b.c]"},
      {"<a@b>", "[|a|b]"},
      {"Joe Q. Public <john.q@x.test>", "[Joe Q. Public|john.q|x.test]"},
      {"\"Joe, Q\" <a@b>, c@d", "[Joe, Q|a|b][|c|d]"},
      {"a@b (The  Name)", "[The  Name|a|b]"},
      {"<a@b> (Late)", "[Late|a|b]"},
      {"undisclosed-recipients:;", "{undisclosed-recipients:}"},
      {"A Group:Ed <e@x>,joe@y;, z@w", "{A Group:[Ed|e|x][|joe|y]}[|z|w]"},
      {"open: a@b, c@d", "{open:[|a|b][|c|d]}"},
      {"<@r1,@r2:a@b>", "[|@r1,@r2|a|b]"},
      {"\"john doe\"@x", "[|john doe|x]"},
      {"a . b @ c . d", "[|a.b|c.d]"},
      {"a (x (nested) y) @b", "[|a|b]"},
      {"a@[127.0.0.1]", "[|a|[127.0.0.1]]"},
      {"Pete(A \\) chap) <pete(his)@silly(host).test>", "[Pete|pete|silly.test]"},
      {"", ""},
      {",,;,", ""},
      {"just words, word", "[just words||][|word|]"},
      {"a@b c@d", "[|a|b][|c|d]"},
      {"\"unterminated <a@b>", "[unterminated <a@b>||]"},
      {"Name <a@b", "[Name|a|b]"},
      {"J\xC3\xBCrgen <j@x>", "[J\xC3\xBCrgen|j|x]"},
      {"<>", ""},
      {"a@b@c", "[|a|b][|c|]"},
  };
  for (const auto& [value, want] : kTable) EXPECT_EQ(show(value), want) << value;
}

TEST(Address, SpecIsQuotedWhereNeeded) {
  EXPECT_EQ(to_addr_spec(parse_addresses("\"john doe\"@x")[0]), "\"john doe\"@x");
  EXPECT_EQ(to_addr_spec(parse_addresses("a.b@x")[0]), "a.b@x");
}

TEST(Date, TableOfForms) {
  const std::pair<const char*, std::int64_t> kTable[] = {
      {"Mon, 23 Nov 2026 09:26:36 +0000", 1795425996},
      {"23 Nov 2026 09:26 GMT", 1795425960},
      {"Mon, 23 Nov 26 04:26:36 EST", 1795425996},
      {"Mon,23 Nov 2026 10:26:36 +0100 (CET)", 1795425996},
      {"Mon, 23 Nov (comment) 2026 09:26:36 Z", 1795425996},
      {"Fri, 21 Nov 97 09(comment):   55  :  06 -0600", 880127706},
      {"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
       -27723480},
      {"Mon Nov 23 09:26:36 2026", 1795425996},
      {"1-Jan-1970 00:00:01", 1},
      {"Tue, 29 Feb 2000 00:00:00 -0000", 951782400},
  };
  for (const auto& [value, want] : kTable) {
    const auto date = parse_date(value);
    ASSERT_TRUE(date) << value;
    EXPECT_EQ(date->unix_seconds, want) << value;
  }
  for (const char* value :
       {"", "yesterday", "32 Nov 2026 09:00:00", "Mon, 23 Foo 2026 09:00:00", "1 Jan", "1 Jan 2026 25:00"}) {
    EXPECT_FALSE(parse_date(value)) << value;
  }
  EXPECT_EQ(format_date({1795425996, -210}), "Mon, 23 Nov 2026 05:56:36 -0330");
  EXPECT_EQ(parse_date(format_date({-27723480, -210})), (Date{-27723480, -210}));
  EXPECT_EQ(parse_date("1 Jan 2026 00:30:00 +0100")->local_day(), 20454);
}

TEST(MessageId, Lists) {
  EXPECT_EQ(parse_message_ids("<a@b>\r\n <c@d> junk <a@b>"), (std::vector<std::string>{"<a@b>", "<c@d>"}));
  EXPECT_EQ(parse_message_ids("<\"a\"@b> (<c@c>) < d @e >"), (std::vector<std::string>{"<a@b>", "<d@e>"}));
  EXPECT_TRUE(parse_message_ids("your mail of Monday <>").empty());
}

TEST(ContentType, ParametersOfRfc2231) {
  auto type = parse_content_type(
      "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
      " title*2=\"isn't it!\"");
  ASSERT_TRUE(type);
  EXPECT_EQ(*decoded_parameter(type->parameters, "title"), "This is even more ***fun*** isn't it!");
  type = parse_content_type("message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/x\"");
  EXPECT_EQ(*find_parameter(type->parameters, "url"), "ftp://cs.utk.edu/x");
  type = parse_content_type("TEXT/Plain (comment); Charset = \"UTF-8\" ; name=a/b?.txt; junk; x=\"a\\\"b\"");
  EXPECT_EQ(type->type + "/" + type->subtype, "text/plain");
  EXPECT_EQ(type->parameters, (Parameters{{"charset", "UTF-8"}, {"name", "a/b?.txt"}, {"x", "a\"b"}}));
  EXPECT_EQ(*decoded_parameter(parse_content_type("a/b; name=\"=?utf-8?q?=C3=A4?=\"")->parameters, "name"), "\xC3\xA4");
  EXPECT_FALSE(parse_content_type("text"));
  EXPECT_FALSE(parse_content_type(""));
}

TEST(Subject, BaseSubjectOfRfc5256) {
  const std::tuple<const char*, const char*, bool> kTable[] = {
      {"hello", "hello", false},
      {"Re: hello", "hello", true},
      {"RE [x] : Fwd: fw[2]: hello (fwd) ", "hello", true},
      {"[list] hello", "hello", false},
      {"[list] Re: [other] hello", "hello", true},
      {"[only]", "[only]", false},
      {"[Fwd: hello]", "hello", true},
      {"  many\t spaces ", "many spaces", false},
      {"=?utf-8?q?Re=3A_gr=C3=BC=C3=9Fe?=",
       "gr\xC3\xBC\xC3\x9F"
       "e",
       true},
      {"Re:", "", true},
      {"regards", "regards", false},
  };
  for (const auto& [value, want, reply] : kTable) {
    const BaseSubject base = base_subject(value);
    EXPECT_EQ(base.text, want) << value;
    EXPECT_EQ(base.is_reply_or_forward, reply) << value;
  }
}

}  // namespace
}  // namespace merpati::mime
