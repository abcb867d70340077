// Lists in DNS: what their answers mean, and what becomes of a list that answers nonsense.
#include <gtest/gtest.h>

#include "filter/dns_lists_engine.hpp"
#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"

namespace merpati::filter {
namespace {

using boost::asio::ip::make_address;
using boost::asio::ip::make_address_v4;

ListCode code(const char* answers, const char* symbol, double score, std::uint8_t bits = 0) {
  ListCode made{*parse_pattern(answers), symbol, score};
  made.answers.bits = bits;
  return made;
}

struct DnsLists : testing::Test {
  DnsLists() {
    bl.zone = "bl.test";
    bl.symbol = "BL";
    bl.score = 4;
    uri.zone = "uri.test";
    uri.of = ListSettings::Of::kDomains;
    uri.symbol = "URI";
    uri.score = 5;
    for (const char* zone : {"bl.test", "wl.test"}) listed("2.0.0.127", zone, "127.0.0.2");
    listed("test", "uri.test", "127.0.0.2");
  }
  void listed(const std::string& name, const std::string& zone, const std::string& answer) {
    dns->set_addresses(name + "." + zone, {answer});
  }
  DnsListsEngine& engine(std::vector<ListSettings> lists) {
    made = std::make_unique<DnsListsEngine>(settings, std::move(lists), dns, metrics, blocking);
    return *made;
  }
  Findings check(DnsListsEngine& on, const char* client, std::string_view message = "Subject: x\r\n\r\nx\r\n",
                 std::int64_t account = 0) {
    MessageView view;
    view.client = make_address(client);
    view.message = message;
    view.whole = true;
    view.authenticated_account = account;
    auto found = loop.run(on.check(view));
    EXPECT_TRUE(found.has_value());
    return found.has_value() ? *found : Findings();
  }

