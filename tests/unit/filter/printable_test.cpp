#include "filter/printable.hpp"

#include <gtest/gtest.h>

namespace merpati::filter {
namespace {

TEST(Printable, IsOneLineOfUtf8) {
  EXPECT_EQ(printable("plain \u00FC", 100), "plain \u00FC");
  EXPECT_EQ(printable("a\r\nb\x1B[2J\x7F", 100), "a??b?[2J?");
  EXPECT_EQ(printable("latin \xFC", 100), "latin ?");
  EXPECT_EQ(printable("x\u202Efdp.exe\u2069", 100), "x?fdp.exe?");
  EXPECT_EQ(printable("\u20AC\u20AC", 100), "\u20AC\u20AC");
}

TEST(Printable, IsCutBetweenCharacters) {
  EXPECT_EQ(printable("ab\u00FC", 3), "ab");
  EXPECT_EQ(printable("\u00FCab", 3, Keep::kEnd), "ab");
  EXPECT_EQ(printable("\u00FCab", 4, Keep::kEnd), "\u00FCab");
  EXPECT_EQ(printable("\x80\x80\x80\x80", 2, Keep::kEnd), "");
}

}  // namespace
}  // namespace merpati::filter
