// Thresholds and weights of domains and accounts, in PostgreSQL, and what they make of mail.
#include <fmt/format.h>

#include <gmock/gmock.h>

#include "filter_fixture.hpp"
#include "merpati/filter/v1/policies.rpc.hpp"

namespace merpati::filter {
namespace {

using testing::HasSubstr;

constexpr const char* kNoFrom = "Subject: from nobody\r\n\r\nhello\r\n";
constexpr auto kPatience = 60s;

class PoliciesTest : public FilterTest {
 protected:
  void SetUp() override {
    FilterTest::SetUp();
    config_.mutable_mail_authentication()->set_enabled(false);
    auto& weight = *config_.add_weights();
    weight.set_symbol("NO_FROM");
    weight.set_score(7);
  }
  /// Of account 0 the domain's. "never" is no value.
  using Settings = std::map<std::string, std::optional<double>>;
  Result<v1::Policy> change(std::int64_t account, const std::string& domain, const Settings& settings,
                            std::vector<std::string> unset = {}, bool all = false) {
    v1::ChangePolicyRequest request;
    request.set_account_id(account);
    request.set_domain(domain);
    for (const auto& [key, points] : settings) {
      auto& value = *request.add_set();
      value.set_key(key);
      value.set_value(points.value_or(0));
      value.set_never(!points);
    }
    for (auto& key : unset) request.add_unset(std::move(key));
    request.set_unset_all(all);
    v1::PoliciesClient client(admin_);
    return attempt(client.change_policy(request));
  }
  void set(std::int64_t account, const std::string& domain, const Settings& settings) {
    const auto changed = change(account, domain, settings);
    ASSERT_TRUE(changed.has_value()) << changed.error().describe();
  }
  std::string fault(std::int64_t account, const std::string& domain, const Settings& settings) {
    const auto changed = change(account, domain, settings);
    return changed.has_value() ? "" : std::string(changed.error().message());
  }
  /// "junk=5 domain;..."
  std::string show(std::int64_t account, const std::string& domain) {
    v1::GetPolicyRequest request;
    request.set_account_id(account);
    request.set_domain(domain);
    v1::PoliciesClient client(admin_);
    std::string out;
    const auto policy = call(client.get_policy(request));
    for (const auto& value : policy.values()) {
      static constexpr std::array kNames = {"?", "configuration", "domain", "account"};
      out += fmt::format("{}={} {};", value.key(), value.never() ? "never" : fmt::format("{:g}", value.value()),
                         kNames[static_cast<std::size_t>(value.source())]);
    }
    return out;
  }
  /// "one.test: junk=5;7: refuse=never;", a page in a line.
  std::string list(v1::ListPoliciesRequest request) {
    v1::PoliciesClient client(admin_);
    std::string out;
    do {
      const auto page = call(client.list_policies(request));
      for (const auto& policy : page.policies()) {
        out += policy.account_id() == 0 ? policy.domain() : std::to_string(policy.account_id());
        for (const auto& value : policy.values())
          out += fmt::format(" {}={}", value.key(), value.never() ? "never" : fmt::format("{:g}", value.value()));
        out += ";";
      }
      request.set_page_token(page.next_page_token());
      if (!request.page_token().empty()) out += "\n";
    } while (!request.page_token().empty());
    return out;
  }
  /// To accounts by their addresses; accounts are numbered by their local part.
  v1::CheckMessageResponse bring(const std::vector<std::string>& recipients, const std::string& message = kNoFrom) {
    v1::CheckMessageRequest request;
    request.mutable_transaction()->set_delivery_id(new_uuid());
    request.mutable_transaction()->set_listener("mx");
    request.mutable_transaction()->set_reverse_path("joe@example.org");
    request.mutable_transaction()->set_client_address("192.0.2.1");
    for (const auto& address : recipients) {
      auto& recipient = *request.add_recipients();
      recipient.set_account_id(std::stoll(address));
      recipient.set_recipient(address);
      recipient.set_address(address);
    }
    request.set_message(message);
    request.set_size(message.size());
    v1::FilterClient client(smtp_);
    return call(client.check_message(request));
  }
  /// "whole: of each recipient"
  static std::string decisions(const v1::CheckMessageResponse& response) {
    std::string out = v1::Decision_Name(response.decision()).substr(9) + ":";
    for (const auto& one : response.recipients()) out += " " + v1::Decision_Name(one.decision()).substr(9);
    return out;
  }
  /// What it becomes once the replica has seen a change that was made elsewhere.
  void becomes(const std::string& wanted, const std::vector<std::string>& recipients) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    std::string now;
    while ((now = decisions(bring(recipients))) != wanted && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(50ms);
    EXPECT_EQ(now, wanted);
  }
};

TEST_F(PoliciesTest, TwoDomainsJudgeTheSameMessage) {
  start();
  EXPECT_EQ(decisions(bring({"1@one.test", "2@two.test"})), "JUNK: JUNK JUNK");
  set(0, "two.test", {{"junk", 10}});
  const auto response = bring({"1@one.test", "2@two.test", "3@two.test"});
  EXPECT_EQ(decisions(response), "ACCEPT: JUNK ACCEPT ACCEPT");
  EXPECT_EQ(response.thresholds().junk(), 6) << "the configuration's, where they differ";
  EXPECT_FALSE(response.recipients(0).has_judgement());
  const auto& own = response.recipients(1).judgement();
  EXPECT_EQ(own.thresholds().junk(), 10);
  ASSERT_EQ(own.policy_size(), 1);
  EXPECT_EQ(own.policy(0).key(), "junk");
  EXPECT_EQ(own.policy(0).source(), v1::POLICY_SOURCE_DOMAIN);
  EXPECT_EQ(bring({"2@two.test"}).thresholds().junk(), 10) << "all that get it share it";
}

TEST_F(PoliciesTest, AnAccountsComesBeforeItsDomainsKeyByKey) {
  start();
  set(0, "one.test", {{"junk", 5}, {"NO_FROM", 1}});
  set(7, "one.test", {{"junk", 1}, {"SPF_FAIL", 3}});
  EXPECT_EQ(show(7, "one.test"),
            "junk=1 account;refuse=15 configuration;discard=never configuration;NO_FROM=1 domain;SPF_FAIL=3 account;");
  const auto response = bring({"7@one.test", "8@one.test"});
  EXPECT_EQ(decisions(response), "ACCEPT: JUNK ACCEPT");
  EXPECT_EQ(response.recipients(0).judgement().score(), 1);
  EXPECT_EQ(response.recipients(0).judgement().policy_size(), 2) << "a weight of what was not found says nothing";
  const auto after = change(7, "one.test", {}, {"junk", "never_set"});
  ASSERT_TRUE(after.has_value()) << after.error().describe();
  EXPECT_EQ(decisions(bring({"7@one.test"})), "ACCEPT: ACCEPT");
  ASSERT_TRUE(change(0, "one.test", {}, {}, true).has_value());
  EXPECT_EQ(show(0, "one.test"), show(0, ""));
  EXPECT_EQ(show(7, "one.test").find("domain"), std::string::npos);
}

TEST_F(PoliciesTest, WhoHasSetSomethingIsListedInPages) {
  start();
  EXPECT_EQ(list({}), "");
  set(0, "two.test", {{"junk", 7}});
  set(12, "one.test", {{"refuse", std::nullopt}});
  set(0, "one.test", {{"NO_FROM", 2}, {"junk", 5}, {"SPF_FAIL", 1}});
  set(9, "two.test", {{"junk", 4}});
  v1::ListPoliciesRequest all;
  EXPECT_EQ(list(all), "one.test junk=5 NO_FROM=2 SPF_FAIL=1;two.test junk=7;9 junk=4;12 refuse=never;");
  all.set_page_size(2);
  EXPECT_EQ(list(all), "one.test junk=5 NO_FROM=2 SPF_FAIL=1;two.test junk=7;\n9 junk=4;12 refuse=never;");
  all.set_page_size(3);
  EXPECT_EQ(list(all), "one.test junk=5 NO_FROM=2 SPF_FAIL=1;two.test junk=7;9 junk=4;\n12 refuse=never;");
  v1::ListPoliciesRequest some;
  some.add_domains("one.test");
  some.add_domains("three.test");
  some.add_account_ids(12);
  some.add_account_ids(13);
  EXPECT_EQ(list(some), "one.test junk=5 NO_FROM=2 SPF_FAIL=1;12 refuse=never;");
  v1::PoliciesClient client(admin_);
  all.set_page_token("nonsense");
  EXPECT_EQ(attempt(client.list_policies(all)).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(PoliciesTest, OnlyWhatAllRefuseIsRefused) {
  start();
  set(0, "one.test", {{"refuse", 7}});
  EXPECT_EQ(decisions(bring({"1@one.test"})), "REFUSE: REFUSE");
  const auto both = bring({"1@one.test", "2@two.test"});
  EXPECT_EQ(decisions(both), "JUNK: REFUSE JUNK");
  EXPECT_EQ(both.reply().code(), 0);
  EXPECT_EQ(both.recipients(0).reply().code(), 550);
  set(2, "two.test", {{"refuse", 6.5}});
  EXPECT_EQ(decisions(bring({"1@one.test", "2@two.test"})), "REFUSE: REFUSE REFUSE");
}

TEST_F(PoliciesTest, WhoWantsItHasMailDiscarded) {
  start();
  set(1, "one.test", {{"junk", 5}, {"refuse", std::nullopt}, {"discard", 6}});
  const auto response = bring({"1@one.test", "2@one.test"});
  EXPECT_EQ(decisions(response), "JUNK: DISCARD JUNK");
  EXPECT_EQ(response.recipients(0).reply().text(), "7 points, discarded from 6 on");
  EXPECT_EQ(decisions(bring({"1@one.test"})), "DISCARD: DISCARD");
  EXPECT_EQ(process_->metrics().counter("merpati_filter_recipients_total", "", {{"decision", "discard"}}).value(), 2);
}

TEST_F(PoliciesTest, ScriptsSeeWhatTheirOwnerThinksOfTheMessage) {
  start();
  ASSERT_TRUE(put(1, "s",
                  "require [\"spamtest\", \"relational\", \"comparator-i;ascii-numeric\", \"imap4flags\"];\r\n"
                  "if spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"5\" { addflag \"spam\"; keep; }")
                  .stored());
  ASSERT_EQ(activate(1, "s"), ErrorCode::kUnknown);
  const auto flagged = [&] {
    const auto response = bring({"1@one.test", "2@two.test"});
    return response.recipients(0).actions_size() > 0 && response.recipients(0).actions(0).file_into().flags_size() > 0;
  };
  EXPECT_TRUE(flagged());
  set(1, "one.test", {{"junk", 14}, {"refuse", 100}});
  EXPECT_FALSE(flagged());
}

TEST_F(PoliciesTest, AChangeOnAnotherReplicaIsSeen) {
  start();
  EXPECT_EQ(decisions(bring({"1@one.test"})), "JUNK: JUNK");
  database_->sql("set search_path to filter; select change_policy(0, 'one.test', false, '{}', '{junk}', '{14}', 100)");
  becomes("ACCEPT: ACCEPT", {"1@one.test"});
  database_->sql("set search_path to filter; select change_policy(0, 'one.test', true, '{}', '{}', '{}', 100)");
  becomes("JUNK: JUNK", {"1@one.test"});
}

TEST_F(PoliciesTest, WhatIsWrongIsTold) {
  start();
  EXPECT_THAT(fault(0, "one.test", {{"NO_FORM", 1}}), HasSubstr("similar: NO_FROM"));
  EXPECT_THAT(fault(0, "one.test", {{"junk", -1}}), HasSubstr("junk: more than 0"));
  EXPECT_THAT(fault(0, "one.test", {{"junk", 20}}), HasSubstr("refuse is from 15 (of the configuration)"));
  EXPECT_THAT(fault(0, "one.test", {{"VIRUS", 1}}), HasSubstr("only filter.weights"));
  EXPECT_THAT(fault(0, "one.test", {{"greylist", 1}}), HasSubstr("nobody is greylisted here"));
  EXPECT_THAT(fault(0, "", {{"junk", 5}}), HasSubstr("stand in the configuration"));
  Settings many;
  for (int i = 0; i < 101; ++i) many[fmt::format("RSPAMD_S{}", i)] = 1;
  EXPECT_EQ(change(0, "one.test", many).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(show(0, "one.test"), show(0, "")) << "nothing of it was set";
  set(0, "one.test", {{"junk", 10}});
  EXPECT_THAT(fault(1, "one.test", {{"refuse", 8}}), HasSubstr("(of the domain)"));
}

TEST_F(PoliciesTest, AnAccountsPolicyEndsWithIt) {
  start();
  set(1, "one.test", {{"junk", 10}});
  set(2, "one.test", {{"junk", 10}});
  auth_.purged_up_to = 1;
  const auto left = [] { return database_->sql("select string_agg(account_id::text, ',') from filter.policies"); };
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (left() != "2" && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(25ms);
  EXPECT_EQ(left(), "2");
  EXPECT_EQ(change(1, "one.test", {{"junk", 10}}).error().code(), ErrorCode::kNotFound);
}

TEST_F(PoliciesTest, NothingIsJudgedByOthersRulesWhenTheirsCannotBeRead) {
  start();
  set(1, "one.test", {{"refuse", std::nullopt}});
  stop();
  start();
  database_->sql("alter table filter.policies rename to away");
  v1::CheckMessageRequest request;
  request.mutable_transaction()->set_delivery_id(new_uuid());
  auto& recipient = *request.add_recipients();
  recipient.set_account_id(1);
  recipient.set_recipient("1@one.test");
  recipient.set_address("1@one.test");
  request.set_message(kNoFrom);
  request.set_size(request.message().size());
  v1::FilterClient client(smtp_);
  const auto answer = attempt(client.check_message(request));
  ASSERT_TRUE(answer.has_error());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
}

TEST_F(PoliciesTest, WhoIsNeverGreylistedIsNotAskedToWait) {
  config_.mutable_greylist()->set_enabled(true);
  config_.mutable_greylist()->set_threshold(4);
  start();
  EXPECT_EQ(bring({"1@one.test"}).reply().code(), 451);
  EXPECT_TRUE(bring({"1@one.test"}).thresholds().greylists());
  EXPECT_EQ(bring({"1@one.test"}).thresholds().greylist(), 4);
  set(1, "one.test", {{"greylist", std::nullopt}});
  EXPECT_EQ(decisions(bring({"1@one.test"})), "JUNK: JUNK");
  EXPECT_EQ(decisions(bring({"1@one.test", "2@two.test"})), "JUNK: JUNK JUNK") << "one answer for both";
  EXPECT_EQ(decisions(bring({"2@two.test"})), "TEMPORARY: TEMPORARY");
  EXPECT_THAT(fault(2, "two.test", {{"greylist", 7}}), HasSubstr("greylist from 7 points on"));
}

}  // namespace
}  // namespace merpati::filter
