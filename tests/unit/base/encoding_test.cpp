#include "merpati/base/encoding.hpp"

#include <gtest/gtest.h>

#include "merpati/base/ids.hpp"

namespace merpati {
namespace {

TEST(Encoding, Sha256OfAbcIsTheStandardsExample) {
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update("a");
  pieces.update("bc");
  EXPECT_EQ(pieces.finish(), sha256("abc"));
}

TEST(Encoding, HmacMatchesRfc4231Case2) {
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Encoding, Base64IsStrict) {
  EXPECT_EQ(to_base64("foob"), "Zm9vYg==");
  EXPECT_EQ(from_base64("Zm9vYg=="), "foob");
  EXPECT_FALSE(from_base64("Zm9vYg"));
  EXPECT_FALSE(from_base64("Zm9v Yg=="));
  EXPECT_EQ(from_base64(""), "");
}

TEST(Encoding, HexRejectsOddAndForeignDigits) {
  EXPECT_EQ(from_hex("00fF"), std::string("\0\xff", 2));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Ids, UuidsAreVersion7AndDiffer) {
  const auto one = new_uuid(), two = new_uuid();
  EXPECT_NE(one, two);
  ASSERT_EQ(one.size(), 36U);
  EXPECT_EQ(one[14], '7');
  EXPECT_EQ(one[23], '-');
  EXPECT_LE(one.substr(0, 13), two.substr(0, 13));  // the time comes first
  EXPECT_GT(one.substr(0, 8), "0190a000");          // and is of today: after July 2024
}

TEST(Ids, ADerivedUuidIsOfVersion8AndAlwaysTheSame) {
  EXPECT_EQ(derived_uuid("abc"), "ba7816bf-8f01-8fea-8141-40de5dae2223");
  EXPECT_TRUE(is_uuid(derived_uuid("")));
}

}  // namespace
}  // namespace merpati
