// The resolver before real signed zones: what is right is secure, what is broken is bogus, and breaks nothing else.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "merpati/dns/unbound_resolver.hpp"
#include "signed_zones.hpp"
#include "support/not_run.hpp"

namespace merpati::dns {
namespace {

class DnssecTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (test::SignedZones::installed()) zones_ = new test::SignedZones;
  }
  static void TearDownTestSuite() {
    delete zones_;
    zones_ = nullptr;
  }
  void SetUp() override {
    if (!zones_) {
      test::print_not_run("dnssec", "nsd and ldnsutils are not installed");
      if (test::required("dnssec")) FAIL() << "dnssec is required";
      GTEST_SKIP();
    }
    resolver_ = make(zones_->trust_anchor());
  }
  std::shared_ptr<Resolver> make(const std::string& anchor) {
    return make_unbound_resolver(context_.get_executor(), {{zones_->server()}, false, anchor}).value();
  }
  template <class T>
  T run(Task<T> task) {
    auto result = asio::co_spawn(context_, std::move(task), asio::use_future);
    context_.restart();
    while (result.wait_for(std::chrono::seconds(0)) != std::future_status::ready && context_.run_one() > 0) {
    }
    return std::move(result.get()).value();
  }
  Answer<std::string> txt(const std::string& name) { return run(resolver_->txt(name, soon())); }
  static Deadline soon() { return Deadline::after(std::chrono::seconds(30)); }

  static inline test::SignedZones* zones_ = nullptr;
  asio::io_context context_{1};
  std::shared_ptr<Resolver> resolver_;
};

TEST_F(DnssecTest, AChainThatHoldsIsSecure) {
  const auto answer = txt("signed.test");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_TRUE(answer.secure);
  EXPECT_EQ(answer.records, (std::vector<std::string>{"v=spf1 ip4:192.0.2.1 -all"}));
  const auto mx = run(resolver_->mx("signed.test", soon()));
  EXPECT_TRUE(mx.secure);
  EXPECT_EQ(mx.records, (std::vector<Mx>{{10, "mail.signed.test"}}));
  EXPECT_TRUE(run(resolver_->addresses("mail.signed.test", soon())).secure);
}

TEST_F(DnssecTest, WhatDoesNotExistIsProvenNotToExist) {
  EXPECT_EQ(txt("none.signed.test").status, Status::kNoName);
  EXPECT_TRUE(txt("none.signed.test").secure);
  EXPECT_EQ(txt("mail.signed.test").status, Status::kNoData);
  EXPECT_TRUE(txt("mail.signed.test").secure);
}

TEST_F(DnssecTest, WithoutADelegationSignerItIsFoundAndNotSecure) {
  const auto answer = txt("insecure.test");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_FALSE(answer.secure);
}

TEST_F(DnssecTest, EachWayToBreakAChainIsBogus) {
  for (const std::string zone : {"altered.test", "expired.test", "stripped.test"}) {
    const auto answer = txt(zone);
    EXPECT_EQ(answer.status, Status::kBogus) << zone;
    EXPECT_TRUE(answer.records.empty()) << zone;
    EXPECT_FALSE(answer.secure) << zone;
    EXPECT_NE(answer.reason, "") << zone;
  }
  EXPECT_EQ(run(resolver_->addresses("mail.altered.test", soon())).status, Status::kBogus);
}

TEST_F(DnssecTest, ABrokenChainBreaksNothingElse) {
  EXPECT_EQ(txt("expired.test").status, Status::kBogus);
  EXPECT_TRUE(txt("signed.test").secure);
  EXPECT_EQ(txt("insecure.test").status, Status::kFound);
}

TEST_F(DnssecTest, WithoutATrustAnchorAllIsFoundAndNothingIsSecure) {
  resolver_ = make("");
  for (const std::string zone : {"signed.test", "altered.test", "expired.test", "stripped.test", "insecure.test"}) {
    const auto answer = txt(zone);
    EXPECT_EQ(answer.status, Status::kFound) << zone << ": " << answer.reason;
    EXPECT_FALSE(answer.secure) << zone;
  }
}

}  // namespace
}  // namespace merpati::dns