  std::shared_ptr<dns::StaticResolver> dns = std::make_shared<dns::StaticResolver>();
  runtime::Metrics metrics;
  merpati::test::Loop loop;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking{1};
  DnsListsSettings settings;
  ListSettings bl, uri;
  std::unique_ptr<DnsListsEngine> made;
};

TEST_F(DnsLists, AListedClientHasItsPoints) {
  listed("7.2.0.192", "bl.test", "127.0.0.2");
  auto& on = engine({bl});
  const auto findings = check(on, "192.0.2.7");
  ASSERT_EQ(findings.symbols.size(), 1u);
  EXPECT_EQ(findings.symbols[0].name, "BL");
  EXPECT_EQ(findings.symbols[0].score, 4);
  EXPECT_EQ(findings.symbols[0].detail, "192.0.2.7");
  EXPECT_TRUE(check(on, "192.0.2.8").symbols.empty());
  EXPECT_TRUE(check(on, "192.0.2.7", "", 7).symbols.empty()) << "who logged in comes from anywhere";
  EXPECT_TRUE(check(on, "2001:db8::7").symbols.empty()) << "the list is of IPv4";
}

TEST_F(DnsLists, AnIpv6ClientIsAskedByNibbles) {
  bl.ipv6 = true;
  listed("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2", "bl.test", "127.0.0.2");
  EXPECT_EQ(check(engine({bl}), "2001:db8::7").symbols.size(), 1u);
}

TEST_F(DnsLists, CodesSayWhatAnAnswerMeans) {
  bl.codes = {code("127.0.0.2-3", "SPAMMER", 5), code("127.0.0.10", "DYNAMIC", 2)};
  bl.codes[0].refuse = true;
  ListSettings wl;
  wl.zone = "wl.test";
  wl.symbol = "WL";
  wl.codes = {code("127.0.*.1", "WL_LOW", -1), code("127.0.*.2-3", "WL_HIGH", -4)};
  listed("7.2.0.192", "bl.test", "127.0.0.3");
  listed("8.2.0.192", "bl.test", "127.0.0.10");
  listed("9.2.0.192", "bl.test", "127.0.0.99");
  listed("8.2.0.192", "wl.test", "127.0.9.3");
  auto& on = engine({bl, wl});
  const auto refused = check(on, "192.0.2.7");
  ASSERT_EQ(refused.refusals.size(), 1u);
  EXPECT_EQ(refused.refusals[0].symbol, "SPAMMER");
  EXPECT_EQ(refused.refusals[0].text, "192.0.2.7 is listed by bl.test");
  const auto both = check(on, "192.0.2.8");
  ASSERT_EQ(both.symbols.size(), 2u);
  EXPECT_EQ(both.symbols[0].name, "DYNAMIC");
  EXPECT_EQ(both.symbols[1].score, -4);
  EXPECT_TRUE(both.known_good) << "a list speaks for this client";
  EXPECT_FALSE(refused.known_good);
  EXPECT_TRUE(check(on, "192.0.2.9").symbols.empty()) << "an answer that no code names";
}

TEST_F(DnsLists, BitsMeanSeveralThings) {
  uri.codes = {code("127.0.0.*", "URI_BLACK", 5, 2), code("127.0.0.*", "URI_GREY", 1, 4)};
  listed("bad.example", "uri.test", "127.0.0.6");
  const auto findings = check(engine({uri}), "192.0.2.7", "Subject: x\r\n\r\nsee http://bad.example/ now\r\n");
  ASSERT_EQ(findings.symbols.size(), 2u);
  EXPECT_EQ(findings.symbols[0].name, "URI_BLACK");
  EXPECT_EQ(findings.symbols[1].name, "URI_GREY");
}

TEST_F(DnsLists, ManyListedDomainsCountOnce) {
  listed("bad.example", "uri.test", "127.0.0.2");
  listed("worse.example", "uri.test", "127.0.0.2");
  listed("7.2.0.192", "uri.test", "127.0.0.2");
  const auto findings = check(engine({uri}), "192.0.2.7",
                              "Subject: x\r\n\r\nhttp://a.bad.example http://worse.example/ http://192.0.2.7/x\r\n");
  ASSERT_EQ(findings.symbols.size(), 1u);
  EXPECT_EQ(findings.symbols[0].score, 5);
  EXPECT_EQ(findings.symbols[0].detail, "bad.example, worse.example, 192.0.2.7");
}

TEST_F(DnsLists, DnsThatIsDownIsNoVerdict) {
  dns->set_addresses_status("7.2.0.192.bl.test", dns::Status::kTemporary);
  const auto findings = check(engine({bl}), "192.0.2.7");
  ASSERT_EQ(findings.symbols.size(), 1u);
  EXPECT_TRUE(findings.symbols[0].not_checked);
}

TEST_F(DnsLists, AListThatFailsItsTestIsSwitchedOff) {
  std::string told;
  const auto list = [&](ListSettings of) {
    auto one = std::make_unique<DnsList>(std::move(of), dns);
    one->on_nonsense([&](const std::string& why) { told = why; });
    return one;
  };
  auto good = list(bl);
  EXPECT_EQ(*loop.run(good->test(Deadline::never())), "");
  EXPECT_TRUE(good->on());
  // The whole zone is listed, as when a dead list's domain is parked.
  listed("1.0.0.127", "bl.test", "127.0.0.2");
  EXPECT_NE(*loop.run(good->test(Deadline::never())), "");
  EXPECT_FALSE(good->on());
  EXPECT_EQ(told, "1.0.0.127.bl.test is 127.0.0.2");
  listed("7.2.0.192", "bl.test", "127.0.0.2");
  EXPECT_TRUE(loop.run(good->ask(make_address("192.0.2.7"), Deadline::never()))->listings.empty());
  // It is mended.
  dns->set_addresses_status("1.0.0.127.bl.test", dns::Status::kNoName);
  EXPECT_EQ(*loop.run(good->test(Deadline::never())), "");
  EXPECT_EQ(loop.run(good->ask(make_address("192.0.2.7"), Deadline::never()))->listings.size(), 1u);
  // Emptied: it lists nothing any more.
  dns->set_addresses_status("2.0.0.127.bl.test", dns::Status::kNoName);
  EXPECT_EQ(*loop.run(good->test(Deadline::never())), "2.0.0.127.bl.test is not listed");
  EXPECT_FALSE(good->on());
  // Of DNS that is down nothing follows.
  auto other = list(bl);
  dns->set_addresses_status("2.0.0.127.bl.test", dns::Status::kTemporary);
  EXPECT_EQ(*loop.run(other->test(Deadline::never())), "");
  EXPECT_TRUE(other->on());
  auto domains = list(uri);
  EXPECT_EQ(*loop.run(domains->test(Deadline::never())), "");
  listed("invalid", "uri.test", "127.0.0.2");
  EXPECT_NE(*loop.run(domains->test(Deadline::never())), "");
}

TEST_F(DnsLists, AnAnswerThatNoListGivesSwitchesItOff) {
  for (const char* nonsense : {"198.51.100.1", "127.255.255.254"}) {
    DnsList list(bl, dns);
    listed("7.2.0.192", "bl.test", nonsense);
    const auto answer = loop.run(list.ask(make_address("192.0.2.7"), Deadline::never()));
    EXPECT_TRUE(answer->listings.empty()) << nonsense;
    EXPECT_TRUE(answer->unknown) << nonsense;
    EXPECT_FALSE(list.on()) << nonsense;
  }
}

TEST_F(DnsLists, OwnNetworksAreNotAsked) {
  settings.own_networks = *net::CidrSet::parse(std::vector<std::string>{"192.0.2.0/24"});
  listed("7.2.0.192", "bl.test", "127.0.0.2");
  EXPECT_TRUE(check(engine({bl}), "192.0.2.7").symbols.empty());
  EXPECT_EQ(dns->questions(), 0);
}

TEST(AnswerPatterns, AreRead) {
  EXPECT_TRUE(parse_pattern("127.0.*.4-7")->matches(make_address_v4("127.0.200.7")));
  EXPECT_FALSE(parse_pattern("127.0.*.4-7")->matches(make_address_v4("127.1.200.7")));
  for (const char* bad :
       {"", "127", "127.0.0", "127.0.0.2.3", "127.0.0.256", "127.0.0.7-4", "127.0.0.", "a.b.c.d", "127.0.0.-"})
    EXPECT_TRUE(parse_pattern(bad).has_error()) << bad;
}

}  // namespace
}  // namespace merpati::filter
