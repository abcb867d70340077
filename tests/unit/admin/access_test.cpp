#include "admin/access.hpp"

#include <gtest/gtest.h>

namespace merpati::admin {
namespace {

using Reach = Act::Reach;

Token token(Role role, std::string domain = {}) {
  Token out;
  out.name = "t";
  out.role = role;
  out.domain = std::move(domain);
  return out;
}

bool may(const Token& token, Reach reach, bool changes, std::vector<std::string> domains = {}) {
  Act act{"X", "", reach, changes, std::move(domains)};
  return check_access(token, act).has_value();
}

TEST(Access, AdminMayEverything) {
  for (const auto reach : {Reach::kPlatform, Reach::kDomain, Reach::kTokens})
    EXPECT_TRUE(may(token(Role::kAdmin), reach, true));
}

TEST(Access, ReadOnlyLooksAndChangesNothing) {
  EXPECT_TRUE(may(token(Role::kReadOnly), Reach::kPlatform, false));
  EXPECT_TRUE(may(token(Role::kReadOnly), Reach::kDomain, false, {"a.test"}));
  EXPECT_FALSE(may(token(Role::kReadOnly), Reach::kDomain, true, {"a.test"}));
  EXPECT_FALSE(may(token(Role::kReadOnly), Reach::kTokens, false));
}

TEST(Access, ADomainAdminStaysInItsDomain) {
  const auto keeper = token(Role::kDomainAdmin, "a.test");
  EXPECT_TRUE(may(keeper, Reach::kDomain, true, {"a.test"}));
  EXPECT_FALSE(may(keeper, Reach::kDomain, true, {"b.test"}));
  EXPECT_FALSE(may(keeper, Reach::kDomain, true, {"a.test", "b.test"})) << "one foreign address among many";
  EXPECT_FALSE(may(keeper, Reach::kDomain, true, {"sub.a.test"}));
  EXPECT_FALSE(may(keeper, Reach::kDomain, false, {})) << "nothing named is everything";
  EXPECT_FALSE(may(keeper, Reach::kPlatform, false));
  EXPECT_FALSE(may(token(Role::kDomainAdmin), Reach::kDomain, false, {""})) << "a token without a domain owns none";
}

TEST(Access, TheDomainIsWhatFollowsTheLastAt) {
  EXPECT_EQ(domain_of("Bob@Example.TEST"), "example.test");
  EXPECT_EQ(domain_of("\"a@b.test\"@c.test"), "c.test");
  EXPECT_EQ(domain_of("nobody"), "");
}

TEST(Access, ADomainIsTheSameHoweverItIsWritten) {
  const std::string same = "xn--bcher-kva.example";
  EXPECT_EQ(canonical_domain("b\xC3\xBC"
                             "cher.example"),
            same);
  EXPECT_EQ(canonical_domain("B\xC3\x9C"
                             "CHER.Example."),
            same);
  EXPECT_EQ(domain_of("u@XN--bcher-kva.example"), same);
  EXPECT_EQ(canonical_domain("no domain"), "no domain");
}

}  // namespace
}  // namespace merpati::admin
