#include "merpati/mailauth/srs.hpp"

#include <gtest/gtest.h>

namespace merpati::mailauth {
namespace {
const WallTime kNow{std::chrono::seconds(1'700'000'000)};

TEST(Srs, ThereAndBack) {
  const Srs srs("fwd.test", {"secret"});
  const auto made = srs.forward("joe@a.example", kNow).value();
  EXPECT_TRUE(made.starts_with("SRS0=")) << made;
  EXPECT_TRUE(made.ends_with("=a.example=joe@fwd.test")) << made;
  EXPECT_TRUE(srs.is_ours(made));
  EXPECT_EQ(srs.reverse(made, kNow).value(), "joe@a.example");
  EXPECT_EQ(srs.forward("", kNow).value(), "");
  EXPECT_EQ(srs.forward("x@FWD.test", kNow).value(), "x@FWD.test");
  EXPECT_FALSE(srs.forward("nobody", kNow).has_value());
  EXPECT_FALSE(srs.forward(std::string(60, 'a') + "@a.example", kNow).has_value());
  std::string lower = made;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  EXPECT_EQ(srs.reverse(lower, kNow).value(), "joe@a.example");  // relays may change case
}

TEST(Srs, ChainsOfForwarders) {
  const Srs first("one.test", {"1"}), second("two.test", {"2"}), third("three.test", {"3"});
  const auto a = first.forward("joe@a.example", kNow).value();
  const auto b = second.forward(a, kNow).value();
  const auto c = third.forward(b, kNow).value();
  EXPECT_TRUE(b.starts_with("SRS1=")) << b;
  EXPECT_TRUE(c.starts_with("SRS1=")) << c;
  EXPECT_EQ(third.reverse(c, kNow).value(), a);  // straight to the first, who knows the author
  EXPECT_EQ(second.reverse(b, kNow).value(), a);
  EXPECT_EQ(first.reverse(a, kNow).value(), "joe@a.example");
}

TEST(Srs, ForgedAndOldOnesAreRefused) {
  const Srs srs("fwd.test", {"secret"});
  auto made = srs.forward("joe@a.example", kNow).value();
  EXPECT_EQ(srs.reverse(made, kNow + std::chrono::days(22)).error().code(), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(srs.reverse(made, kNow + std::chrono::days(21)).has_value());
  EXPECT_EQ(Srs("fwd.test", {"other"}).reverse(made, kNow).error().code(), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(Srs("fwd.test", {"new", "secret"}).reverse(made, kNow).has_value());  // a rotated secret
  made.replace(made.find("joe"), 3, "jim");
  EXPECT_EQ(srs.reverse(made, kNow).error().code(), ErrorCode::kPermissionDenied);
  for (const char* bad :
       {"SRS0=x@fwd.test", "SRS0=@fwd.test", "joe@fwd.test", "SRS0=a=b=c=d@other.test", "SRS1=a=b@fwd.test"}) {
    EXPECT_FALSE(srs.reverse(bad, kNow).has_value()) << bad;
  }
}
}  // namespace
}  // namespace merpati::mailauth
