// What counts say of a message.
#include "merpati/bayes/classifier.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace merpati::bayes {
namespace {

const Counts kEnough{1000, 1000};

double spam(std::vector<Counts> tokens, Counts messages = kEnough) {
  const auto opinion = judge(tokens, messages);
  EXPECT_TRUE(opinion);
  return opinion ? opinion->spam : -1;
}

TEST(Classifier, SaysNothingBeforeEnoughWasLearnt) {
  const std::vector<Counts> tokens(20, Counts{100, 0});
  EXPECT_FALSE(judge(tokens, {199, 5000}));
  EXPECT_FALSE(judge(tokens, {5000, 199}));
  EXPECT_TRUE(judge(tokens, {200, 200}));
  EXPECT_FALSE(judge(tokens, {0, 0}, {.min_learnt = 0})) << "of nothing nothing is known";
}

TEST(Classifier, ATokenThatWasSeenSeldomSaysLittle) {
  const ClassifierSettings settings;
  EXPECT_EQ(token_probability({0, 0}, kEnough, settings), 0.5);
  EXPECT_NEAR(token_probability({1, 0}, kEnough, settings), (0.45 * 0.5 + 1) / 1.45, 1e-9);
  EXPECT_GT(token_probability({100, 0}, kEnough, settings), 0.99);
  EXPECT_LT(token_probability({0, 100}, kEnough, settings), 0.01);
  EXPECT_NEAR(token_probability({10, 100}, {100, 1000}, settings), 0.5, 1e-9) << "as often in each";
  EXPECT_GT(token_probability({-5, 3}, kEnough, settings), 0) << "counts that cannot be break nothing";
}

TEST(Classifier, CluesAddUp) {
  EXPECT_GT(spam(std::vector<Counts>(20, Counts{50, 0})), 0.99);
  EXPECT_LT(spam(std::vector<Counts>(20, Counts{0, 50})), 0.01);
  std::vector<Counts> both(20, Counts{50, 0});
  both.insert(both.end(), 20, Counts{0, 50});
  EXPECT_NEAR(spam(both), 0.5, 0.01) << "clues that disagree decide nothing";
  EXPECT_EQ(spam({}), 0.5);
  EXPECT_EQ(spam(std::vector<Counts>(500, Counts{50, 52})), 0.5) << "what says next to nothing is no clue";
}

TEST(Classifier, TheStrongestCluesCount) {
  std::vector<Counts> tokens(2000, Counts{10, 4});
  tokens.insert(tokens.end(), 150, Counts{0, 500});
  const auto opinion = judge(tokens, kEnough);
  ASSERT_TRUE(opinion);
  EXPECT_EQ(opinion->clues, 150U);
  EXPECT_LT(opinion->spam, 0.01);
}

TEST(Classifier, AnyCountsGiveAProbability) {
  for (const Counts messages : {Counts{200, 1'000'000'000}, Counts{1'000'000'000, 200}, kEnough}) {
    for (const Counts token : {Counts{1'000'000'000, 0}, Counts{0, 1'000'000'000}, Counts{1, 1}, Counts{-1, -1}}) {
      const double value = spam(std::vector<Counts>(1000, token), messages);
      EXPECT_TRUE(std::isfinite(value) && value >= 0 && value <= 1) << value;
    }
  }
}

}  // namespace
}  // namespace merpati::bayes
