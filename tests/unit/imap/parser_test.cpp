#include "merpati/imap/parser.hpp"

#include <gtest/gtest.h>

#include "merpati/imap/format.hpp"

namespace merpati::imap {
namespace {

using Kind = SearchKey::Kind;

std::string reason(std::string_view text) {
  const auto command = parse_command(text);
  return command.has_value() ? "accepted" : command.error().public_text();
}

TEST(Parser, LoginWithEveryFormOfString) {
  for (const char* text :
       {"a1 LOGIN bob secret]", "a1 login \"bob\" \"secret]\"", "a1 LOGIN {3}\r\nbob {7+}\r\nsecret]"}) {
    const auto command = parse_command(text);
    ASSERT_TRUE(command.has_value()) << text;
    EXPECT_EQ(command->tag, "a1");
    EXPECT_EQ(command->get<LoginArguments>().user, "bob");
    EXPECT_EQ(command->get<LoginArguments>().password, "secret]");
  }
  EXPECT_EQ(parse_command("a LOGIN x \"a\\\"b\\\\\"")->get<LoginArguments>().password, "a\"b\\");
}

TEST(Parser, RefusesWhatTheGrammarRefuses) {
  EXPECT_EQ(reason(""), "Missing tag");
  EXPECT_EQ(reason("+ NOOP"), "Missing tag");
  EXPECT_EQ(reason("a"), "Missing argument or space");
  EXPECT_EQ(reason("a FROB"), "Unknown command");
  EXPECT_EQ(reason("a NOOP x"), "Unexpected text after the command");
  EXPECT_EQ(reason("a UID NOOP"), "This command has no UID form");
  EXPECT_EQ(reason("a LOGIN bob"), "Missing argument or space");
  EXPECT_EQ(reason("a LOGIN bob \"x"), "A quoted string does not end");
  EXPECT_EQ(reason("a FETCH 0 FLAGS"), "Expected a number above zero");
  EXPECT_EQ(reason("a FETCH 1 BODY[MIME]"), "MIME needs a part number");
  EXPECT_EQ(reason("a FETCH 1 BODY[1.]"), "The section ends with a dot");
  EXPECT_EQ(reason("a FETCH 1 BODY[]<0.0>"), "A partial range of length zero");
  EXPECT_EQ(reason("a FETCH 1 BINARY[1.TEXT]"), "Bad section");
  EXPECT_EQ(reason("a FETCH 4294967296 FLAGS"), "Number is too large");
}

TEST(Parser, FetchItemsAndTheirLabels) {
  const auto command = parse_command(
      "A654 UID FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE \"From\")] BODY.PEEK[4.2.TEXT]<0.2048> BINARY.SIZE[1] "
      "RFC822.HEADER)");
  ASSERT_TRUE(command.has_value());
  EXPECT_TRUE(command->uid);
  const auto& items = command->get<FetchArguments>().items;
  ASSERT_EQ(items.size(), 5U);
  EXPECT_EQ(items[1].label, "BODY[HEADER.FIELDS (DATE From)]");
  EXPECT_FALSE(items[1].peek);
  EXPECT_EQ(items[2].label, "BODY[4.2.TEXT]<0>");
  EXPECT_TRUE(items[2].peek);
  EXPECT_EQ(items[2].section.part, (std::vector<std::uint32_t>{4, 2}));
  EXPECT_EQ(items[2].partial->length, 2048U);
  EXPECT_EQ(items[3].label, "BINARY.SIZE[1]");
  EXPECT_TRUE(items[4].peek);  // RFC 3501 6.4.5: RFC822.HEADER does not set \Seen
  EXPECT_EQ(parse_command("a FETCH 1 FULL")->get<FetchArguments>().items.size(), 5U);
  EXPECT_EQ(*parse_command("s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)")->get<FetchArguments>().changed_since,
            12345U);
}

TEST(Parser, StoreForms) {
  const auto add = parse_command("d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted $Junk)")
                       ->get<StoreArguments>();
  EXPECT_EQ(add.mode, StoreArguments::Mode::kAdd);
  EXPECT_TRUE(add.silent);
  EXPECT_EQ(*add.unchanged_since, 320162338U);
  EXPECT_EQ(add.flags, (std::vector<std::string>{"\\Deleted", "$Junk"}));
  const auto replace = parse_command("a STORE 1:* FLAGS \\Seen \\Draft")->get<StoreArguments>();
  EXPECT_EQ(replace.mode, StoreArguments::Mode::kReplace);
  EXPECT_EQ(replace.flags.size(), 2U);
  EXPECT_TRUE(parse_command("a STORE 1 FLAGS ()")->get<StoreArguments>().flags.empty());
}

TEST(Parser, SearchProgram) {
  const auto command = parse_command(
      "A283 SEARCH RETURN (MIN COUNT) CHARSET utf-8 OR (FLAGGED NEW) UNSEEN SINCE 1-Feb-1994 NOT FROM \"Smith\" 2,4:* "
      "MODSEQ 7");
  ASSERT_TRUE(command.has_value());
  const auto& search = command->get<SearchArguments>();
  EXPECT_TRUE(search.return_min && search.return_count && !search.return_all);
  EXPECT_EQ(search.charset, "UTF-8");
  EXPECT_TRUE(search.uses_modseq);
  const auto& keys = search.key.children;
  ASSERT_EQ(keys.size(), 5U);
  EXPECT_EQ(keys[0].kind, Kind::kOr);
  EXPECT_EQ(keys[0].children[0].kind, Kind::kAnd);
  EXPECT_EQ(keys[0].children[1].kind, Kind::kNot);
  EXPECT_EQ(keys[1].number, 8797U);  // days to 1994-02-01
  EXPECT_EQ(keys[2].children[0].name, "From");
  EXPECT_EQ(format_ranges(keys[3].set.resolve(9)), "2,4:9");
  EXPECT_EQ(keys[4].number, 7U);
}

TEST(Parser, SearchIsBounded) {
  EXPECT_EQ(reason("a SEARCH " + std::string(60, '(') + "ALL" + std::string(60, ')')),
            "The search is nested too deeply");
  std::string many = "a SEARCH ALL";
  for (int i = 0; i < 3000; ++i) many += " ALL";
  EXPECT_EQ(reason(many), "The search has too many keys");
  EXPECT_EQ(reason("a SEARCH FROM"), "Missing argument or space");
  EXPECT_EQ(reason("a SEARCH BEFORE 31-Foo-2020"), "Bad date");
}

TEST(Parser, ExtendedList) {
  const auto list =
      parse_command(
          "A04 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" a/%) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))")
          ->get<ListArguments>();
  EXPECT_TRUE(list.extended && list.select_subscribed && list.select_recursive_match && list.return_children);
  EXPECT_EQ(list.patterns, (std::vector<std::string>{"INBOX", "a/%"}));
  EXPECT_EQ(list.return_status.size(), 2U);
  EXPECT_FALSE(parse_command("a LIST \"\" *")->get<ListArguments>().extended);
  EXPECT_EQ(reason("a LIST (RECURSIVEMATCH) \"\" *"), "RECURSIVEMATCH stands alone");
}

