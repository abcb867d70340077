#include "merpati/smtp/address.hpp"

#include <gtest/gtest.h>

namespace merpati::smtp {
namespace {

TEST(Address, TakesWhatRfc5321Allows) {
  for (const auto* good :
       {"alice@example.test", "a.b+c@example.test", "\"a b\"@example.test", "x@[192.0.2.1]", "x@[IPv6:2001:db8::1]",
        "x@[ipV6:::1]", "!#$%&'*+-/=?^_`{|}~@a.test", "a@b", "\"\"@a.test", "a@xn--bcher-kva.test"})
    EXPECT_TRUE(parse_address(good, Utf8::kNo)) << good;
  EXPECT_EQ(parse_address("\"a\\\"b\"@x.test", Utf8::kNo)->local, "a\"b");
}

TEST(Address, RefusesWhatItForbids) {
  for (const std::string bad : {"",
                                "@",
                                "a@",
                                "@b",
                                "a",
                                ".a@b.test",
                                "a.@b.test",
                                "a..b@c.test",
                                "a b@c.test",
                                "a@b..test",
                                "a@-b.test",
                                "a@b-.test",
                                "a@b.test.",
                                "a@[300.0.0.1]",
                                "a@[192.0.2.1",
                                "a@[2001:db8::1]",
                                "a@[IPv6:fe80::1%eth0]",
                                "a@[IPv6:fe80::1%<>]",
                                "a@b c",
                                "\"a@b.test",
                                "a\r@b.test",
                                "p\xc3\xa4ul@b.test",
                                "a@b\xc3\xa4.test",
                                "a@b@c"})
    EXPECT_FALSE(parse_address(bad, Utf8::kNo)) << bad;
  EXPECT_FALSE(parse_address(std::string(65, 'a') + "@b.test", Utf8::kNo));
  EXPECT_TRUE(parse_address(std::string(64, 'a') + "@b.test", Utf8::kNo));
  EXPECT_FALSE(parse_address("p\xc3@b.test", Utf8::kYes)) << "not UTF-8";
  EXPECT_FALSE(parse_address("p\xed\xa0\x80@b.test", Utf8::kYes)) << "a surrogate";
}

TEST(Address, PrintsQuotedOnlyWhereItMust) {
  EXPECT_EQ((Address{"a.b", "c.test"}.str()), "a.b@c.test");
  EXPECT_EQ((Address{"a b", "c.test"}.str()), "\"a b\"@c.test");
  EXPECT_EQ((Address{"a..b\"", "c.test"}.str()), "\"a..b\\\"\"@c.test");
  EXPECT_EQ((Address{"p\xc3\xa4ul", "c.test"}.str()), "p\xc3\xa4ul@c.test");
  EXPECT_TRUE((Address{"p\xc3\xa4ul", "c.test"}.needs_utf8()));
}

TEST(Path, DropsSourceRoutesAndKnowsNullAndPostmaster) {
  const auto routed = parse_path("<@one.test,@two.test:joe@three.test> SIZE=1", Utf8::kNo);
  ASSERT_TRUE(routed);
  EXPECT_EQ(routed->address->str(), "joe@three.test");
  EXPECT_EQ(routed->length, 36U);
  EXPECT_FALSE(parse_path("<>", Utf8::kNo)->address);
  EXPECT_EQ(parse_path("<PostMaster>", Utf8::kNo)->address->str(), "PostMaster");
  for (const auto* bad :
       {"", "<", "<a@b.test", "a@b.test>", "a@b.test", "<a>", "<@one.test:>", "<@one.test>", "< a@b.test>"})
    EXPECT_FALSE(parse_path(bad, Utf8::kNo)) << bad;
}

}  // namespace
}  // namespace merpati::smtp
