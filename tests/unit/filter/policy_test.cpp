// Which thresholds and weights hold for whom, and which may be set.
#include "filter/policy.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "filter/symbol_names.hpp"

namespace merpati::filter {
namespace {

Scoring configured() {
  Scoring scoring;
  scoring.thresholds.greylist = 4;
  scoring.weights = {{"NO_FROM", 6}};
  return scoring;
}

std::string text(const std::vector<PolicyValue>& values) {
  static constexpr std::array kNames = {"engine", "configuration", "domain", "account"};
  std::string out;
  for (const auto& [key, value, source] : values)
    out += fmt::format("{}={} {};", key, value ? fmt::format("{:g}", *value) : "never",
                       kNames[static_cast<std::size_t>(source)]);
  return out;
}

TEST(Policy, TheAccountsComesBeforeTheDomainsKeyByKey) {
  const Policy domain{{"junk", 5}, {"refuse", std::nullopt}, {"SPF_FAIL", 3}, {"NO_FROM", 1}};
  const Policy account{{"junk", 8}, {"discard", 40}, {"NO_FROM", 2}};
  const auto rules = merge(configured(), &domain, &account);
  EXPECT_EQ(rules->scoring.thresholds.junk, 8);
  EXPECT_EQ(rules->scoring.thresholds.refuse, 0);
  EXPECT_EQ(rules->scoring.thresholds.discard, 40);
  EXPECT_EQ(rules->scoring.thresholds.greylist, 4);
  EXPECT_EQ(rules->scoring.own_weights.at("NO_FROM").score, 2);
  EXPECT_EQ(rules->scoring.own_weights.at("NO_FROM").source, Source::kAccount);
  EXPECT_EQ(rules->scoring.own_weights.at("SPF_FAIL").source, Source::kDomain);
  EXPECT_EQ(text(rules->values),
            "junk=8 account;refuse=never domain;discard=40 account;NO_FROM=2 account;SPF_FAIL=3 domain;");
  EXPECT_EQ(text(values_of(*rules, true)),
            "greylist=4 configuration;junk=8 account;refuse=never domain;discard=40 account;NO_FROM=2 account;"
            "SPF_FAIL=3 domain;");
}

TEST(Policy, WithoutOneTheConfigurationHolds) {
  const auto rules = merge(configured(), nullptr, nullptr);
  EXPECT_TRUE(rules->values.empty());
  EXPECT_EQ(text(values_of(*rules, true)),
            "greylist=4 configuration;junk=6 configuration;refuse=15 configuration;discard=never configuration;"
            "NO_FROM=6 configuration;");
  EXPECT_EQ(text(values_of(*rules, false)).find("greylist"), std::string::npos);
}

TEST(Policy, WhereNobodyIsGreylistedAPolicyDoesNotBegin) {
  const Policy domain{{"greylist", 2}};
  const auto rules = merge({}, &domain, nullptr);
  EXPECT_EQ(rules->scoring.thresholds.greylist, kNever);
  EXPECT_TRUE(rules->values.empty());
  EXPECT_EQ(merge(configured(), &domain, nullptr)->scoring.thresholds.greylist, 2);
  const Policy never{{"greylist", std::nullopt}};
  EXPECT_EQ(merge(configured(), &never, nullptr)->scoring.thresholds.greylist, kNever);
}

std::string value_fault(std::string_view key, std::optional<double> value) {
  const auto checked = check_value(key, value);
  return checked.has_error() ? checked.error().message() : "";
}

TEST(Policy, ValuesHaveARange) {
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::optional<double>>>{{"junk", 0.1},
                                                                                             {"junk", 1000},
                                                                                             {"refuse", std::nullopt},
                                                                                             {"greylist", 0},
                                                                                             {"greylist", std::nullopt},
                                                                                             {"NO_FROM", -1000},
                                                                                             {"NO_FROM", 0}})
    EXPECT_EQ(value_fault(key, value), "") << key;
  EXPECT_EQ(value_fault("junk", 0), "junk: more than 0 and at most 1000 points, or never");
  EXPECT_NE(value_fault("discard", -1), "");
  EXPECT_NE(value_fault("refuse", 1000.1), "");
  EXPECT_NE(value_fault("junk", std::numeric_limits<double>::quiet_NaN()), "");
  EXPECT_NE(value_fault("junk", std::numeric_limits<double>::infinity()), "");
  EXPECT_NE(value_fault("greylist", -1), "");
  EXPECT_EQ(value_fault("NO_FROM", 1001), "NO_FROM: a weight is from -1000 to 1000 points");
  EXPECT_NE(value_fault("NO_FROM", std::nullopt), "");
  EXPECT_NE(value_fault("NO_FROM", -std::numeric_limits<double>::infinity()), "");
}

std::string order_fault(const Policy& domain, const Policy& account) {
  const auto checked = check_order(*merge(configured(), &domain, &account));
  return checked.has_error() ? checked.error().message() : "";
}

TEST(Policy, ThresholdsAreInOrderWhoseverTheyAre) {
  EXPECT_EQ(order_fault({}, {}), "");
  EXPECT_EQ(order_fault({{"junk", 4}}, {{"refuse", 4}}), "") << "equal ones are in order";
  EXPECT_EQ(order_fault({{"junk", std::nullopt}}, {{"refuse", 4}}), "");
  EXPECT_EQ(order_fault({{"greylist", std::nullopt}}, {{"junk", 1}}), "");
  EXPECT_EQ(
      order_fault({}, {{"junk", 20}}),
      "junk from 20 points on is never reached, since refuse is from 15 (of the configuration) on: they must be in "
      "the order greylist, junk, refuse, discard");
  EXPECT_NE(order_fault({{"junk", 10}}, {{"refuse", 8}}).find("junk from 10 points (of the domain) on"),
            std::string::npos);
  EXPECT_NE(order_fault({}, {{"junk", 3}}).find("greylist from 4 points (of the configuration)"), std::string::npos);
  EXPECT_NE(order_fault({}, {{"discard", 10}}), "") << "refusing comes before";
  EXPECT_EQ(order_fault({}, {{"refuse", std::nullopt}, {"discard", 10}}), "");
  EXPECT_NE(order_fault({}, {{"refuse", std::nullopt}, {"discard", 5}}), "");
}

std::string weight_fault(std::string_view name, const Scoring& scoring = {}) {
  const auto checked = SymbolNames({"MY_LIST", ""}).check_weight(name, scoring);
  return checked.has_error() ? checked.error().message() : "";
}

TEST(SymbolNames, UnknownOnesAreToldWithWhatIsSimilar) {
  for (const char* good : {"NO_FROM", "OWN_BAYES_SPAM", "MY_LIST", "RSPAMD_R_SPF_ALLOW", "RSPAMD", "DMARC_REJECT"})
    EXPECT_EQ(weight_fault(good), "") << good;
  EXPECT_EQ(weight_fault("SPF_FIAL"), "there is no symbol or threshold \"SPF_FIAL\"; similar: SPF_FAIL");
  EXPECT_NE(weight_fault("no_from").find("similar: NO_FROM"), std::string::npos) << "names have a case";
  EXPECT_NE(weight_fault("my_lst").find("similar: MY_LIST"), std::string::npos);
  EXPECT_NE(weight_fault("BAYES").find("BAYES_SPAM"), std::string::npos);
  EXPECT_EQ(weight_fault("XYZZY"), "there is no symbol or threshold \"XYZZY\"");
  for (const char* wrong : {"", "RSPAMD_", "RSPAMD_A B", "RSPAMD_\xff", "temporary"})
    EXPECT_NE(weight_fault(wrong), "") << wrong;
  EXPECT_LT(weight_fault(std::string(5000, 'X')).size(), 300U);
}

TEST(SymbolNames, WhatHoldsWhateverTheScoreIsTheConfigurationsToWeigh) {
  EXPECT_EQ(weight_fault("LOOP"), "LOOP is a limit, which no weight changes");
  EXPECT_NE(weight_fault("VIRUS").find("only filter.weights"), std::string::npos);
  Scoring scoring;
  scoring.weights = {{"VIRUS", 10}, {"LOOP", 1}};
  EXPECT_EQ(weight_fault("VIRUS", scoring), "");
  EXPECT_NE(weight_fault("LOOP", scoring), "");
}

}  // namespace
}  // namespace merpati::filter
