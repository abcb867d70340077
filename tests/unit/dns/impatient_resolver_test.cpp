#include "merpati/dns/impatient_resolver.hpp"

#include <gtest/gtest.h>

#include "support/loop.hpp"

namespace merpati::dns {
namespace {

// Answers, or waits for the whole deadline, which it remembers.
class FakeResolver : public Resolver {
 public:
  Task<Answer<Mx>> mx(std::string, Deadline) override { co_return Answer<Mx>(); }
  Task<Answer<IpAddress>> addresses(std::string, Deadline) override { co_return Answer<IpAddress>(); }
  Task<Answer<IpAddress>> addresses_of(Family, std::string, Deadline) override { co_return Answer<IpAddress>(); }
  Task<Answer<std::string>> names(IpAddress, Deadline) override { co_return Answer<std::string>(); }
  Task<Answer<std::string>> txt(std::string, Deadline deadline) override {
    last = deadline;
    Answer<std::string> answer;
    answer.status = up ? Status::kNoName : Status::kTemporary;
    co_return answer;
  }
  bool up = true;
  Deadline last;
};

TEST(ImpatientResolver, ASilentDnsGetsLittleTimeUntilItAnswers) {
  auto fake = std::make_shared<FakeResolver>();
  std::vector<bool> told;
  ImpatientResolver resolver(fake, {.silent_after = 3, .wait = std::chrono::milliseconds(100)},
                             [&](bool silent) { told.push_back(silent); });
  test::Loop loop;
  const auto ask = [&] { return loop.run(resolver.txt("a.test", Deadline::never())).value().status; };
  fake->up = false;
  ask();
  ask();
  fake->up = true;
  EXPECT_EQ(ask(), Status::kNoName);
  fake->up = false;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(resolver.silent()) << "only failures in a row count";
    ask();
    EXPECT_TRUE(fake->last.is_never());
  }
  EXPECT_TRUE(resolver.silent());
  ask();
  EXPECT_FALSE(fake->last.is_never());
  fake->up = true;
  EXPECT_EQ(ask(), Status::kNoName) << "whoever asks finds out that it is back";
  EXPECT_FALSE(resolver.silent());
  ask();
  EXPECT_TRUE(fake->last.is_never());
  EXPECT_EQ(told, (std::vector<bool>{true, false}));
}

}  // namespace
}  // namespace merpati::dns
