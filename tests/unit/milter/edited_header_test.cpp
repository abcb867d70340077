#include "merpati/milter/edited_header.hpp"

#include <gtest/gtest.h>

namespace merpati::milter {
namespace {

using Space = EditedHeader::Space;

constexpr const char* kHeader = "A: 1\r\nB: 2\r\n\tfolded\r\nA: 3\r\n\r\n";

TEST(EditedHeader, StaysAsItCame) {
  for (const char* block : {kHeader, "", "\r\n", "A: 1\r\n", "no field\r\nA: 1\r\n\r\n"}) {
    const EditedHeader header(block);
    EXPECT_EQ(header.str(), block);
    EXPECT_EQ(header.size(), header.str().size());
    EXPECT_FALSE(header.changed());
  }
}

TEST(EditedHeader, ValuesAreWhatStandsBehindTheColon) {
  const EditedHeader header(kHeader);
  EXPECT_EQ(header.fields().at(1).value(), " 2\r\n\tfolded");
  EXPECT_EQ(header.fields().at(2).value(), " 3");
}

TEST(EditedHeader, FieldsAreAddedAtTheEndAndInsertedByPlace) {
  EditedHeader header(kHeader);
  header.add("C", "4", Space::kOurs);
  header.insert(0, "Top", " 5", Space::kTheirs);
  header.insert(2, "Third", "6", Space::kOurs);
  header.insert(99, "Last", "7", Space::kOurs);
  EXPECT_EQ(header.str(), "Top: 5\r\nA: 1\r\nThird: 6\r\nB: 2\r\n\tfolded\r\nA: 3\r\nC: 4\r\nLast: 7\r\n\r\n");
  EXPECT_EQ(header.size(), header.str().size());
}

TEST(EditedHeader, ChangesTheNthOfAName) {
  EditedHeader header(kHeader);
  header.change(2, "a", "new", Space::kOurs);
  header.change(1, "b", "", Space::kOurs);
  EXPECT_EQ(header.str(), "A: 1\r\na: new\r\n\r\n");
  header.change(3, "A", "", Space::kOurs);
  EXPECT_EQ(header.str(), "A: 1\r\na: new\r\n\r\n") << "there is no third";
  header.change(3, "A", "third", Space::kOurs);
  EXPECT_EQ(header.str(), "A: 1\r\na: new\r\nA: third\r\n\r\n") << "as Sendmail and Postfix";
}

TEST(EditedHeader, WhatWasDeletedIsStillCounted) {
  EditedHeader header("A: 1\r\nA: 2\r\nA: 3\r\n\r\n");
  header.change(1, "A", "", Space::kOurs);
  header.change(2, "A", "", Space::kOurs);
  EXPECT_EQ(header.str(), "A: 3\r\n\r\n");
  header.insert(1, "B", "x", Space::kOurs);
  EXPECT_EQ(header.str(), "A: 3\r\nB: x\r\n\r\n");
}

TEST(EditedHeader, DropsWhatMilterShallNotSee) {
  EditedHeader header("R: 1\r\nA: x\r\nr: 2\r\nR: 3\r\n\r\n");
  header.drop("R", {1, 3});
  EXPECT_TRUE(header.changed());
  EXPECT_EQ(header.str(), "A: x\r\nr: 2\r\n\r\n");
}

TEST(EditedHeader, AFieldWithoutLineEndGetsOne) {
  EditedHeader header("A: 1");
  header.add("B", "2", Space::kOurs);
  EXPECT_EQ(header.str(), "A: 1\r\nB: 2\r\n");
}

}  // namespace
}  // namespace merpati::milter
