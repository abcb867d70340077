#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <optional>

#include "merpati/dns/domain_name.hpp"
#include "merpati/dns/unbound_resolver.hpp"
#include "support/dns_server.hpp"

namespace merpati::dns {
namespace {

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest() {
    auto made = make_unbound_resolver(context_.get_executor(), {{server_.server()}, false, ""});
    if (made.has_value()) resolver_ = *made;
  }
  template <class T>
  T run(Task<T> task) {
    auto result = asio::co_spawn(context_, std::move(task), asio::use_future);
    context_.restart();
    while (result.wait_for(std::chrono::seconds(0)) != std::future_status::ready && context_.run_one() > 0) {
    }
    return std::move(result.get()).value();
  }
  static Deadline soon() { return Deadline::after(std::chrono::seconds(10)); }

  test::DnsServer server_;
  asio::io_context context_{1};
  std::shared_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, MxSortedAndNull) {
  server_.add_mx("a.test", 20, "mx2.a.test");
  server_.add_mx("a.test", 10, "MX1.a.test");
  server_.add_mx("null.test", 0, "");
  auto answer = run(resolver_->mx("a.test", soon()));
  EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(answer.records, (std::vector<Mx>{{10, "mx1.a.test"}, {20, "mx2.a.test"}}));
  EXPECT_FALSE(answer.secure);
  EXPECT_EQ(run(resolver_->mx("null.test", soon())).records, (std::vector<Mx>{{0, ""}}));
}

TEST_F(ResolverTest, AddressesOfBothFamilies) {
  server_.add_a("h.test", "192.0.2.1");
  server_.add_aaaa("h.test", "2001:db8::1");
  server_.add_a("v4.test", "192.0.2.2");
  EXPECT_EQ(run(resolver_->addresses("h.test", soon())).records.size(), 2u);
  const auto answer = run(resolver_->addresses("v4.test", soon()));
  EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(answer.records, (std::vector<IpAddress>{boost::asio::ip::make_address("192.0.2.2")}));
}

TEST_F(ResolverTest, KindsOfFailureDiffer) {
  server_.add_a("h.test", "192.0.2.1");
  server_.fail("bad.test");
  EXPECT_EQ(run(resolver_->mx("none.test", soon())).status, Status::kNoName);
  EXPECT_EQ(run(resolver_->mx("h.test", soon())).status, Status::kNoData);
  EXPECT_EQ(run(resolver_->mx("bad.test", soon())).status, Status::kTemporary);
  EXPECT_EQ(run(resolver_->addresses("bad.test", soon())).status, Status::kTemporary);
  std::string long_name = "test";
  while (long_name.size() < 260) long_name.insert(0, "0123456789.");
  EXPECT_EQ(run(resolver_->txt(long_name, soon())).status, Status::kNoName) << "it never was and never will be";
  EXPECT_EQ(run(resolver_->addresses(long_name, soon())).status, Status::kNoName);
}

TEST_F(ResolverTest, TxtStringsAreJoined) {
  server_.add_txt("t.test", {"v=spf1 ", "-all"});
  EXPECT_EQ(run(resolver_->txt("t.test", soon())).records, (std::vector<std::string>{"v=spf1 -all"}));
}

TEST_F(ResolverTest, OneFamilyAlone) {
  server_.add_a("v4.test", "192.0.2.2");
  const auto v4 = run(resolver_->addresses_of(Family::kV4, "v4.test", soon()));
  EXPECT_EQ(v4.records, (std::vector<IpAddress>{boost::asio::ip::make_address("192.0.2.2")}));
  EXPECT_EQ(run(resolver_->addresses_of(Family::kV6, "v4.test", soon())).status, Status::kNoData);
}

TEST_F(ResolverTest, NamesOfAddresses) {
  server_.add_ptr("1.2.0.192.in-addr.arpa", "Mail.A.test");
  server_.add_ptr("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "six.a.test");
  const auto names = [&](const char* address) {
    return run(resolver_->names(boost::asio::ip::make_address(address), soon()));
  };
  EXPECT_EQ(names("192.0.2.1").records, (std::vector<std::string>{"mail.a.test"}));
  EXPECT_EQ(names("2001:db8::1").records, (std::vector<std::string>{"six.a.test"}));
  EXPECT_EQ(names("192.0.2.9").status, Status::kNoName);
}

TEST_F(ResolverTest, NegativeAnswersAreCached) {
  server_.add_a("h.test", "192.0.2.1");
  EXPECT_EQ(run(resolver_->txt("none.test", soon())).status, Status::kNoName);
  EXPECT_EQ(run(resolver_->txt("h.test", soon())).status, Status::kNoData);
  const int asked = server_.questions();
  EXPECT_EQ(run(resolver_->txt("none.test", soon())).status, Status::kNoName);
  EXPECT_EQ(run(resolver_->txt("h.test", soon())).status, Status::kNoData);
  EXPECT_EQ(server_.questions(), asked);
}

TEST_F(ResolverTest, ADeadlineIsATemporaryFailure) {
  server_.fail("slow.test");
  const auto answer = run(resolver_->mx("slow.test", Deadline::after(std::chrono::nanoseconds(1))));
  EXPECT_EQ(answer.status, Status::kTemporary);
}

TEST_F(ResolverTest, LookupsThatNobodyAnswersAreBounded) {
  server_.ignore("dead.test");
  server_.add_mx("a.test", 10, "mx.a.test");
  resolver_ = make_unbound_resolver(context_.get_executor(), {{server_.server()}, false, "", 4}).value();
  for (int i = 0; i < 2; ++i) {  // two questions each, which go on although their callers have given up
    const auto answer = run(resolver_->addresses("dead.test", Deadline::after(std::chrono::milliseconds(1))));
    EXPECT_EQ(answer.status, Status::kTemporary);
  }
  const auto answer = run(resolver_->mx("a.test", soon()));
  EXPECT_EQ(answer.status, Status::kTemporary);
  EXPECT_NE(answer.reason.find("too many"), std::string::npos) << answer.reason;
}

TEST(DomainName, ToAscii) {
  EXPECT_EQ(to_ascii("Example.TEST."), "example.test");
  EXPECT_EQ(to_ascii("b\xC3\xBC"
                     "cher.example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(to_ascii("_x.example"), "_x.example");
  for (const char* bad : {"", ".", "a..b", "a b.test", "[1.2.3.4]"}) EXPECT_FALSE(to_ascii(bad)) << bad;
}

}  // namespace
}  // namespace merpati::dns
