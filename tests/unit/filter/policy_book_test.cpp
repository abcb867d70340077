// What a replica remembers of policies: asked for once, until something has changed.
#include "filter/policy_book.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>

namespace merpati::filter {
namespace {

class FakeTable : public PolicyLookup {
 public:
  Task<StoredPolicies> find(std::vector<std::int64_t> accounts, std::vector<std::string> domains, Deadline) override {
    ++asked;
    last_accounts = accounts;
    last_domains = domains;
    StoredPolicies out;
    for (const auto account : accounts)
      if (stored.accounts.contains(account)) out.accounts[account] = stored.accounts[account];
    for (const auto& domain : domains)
      if (stored.domains.contains(domain)) out.domains[domain] = stored.domains[domain];
    if (while_asked) while_asked();
    if (fail) co_return *fail;
    co_return out;
  }
  Task<PolicyVersion> version(Deadline) override {
    const PolicyVersion read = now;
    if (while_read) while_read();
    co_return read;
  }

  StoredPolicies stored;
  PolicyVersion now;
  std::optional<Error> fail;
  std::function<void()> while_asked, while_read;
  int asked = 0;
  std::vector<std::int64_t> last_accounts;
  std::vector<std::string> last_domains;
};

class PolicyBookTest : public ::testing::Test {
 protected:
  template <class T>
  static Result<T> run(Task<T> task) {
    asio::io_context loop;
    auto done = asio::co_spawn(loop, std::move(task), asio::use_future);
    loop.run();
    return done.get();
  }
  RulesOfRecipients rules(std::vector<RecipientOwner> owners) {
    return run(book_.rules_for(std::move(owners), Deadline::never())).value();
  }
  double junk(std::int64_t account, const std::string& domain = "a.test") {
    return rules({{account, domain}})[0]->scoring.thresholds.junk;
  }
  void refresh() { ASSERT_TRUE(run(book_.refresh(Deadline::never())).has_value()); }

  FakeTable table_;
  PolicyBook book_{table_, std::make_shared<const Rules>()};
};

TEST_F(PolicyBookTest, OneQuestionForAllRecipientsAndNoneForThoseThatAreKnown) {
  table_.stored.accounts[1] = {{"junk", 3}};
  table_.stored.domains["b.test"] = {{"junk", 8}};
  const auto found = rules({{1, "a.test"}, {2, "a.test"}, {3, "b.test"}, {4, "b.test"}, {0, "b.test"}});
  EXPECT_EQ(table_.asked, 1);
  EXPECT_EQ(table_.last_accounts, (std::vector<std::int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(table_.last_domains, (std::vector<std::string>{"a.test", "b.test"}));
  EXPECT_EQ(found[0]->scoring.thresholds.junk, 3);
  EXPECT_EQ(found[1], book_.configured());
  EXPECT_EQ(found[2]->scoring.thresholds.junk, 8);
  EXPECT_EQ(found[2], found[3]) << "judged once";
  EXPECT_EQ(found[4], book_.configured()) << "an address elsewhere";
  rules({{1, "a.test"}, {2, "a.test"}, {3, "b.test"}});
  EXPECT_EQ(table_.asked, 1);
  rules({{1, "a.test"}, {5, "c.test"}});
  EXPECT_EQ(table_.asked, 2);
  EXPECT_EQ(table_.last_accounts, std::vector<std::int64_t>{5});
  EXPECT_EQ(table_.last_domains, std::vector<std::string>{"c.test"});
}

TEST_F(PolicyBookTest, WhatHasChangedIsAskedForAgain) {
  table_.now = {7, true};
  refresh();
  EXPECT_EQ(junk(1), 6);
  table_.stored.accounts[1] = {{"junk", 3}};
  refresh();
  EXPECT_EQ(junk(1), 6) << "nothing moved";
  table_.now = {8, true};
  refresh();
  EXPECT_EQ(junk(1), 3);
  EXPECT_EQ(table_.asked, 2);
  table_.stored.accounts[1] = {{"junk", 4}};
  book_.forget();
  EXPECT_EQ(junk(1), 4) << "by this replica itself";
}

TEST_F(PolicyBookTest, WhereNobodyHasOneNobodyIsAskedFor) {
  EXPECT_EQ(junk(1), 6);
  EXPECT_EQ(table_.asked, 1) << "not known yet";
  table_.now = {1, false};
  refresh();
  EXPECT_EQ(junk(2), 6);
  EXPECT_EQ(table_.asked, 1);
  table_.stored.accounts[2] = {{"junk", 3}};
  table_.now = {2, true};
  refresh();
  EXPECT_EQ(junk(2), 3);
}

TEST_F(PolicyBookTest, WhatChangedWhileItWasAskedForIsNotRemembered) {
  table_.now = {1, true};
  refresh();
  table_.while_asked = [&] {
    table_.while_asked = nullptr;
    table_.stored.accounts[1] = {{"junk", 3}};
    table_.now = {2, true};
    refresh();
  };
  EXPECT_EQ(junk(1), 6) << "as it was when it was asked for";
  EXPECT_EQ(junk(1), 3);
}

TEST_F(PolicyBookTest, ALookFromBeforeAChangeOfOurOwnSaysNothing) {
  table_.now = {1, false};
  table_.while_read = [&] {
    table_.stored.accounts[1] = {{"junk", 3}};
    book_.forget();
  };
  refresh();
  EXPECT_EQ(junk(1), 3);
}

TEST_F(PolicyBookTest, WhatCannotBeReadIsNotTakenForNothing) {
  table_.fail = Error(ErrorCode::kUnavailable, "down");
  EXPECT_TRUE(run(book_.rules_for({{1, "a.test"}}, Deadline::never())).has_error());
  table_.fail.reset();
  table_.stored.accounts[1] = {{"junk", 3}};
  EXPECT_EQ(junk(1), 3);
}

}  // namespace
}  // namespace merpati::filter
