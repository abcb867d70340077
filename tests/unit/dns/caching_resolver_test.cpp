#include "merpati/dns/caching_resolver.hpp"

#include <gtest/gtest.h>

#include "support/loop.hpp"

namespace merpati::dns {
namespace {

class FakeClock : public Clock {
 public:
  SteadyTime steady() const override { return now; }
  WallTime wall() const override { return {}; }
  SteadyTime now{std::chrono::hours(1)};
};

// Counts, and answers everything with one record.
class FakeResolver : public Resolver {
 public:
  Task<Answer<Mx>> mx(std::string name, Deadline) override { co_return answer(Mx{1, std::move(name)}); }
  Task<Answer<IpAddress>> addresses(std::string, Deadline) override { co_return answer(IpAddress()); }
  Task<Answer<IpAddress>> addresses_of(Family, std::string, Deadline) override { co_return answer(IpAddress()); }
  Task<Answer<std::string>> names(IpAddress, Deadline) override { co_return answer(std::string("name")); }
  Task<Answer<std::string>> txt(std::string, Deadline) override { co_return answer(text); }

  template <class T>
  Answer<T> answer(T record) {
    ++asked;
    Answer<T> out;
    out.status = status;
    out.ttl = ttl;
    if (status == Status::kFound) out.records.push_back(std::move(record));
    return out;
  }
  int asked = 0;
  Status status = Status::kFound;
  std::chrono::seconds ttl{100};
  std::string text = "text";
};

class CachingResolverTest : public ::testing::Test {
 protected:
  CachingResolverTest() {
    options_.clock = &clock_;
    make();
  }
  void make() { resolver_ = std::make_unique<CachingResolver>(inner_, options_); }
  Answer<std::string> txt(const std::string& name) {
    return loop_.run(resolver_->txt(name, Deadline::never())).value();
  }

  FakeClock clock_;
  CacheOptions options_;
  std::shared_ptr<FakeResolver> inner_ = std::make_shared<FakeResolver>();
  std::unique_ptr<CachingResolver> resolver_;
  test::Loop loop_;
};

TEST_F(CachingResolverTest, AnAnswerIsGoodForItsTtl) {
  txt("a.test");
  clock_.now += std::chrono::seconds(60);
  const auto again = txt("A.Test.");
  EXPECT_EQ(again.records, std::vector<std::string>{"text"});
  EXPECT_EQ(again.ttl, std::chrono::seconds(40));
  EXPECT_EQ(inner_->asked, 1);
  clock_.now += std::chrono::seconds(40);
  txt("a.test");
  EXPECT_EQ(inner_->asked, 2);
}

TEST_F(CachingResolverTest, KindsAreApart) {
  const auto never = Deadline::never();
  for (int round = 0; round < 2; ++round) {
    txt("a.test");
    EXPECT_EQ(loop_.run(resolver_->mx("a.test", never)).value().records[0].host, "a.test");
    loop_.run(resolver_->addresses("a.test", never)).value();
    loop_.run(resolver_->addresses_of(Family::kV4, "a.test", never)).value();
    loop_.run(resolver_->addresses_of(Family::kV6, "a.test", never)).value();
    EXPECT_EQ(loop_.run(resolver_->names(IpAddress(), never)).value().records[0], "name");
    EXPECT_EQ(inner_->asked, 6);
  }
}

TEST_F(CachingResolverTest, WhatDoesNotExistIsRememberedShortlyAndFailuresNotAtAll) {
  inner_->status = Status::kNoName;
  txt("none.test");
  clock_.now += std::chrono::seconds(59);
  EXPECT_EQ(txt("none.test").status, Status::kNoName);
  EXPECT_EQ(inner_->asked, 1);
  clock_.now += std::chrono::seconds(1);
  txt("none.test");
  EXPECT_EQ(inner_->asked, 2);
  for (const auto status : {Status::kTemporary, Status::kBogus}) {
    inner_->status = status;
    inner_->asked = 0;
    txt("bad.test");
    txt("bad.test");
    EXPECT_EQ(inner_->asked, 2);
  }
  inner_->status = Status::kFound;
  inner_->ttl = std::chrono::seconds(0);
  inner_->asked = 0;
  txt("fleeting.test");
  txt("fleeting.test");
  EXPECT_EQ(inner_->asked, 2);
}

TEST_F(CachingResolverTest, ItStaysWithinItsBound) {
  options_.octets = 1 << 20;
  make();
  inner_->text = std::string(1000, 'x');
  for (int i = 0; i < 5000; ++i) txt("n" + std::to_string(i) + ".test");
  EXPECT_EQ(inner_->asked, 5000);
  txt("n4999.test");
  EXPECT_EQ(inner_->asked, 5000) << "the newest is there";
  txt("n0.test");
  EXPECT_EQ(inner_->asked, 5001) << "the oldest is not";
  inner_->text = std::string(100'000, 'x');
  txt("huge.test");
  txt("huge.test");
  EXPECT_EQ(inner_->asked, 5003) << "one answer does not push out all others";
}

}  // namespace
}  // namespace merpati::dns
