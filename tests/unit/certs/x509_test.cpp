#include "certs/x509.hpp"

#include <gtest/gtest.h>

namespace merpati::certs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Time kNow{seconds(1'800'000'000)};

TEST(X509, ACertificateSaysWhatWasAskedFor) {
  const auto authority = make_authority(kNow, hours(1000)).value();
  const auto leaf = issue(authority, {"smtp", "spiffe://merpati/smtp", {"m-smtp", "m-smtp.mail.svc"}}, kNow, hours(30));
  ASSERT_TRUE(leaf.has_value()) << leaf.error().describe();
  const auto view = read_certificate(leaf->certificate).value();
  EXPECT_EQ(view.uris, std::set<std::string>{"spiffe://merpati/smtp"});
  EXPECT_EQ(view.dns_names, (std::set<std::string>{"m-smtp", "m-smtp.mail.svc"}));
  EXPECT_EQ(view.not_after, kNow + hours(30));
  EXPECT_LT(view.not_before, kNow) << "clocks of other nodes may be behind";
  EXPECT_TRUE(is_of(*leaf, authority.certificate));
}

TEST(X509, ItsLifeEndsWithItsAuthority) {
  const auto authority = make_authority(kNow, hours(10)).value();
  const auto leaf = issue(authority, {"smtp", "", {"a"}}, kNow, hours(30)).value();
  EXPECT_EQ(read_certificate(leaf.certificate)->not_after, kNow + hours(10));
}

TEST(X509, AnotherAuthorityOrAnotherKeyIsNoticed) {
  const auto one = make_authority(kNow, hours(10)).value();
  const auto two = make_authority(kNow, hours(10)).value();
  const auto leaf = issue(one, {"smtp", "", {"a"}}, kNow, hours(1)).value();
  const auto other = issue(one, {"smtp", "", {"a"}}, kNow, hours(1)).value();
  EXPECT_FALSE(is_of(leaf, two.certificate));
  EXPECT_FALSE(is_of({leaf.certificate, other.key}, one.certificate));
  EXPECT_FALSE(matches({leaf.certificate, ""}));
  EXPECT_FALSE(is_of({"", ""}, one.certificate));
  EXPECT_TRUE(read_certificate("nonsense").has_error());
}

}  // namespace
}  // namespace merpati::certs
