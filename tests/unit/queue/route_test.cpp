#include "queue/route.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <optional>

#include "merpati/dns/static_resolver.hpp"
#include "queue/backoff.hpp"
#include "queue/recipient_domain.hpp"

namespace merpati::queue {
namespace {

class RouteTest : public ::testing::Test {
 protected:
  Route find(std::string domain) {
    asio::io_context context;
    auto result =
        asio::co_spawn(context, find_route(resolver_, config_, std::move(domain), Deadline::never()), asio::use_future);
    context.run();
    return std::move(result.get()).value();
  }
  std::string hosts(const Route& route) {
    std::string out;
    for (const Target& t : route.targets) out += (out.empty() ? "" : " ") + t.host + ":" + std::to_string(t.port);
    return out;
  }
  std::string status(const Route& route) { return route.failure ? route.failure->status : ""; }
  dns::StaticResolver resolver_;
  RouteConfig config_{.hostname = "us.test"};
};

TEST_F(RouteTest, MxInOrderOfPreference) {
  resolver_.set_mx("a.test", {{5, "one.test"}, {10, "two.test"}});
  EXPECT_EQ(hosts(find("a.test")), "one.test:25 two.test:25");
}

TEST_F(RouteTest, ImplicitMx) {
  resolver_.set_addresses("a.test", {"192.0.2.1"});
  EXPECT_EQ(hosts(find("a.test")), "a.test:25");
}

TEST_F(RouteTest, WhatFailsForGoodAndWhatMayHeal) {
  resolver_.set_mx("null.test", {{0, ""}});
  resolver_.set_mx_status("servfail.test", dns::Status::kTemporary);
  resolver_.set_mx_status("bogus.test", dns::Status::kBogus);
  EXPECT_EQ(status(find("null.test")), "5.1.10");
  EXPECT_EQ(status(find("nowhere.test")), "5.1.2");
  EXPECT_EQ(status(find("bad..name")), "5.1.2");
  EXPECT_EQ(status(find("servfail.test")), "4.4.3");
  EXPECT_EQ(status(find("bogus.test")), "4.7.5");
}

TEST_F(RouteTest, NeverToOurselvesNorBehindUs) {
  resolver_.set_mx("a.test", {{5, "better.test"}, {10, "us.test"}, {20, "worse.test"}});
  EXPECT_EQ(hosts(find("a.test")), "better.test:25");
  resolver_.set_mx("b.test", {{10, "us.test"}});
  EXPECT_EQ(status(find("b.test")), "5.4.6");
}

TEST_F(RouteTest, RoutesSmartHostAndLiterals) {
  EXPECT_EQ(hosts(find("[192.0.2.7]")), "192.0.2.7:25");
  EXPECT_EQ(hosts(find("[IPv6:2001:db8::1]")), "2001:db8::1:25");
  config_.fixed = parse_routes({"Fixed.test=[::1]:2525", "b.test=relay:26"}).value();
  EXPECT_EQ(hosts(find("fixed.test")), "::1:2525");
  config_.smart_host = "relay.test";
  config_.smart_host_port = 587;
  EXPECT_EQ(hosts(find("a.test")), "relay.test:587");
  EXPECT_EQ(hosts(find("b.test")), "relay:26");
  for (const char* bad : {"x", "a.test=host", "a.test=host:0", "a.test=:25", "=host:25", "a.test=host:99999"}) {
    EXPECT_FALSE(parse_routes({bad}).has_value()) << bad;
  }
}

TEST(RecipientDomain, ALabels) {
  EXPECT_EQ(recipient_domain("x@B\xC3\xBC"
                             "cher.Example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(recipient_domain("\"a@b\"@C.test"), "c.test");
  EXPECT_EQ(recipient_domain("x@[192.0.2.1]"), "[192.0.2.1]");
}

TEST(Backoff, DoublesUpToTheMaximumWithJitter) {
  const RetryPolicy policy{std::chrono::minutes(5), std::chrono::hours(4)};
  const std::chrono::hours old(100);
  EXPECT_EQ(retry_wait(policy, 1, old, 0.5), std::chrono::minutes(5));
  EXPECT_EQ(retry_wait(policy, 3, old, 0.5), std::chrono::minutes(20));
  EXPECT_EQ(retry_wait(policy, 1000, old, 0.5), std::chrono::hours(4));
  EXPECT_EQ(retry_wait(policy, 1, old, 0), std::chrono::minutes(4));
  EXPECT_LE(retry_wait(policy, 1, old, 0.999), std::chrono::minutes(6));
  // Attempts that never got to the remote host do not make it wait for hours.
  EXPECT_EQ(retry_wait(policy, 20, std::chrono::seconds(60), 0.5), std::chrono::minutes(5));
  EXPECT_EQ(retry_wait(policy, 20, std::chrono::minutes(10), 0.5), std::chrono::minutes(20));
}

TEST(Backoff, WhatIsOursIsTriedAgainSoon) {
  const RetryPolicy policy;
  EXPECT_EQ(wait_for_ours(policy, {}, 0.5), std::chrono::seconds(5));
  EXPECT_EQ(wait_for_ours(policy, std::chrono::minutes(10), 0.5), std::chrono::minutes(1));
  EXPECT_EQ(wait_for_ours(policy, std::chrono::hours(100), 0.5), std::chrono::hours(4));
  EXPECT_EQ(wait_for_ours({std::chrono::seconds(1), std::chrono::seconds(2)}, {}, 0.5), std::chrono::seconds(1));
  EXPECT_EQ(wait_for_ours(policy, std::chrono::seconds(-9), 0.5), std::chrono::seconds(5)) << "a clock that went back";
}

}  // namespace
}  // namespace merpati::queue