TEST(Parser, LiteralsAreAnnouncedAtTheEndOfALine) {
  const auto plain = *announced_literal("a LOGIN {12}");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->size, 12U);
  EXPECT_TRUE(plain->synchronizing);
  const auto eight = *announced_literal("a APPEND x ~{5+}");
  EXPECT_TRUE(eight->binary && !eight->synchronizing);
  EXPECT_FALSE(announced_literal("a LOGIN 12}")->has_value());
  EXPECT_FALSE(announced_literal("a LOGIN {}")->has_value());
  EXPECT_TRUE(announced_literal("a LOGIN {99999999999999999999}").has_error());
}

TEST(Parser, AppendMessageIsToldFromItsName) {
  EXPECT_FALSE(announces_append_message("a APPEND {5}"));
  EXPECT_TRUE(announces_append_message("a APPEND {5}\r\nDraft {300+}"));
  EXPECT_FALSE(announces_append_message("a LOGIN {5}"));
  const auto head = parse_append_head("A003 APPEND saved-messages (\\Seen $x) \" 7-Feb-1994 21:52:25 -0800\" {326}")
                        ->get<AppendArguments>();
  EXPECT_EQ(head.mailbox, "saved-messages");
  EXPECT_EQ(head.size, 326U);
  EXPECT_TRUE(head.synchronizing);
  EXPECT_EQ(head.date->seconds, 760686745);
  EXPECT_EQ(head.date->zone_minutes, -480);
}

TEST(Parser, IdAuthenticateEnableCreate) {
  EXPECT_EQ(parse_command("a ID (\"name\" \"x\" \"v\" NIL)")->get<IdArguments>().fields.size(), 2U);
  EXPECT_TRUE(parse_command("a ID NIL")->get<IdArguments>().fields.empty());
  const auto sasl = parse_command("a AUTHENTICATE plain AGEAYg==")->get<AuthenticateArguments>();
  EXPECT_EQ(sasl.mechanism, "PLAIN");
  EXPECT_EQ(*sasl.initial_response, "AGEAYg==");
  EXPECT_FALSE(parse_command("a AUTHENTICATE SCRAM-SHA-256")->get<AuthenticateArguments>().initial_response);
  EXPECT_EQ(parse_command("a ENABLE imap4rev2 CONDSTORE")->get<EnableArguments>().capabilities[0], "IMAP4REV2");
  EXPECT_EQ(parse_command("a CREATE x (USE (\\Drafts))")->get<CreateArguments>().special_use[0], "\\Drafts");
  EXPECT_TRUE(parse_command("a SELECT x (CONDSTORE)")->get<SelectArguments>().condstore);
}

TEST(Parser, DateTime) {
  const auto parsed = parse_date_time("17-Jul-1996 02:44:25 -0700");
  ASSERT_TRUE(parsed);
  std::string out;
  append_date_time(out, parsed->seconds, parsed->zone_minutes);
  EXPECT_EQ(out, "\"17-Jul-1996 02:44:25 -0700\"");
  out.clear();
  append_date_time(out, parsed->seconds);
  EXPECT_EQ(out, "\"17-Jul-1996 09:44:25 +0000\"");
  EXPECT_FALSE(parse_date_time("17-Jul-1996 25:44:25 -0700"));
  EXPECT_FALSE(parse_date_time("1-Jul-1996 02:44:25 -0700"));
}

}  // namespace
}  // namespace merpati::imap
