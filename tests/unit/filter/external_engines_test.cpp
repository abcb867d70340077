// Engines that ask others, as the configuration has them, and what their reasons to refuse lead to.
#include "filter/external_engines.hpp"

#include <gtest/gtest.h>

#include "filter/scoring.hpp"
#include "merpati/runtime/config_loader.hpp"

namespace merpati::filter {
namespace {

config::v1::DnsLists one_list() {
  config::v1::DnsLists lists;
  auto& list = *lists.add_lists();
  list.set_zone("Bl.Example.ORG.");
  list.set_symbol("BL");
  auto& code = *list.add_codes();
  code.set_answers("127.0.0.2-3");
  code.set_score(4);
  return lists;
}

std::string fault(const config::v1::DnsLists& lists) {
  const auto parsed = list_settings(lists);
  return parsed.has_error() ? parsed.error().message() : "";
}

TEST(ExternalEngines, ListsAreReadFromTheConfiguration) {
  auto lists = one_list();
  const auto parsed = list_settings(lists);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
  EXPECT_EQ(parsed->at(0).zone, "bl.example.org");
  EXPECT_EQ(parsed->at(0).codes.at(0).score, 4);
  lists.mutable_lists(0)->mutable_codes(0)->set_answers("127.0.0.x");
  EXPECT_NE(fault(lists).find("filter.dns_lists.lists[0].codes[0].answers"), std::string::npos);
  lists = one_list();
  lists.mutable_lists(0)->mutable_codes(0)->set_bits(256);
  EXPECT_NE(fault(lists).find("codes[0].bits"), std::string::npos);
  lists = one_list();
  lists.mutable_lists(0)->set_zone("");
  EXPECT_NE(fault(lists).find("lists[0].zone"), std::string::npos);
  lists = one_list();
  lists.mutable_lists(0)->clear_symbol();
  EXPECT_NE(fault(lists).find("lists[0].symbol"), std::string::npos);
  lists = one_list();
  *lists.add_lists() = lists.lists(0);
  EXPECT_NE(fault(lists).find("lists[1].symbol: BL is another list's"), std::string::npos);
}

TEST(ExternalEngines, AreMadeWhereTheyHaveAnAddress) {
  asio::thread_pool blocking(1);
  auto clamd = runtime::with_defaults<config::v1::Clamd>();
  EXPECT_FALSE(make_clamd(clamd, blocking)->has_value());
  clamd.set_address("clamd:3310");
  auto made = make_clamd(clamd, blocking);
  ASSERT_TRUE(made->has_value());
  EXPECT_EQ((*made)->engine->settings().when_unchecked, WhenUnchecked::kTemporary);
  EXPECT_EQ((*made)->engine->settings().deadline, std::chrono::seconds(20));
  EXPECT_EQ((*made)->breaker.failures, 5u);
  clamd.set_address("clamd");
  EXPECT_EQ(make_clamd(clamd, blocking).error().code(), ErrorCode::kInvalidArgument);
  auto rspamd = runtime::with_defaults<config::v1::Rspamd>();
  rspamd.set_address("/run/rspamd/worker.sock");
  rspamd.set_unchecked(config::v1::UNCHECKED_SKIP);
  EXPECT_EQ((*make_rspamd(rspamd, blocking))->engine->settings().when_unchecked, WhenUnchecked::kSkip);
}

EngineReport refuses(int code, bool may_be_weighed = true) {
  EngineReport report;
  report.engine = "test";
  report.findings.refusals.push_back(
      {"R" + std::to_string(code), code, code < 500 ? "4.7.1" : "5.7.1", "no", may_be_weighed});
  return report;
}

TEST(ExternalEngines, AReasonForNowWaitsBehindOneForGood) {
  const std::vector<EngineReport> now{refuses(451)};
  EXPECT_EQ(decide(now, {}).outcome, Outcome::kTemporary);
  EXPECT_EQ(decide(now, {}).reply->code, 451);
  const std::vector<EngineReport> both{refuses(451), refuses(550), refuses(554)};
  EXPECT_EQ(decide(both, {}).outcome, Outcome::kRefuse);
  EXPECT_EQ(decide(both, {}).reply->code, 550) << "the first of those for good";
}

TEST(ExternalEngines, AWeightMakesPointsOfARefusal) {
  Scoring scoring;
  scoring.weights["R554"] = 3;
  EXPECT_FALSE(refusal_of(refuses(554).findings, scoring));
  EXPECT_TRUE(refusal_of(refuses(554, false).findings, scoring));
  EXPECT_TRUE(refusal_of(refuses(550).findings, scoring));
}

}  // namespace
}  // namespace merpati::filter
