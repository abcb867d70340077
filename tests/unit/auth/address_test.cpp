#include "auth/address.hpp"

#include <gtest/gtest.h>

namespace merpati::auth {
namespace {

std::string normal(std::string_view text) {
  const auto parsed = parse_address(text);
  return parsed ? parsed->text() : "refused";
}

TEST(Address, OneFormForWhatIsTheSame) {
  EXPECT_EQ(normal("Alice@Example.TEST"), "alice@example.test");
  EXPECT_EQ(normal("alice@example.test."), "alice@example.test");
  EXPECT_EQ(normal("\"alice\"@example.test"), "alice@example.test");
  EXPECT_EQ(normal("\"a b\\\"c\"@example.test"), "a b\"c@example.test");
  EXPECT_EQ(normal("\"a@b\"@example.test"), "a@b@example.test");
  EXPECT_EQ(normal("J\xC3\x9CRGEN@b\xC3\xBC"
                   "cher.example"),
            "j\xC3\xBCrgen@xn--bcher-kva.example");
  EXPECT_EQ(normal("ju\xCC\x88rgen@B\xC3\x9C"
                   "CHER.example"),
            "j\xC3\xBCrgen@xn--bcher-kva.example");         // decomposed
  EXPECT_EQ(normal("a@fa\xC3\x9F.de"), "a@xn--fa-hia.de");  // non-transitional
}

TEST(Address, RefusesWhatIsNone) {
  for (const std::string text : {"", "alice", "@example.test", "alice@", "alice@exa mple.test", "alice@-x.test",
                                 "a\nb@x.test", "\"a@x.test", "alice@..test", "\xff@x.test"})
    EXPECT_EQ(normal(text), "refused") << text;
  EXPECT_EQ(normal(std::string(65, 'a') + "@x.test"), "refused");
  EXPECT_EQ(normal("a@" + std::string(64, 'a') + ".test"), "refused");
}

TEST(Address, Subaddresses) {
  EXPECT_EQ(split_subaddress("user+a+b", "+")->user, "user");
  EXPECT_EQ(split_subaddress("user+a+b", "+")->detail, "a+b");
  EXPECT_EQ(split_subaddress("user--x", "--")->detail, "x");
  EXPECT_FALSE(split_subaddress("user", "+"));
  EXPECT_FALSE(split_subaddress("+x", "+"));
  EXPECT_FALSE(split_subaddress("user+x", ""));
}

TEST(Address, DomainsForPeople) {
  EXPECT_EQ(unicode_domain("xn--bcher-kva.example"),
            "b\xC3\xBC"
            "cher.example");
  EXPECT_EQ(unicode_domain("example.test"), "example.test");
}

TEST(Password, Preparation) {
  EXPECT_EQ(prepare_password("a\xC2\xA0"
                             "b")
                .value(),
            "a b");                                              // NO-BREAK SPACE
  EXPECT_EQ(prepare_password("u\xCC\x88").value(), "\xC3\xBC");  // composed
  EXPECT_EQ(prepare_password("CaSe").value(), "CaSe");
  EXPECT_TRUE(prepare_password("").has_error());
  EXPECT_TRUE(prepare_password("a\nb").has_error());
  EXPECT_TRUE(prepare_password("\xff").has_error());
}

}  // namespace
}  // namespace merpati::auth
