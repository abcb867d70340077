// Scripts over messages: what each recipient's script wants, and what is remembered from one message to the next.
#include <gmock/gmock.h>

#include <fstream>

#include "filter/memory.hpp"
#include "filter_fixture.hpp"

namespace merpati::filter {
namespace {

using testing::HasSubstr;

class SieveTest : public FilterTest {
 protected:
  void script(std::int64_t account, const std::string& source) {
    const auto response = put(account, "mine", source);
    ASSERT_TRUE(response.stored()) << response.DebugString();
    ASSERT_EQ(activate(account, "mine"), ErrorCode::kUnknown);
  }

  v1::CheckMessageRequest message(std::vector<std::int64_t> accounts, const std::string& id = "<m1@remote.test>",
                                  const std::string& sender = "bob@remote.test") {
    v1::CheckMessageRequest request;
    auto& transaction = *request.mutable_transaction();
    transaction.set_delivery_id(new_uuid());
    transaction.set_reverse_path(sender);
    transaction.set_client_address("192.0.2.1");
    transaction.set_receiving_host("mx.example.test");
    for (const auto account : accounts) {
      auto& recipient = *request.add_recipients();
      recipient.set_account_id(account);
      recipient.set_recipient("u" + std::to_string(account) + "@example.test");
      recipient.set_address(recipient.recipient());
    }
    request.set_message(
        "From: bob@remote.test\r\nTo: u1@example.test, u2@example.test\r\nSubject: hello\r\nMessage-ID: " + id +
        "\r\n\r\nbody\r\n");
    request.set_size(request.message().size());
    return request;
  }
  Result<v1::CheckMessageResponse> try_check(const v1::CheckMessageRequest& request) {
    v1::FilterClient client(smtp_);
    rpc::CallOptions options;
    options.deadline = Deadline::after(30s);
    return attempt(client.check_message(request, options));
  }
  v1::CheckMessageResponse check(const v1::CheckMessageRequest& request) {
    auto response = try_check(request);
    EXPECT_TRUE(response.has_value()) << (response.has_error() ? response.error().describe() : "");
    return response.has_value() ? *response : v1::CheckMessageResponse();
  }
  void settle(const v1::CheckMessageRequest& message, bool taken) {
    v1::SettleMessageRequest request;
    request.set_delivery_id(message.transaction().delivery_id());
    request.set_taken(taken);
    v1::FilterClient client(smtp_);
    call(client.settle_message(request));
  }
  static int answers(const v1::CheckMessageResponse& response) {
    int count = 0;
    for (const auto& verdict : response.recipients())
      for (const auto& action : verdict.actions()) count += action.has_send();
    return count;
  }
};

constexpr const char* kVacation = "require \"vacation\"; vacation \"Away\";";
constexpr const char* kDuplicate = "require [\"duplicate\", \"fileinto\"]; if duplicate { fileinto \"Again\"; }";

std::string place(const v1::CheckMessageResponse& response) {
  const auto& actions = response.recipients(0).actions();
  return actions.empty() ? "INBOX" : actions[0].file_into().mailbox();
}

TEST_F(SieveTest, EachRecipientsOwnScript) {
  start();
  script(1, "require \"fileinto\"; fileinto \"a\";");
  script(2, "discard;");
  const auto response = check(message({1, 2, 3}));
  EXPECT_EQ(response.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(response.recipients(0).actions(0).file_into().mailbox(), "a");
  EXPECT_EQ(response.recipients(1).decision(), v1::DECISION_DISCARD);
  EXPECT_EQ(response.recipients(2).actions_size(), 0);
  EXPECT_FALSE(response.settle());
}

TEST_F(SieveTest, AChangeIsEffectiveForTheNextMessage) {
  start();
  script(1, "require \"fileinto\"; fileinto \"a\";");
  EXPECT_EQ(place(check(message({1}))), "a");
  EXPECT_EQ(place(check(message({1}))), "a") << "compiled before";
  script(1, "require \"fileinto\"; fileinto \"b\";");
  EXPECT_EQ(place(check(message({1}))), "b");
  ASSERT_EQ(activate(1, ""), ErrorCode::kUnknown);
  EXPECT_EQ(place(check(message({1}))), "INBOX");
}

TEST_F(SieveTest, VacationOnceForASender) {
  start();
  script(1, kVacation);
  const auto first = message({1});
  const auto response = check(first);
  EXPECT_EQ(answers(response), 1);
  EXPECT_TRUE(response.settle());
  EXPECT_EQ(answers(check(first)), 1) << "the same delivery again";
  EXPECT_EQ(answers(check(message({1}))), 0) << "while the first is on its way";
  settle(first, true);
  EXPECT_EQ(answers(check(message({1}, "<m2@remote.test>"))), 0);
  EXPECT_EQ(answers(check(message({1}, "<m3@remote.test>", "carol@remote.test"))), 1) << "another sender";
  database_->sql("update filter.memory set counted_until = now() - interval '1 second'");
  EXPECT_EQ(answers(check(message({1}, "<m4@remote.test>"))), 1) << "the time is over";
}

TEST_F(SieveTest, VacationKnowsTheAccountsAliases) {
  start();
  script(1, kVacation);
  const auto to = [&](const std::string& addresses, const std::string& sender) {
    auto request = message({1}, "<m1@remote.test>", sender);
    auto& text = *request.mutable_message();
    const std::string old = "u1@example.test, u2@example.test";
    text.replace(text.find(old), old.size(), addresses);
    request.set_size(text.size());
    return answers(check(request));
  };
  EXPECT_EQ(to("list@example.test, alias-of-1@example.test", "a@remote.test"), 1);
  EXPECT_EQ(auth_.senders_checked, 2);
  EXPECT_EQ(to("list@example.test, alias-of-2@example.test", "b@remote.test"), 0);
  EXPECT_EQ(auth_.senders_checked, 4);
  EXPECT_EQ(to("u1@example.test, alias-of-1@example.test", "c@remote.test"), 1);
  EXPECT_EQ(auth_.senders_checked, 4) << "what the delivery knows is not asked for";
}

TEST_F(SieveTest, AskingAListOfTheOperator) {
  auto& list = *config_.mutable_sieve()->add_lists();
  list.set_name("tag:example.test,2026:friends");
  list.add_entries("Bob@Remote.test");
  start();
  script(1,
         "require [\"extlists\", \"fileinto\"];\n"
         "if address :list \"from\" \"tag:example.test,2026:friends\" { fileinto \"Friends\"; }");
  EXPECT_EQ(place(check(message({1}))), "Friends");
  script(1, "require \"extlists\"; redirect :list \"tag:example.test,2026:friends\";");
  const auto response = check(message({1}));
  ASSERT_EQ(response.recipients(0).actions_size(), 1);
  EXPECT_EQ(response.recipients(0).actions(0).redirect().address(), "bob@remote.test");
}

TEST_F(SieveTest, VacationOnceForMessagesThatComeTogether) {
  start();
  script(1, kVacation);
  std::vector<v1::CheckMessageRequest> messages;
  for (int i = 0; i < 20; ++i) messages.push_back(message({1}, "<m" + std::to_string(i) + "@remote.test>"));
  const v1::FilterClient client(smtp_);
  std::vector<std::future<Result<v1::CheckMessageResponse>>> checks;
  for (const auto& each : messages)
    checks.push_back(asio::co_spawn(process_->loops().main(), client.check_message(each), asio::use_future));
  int answered = 0;
  for (auto& check : checks) answered += answers(check.get().value());
  EXPECT_EQ(answered, 1);
}

TEST_F(SieveTest, VacationOfAMessageThatWasNotTakenDoesNotCount) {
  start();
  script(1, kVacation);
  const auto first = message({1});
  EXPECT_EQ(answers(check(first)), 1);
  settle(first, false);
  const auto second = message({1});
  EXPECT_EQ(answers(check(second)), 1);
  settle(second, true);
  EXPECT_EQ(answers(check(message({1}))), 0);
}

TEST_F(SieveTest, VacationOfAnEdgeThatDiedIsAskedAboutLater) {
  start();
  script(1, kVacation);
  EXPECT_EQ(answers(check(message({1}))), 1);
  EXPECT_EQ(answers(check(message({1}))), 0);
  EXPECT_EQ(store_.resolutions, 0);
  database_->sql("update filter.memory set claimed_at = now() - interval '10 minutes'");
  EXPECT_EQ(answers(check(message({1}))), 1) << "the store says that it was not delivered";
  EXPECT_EQ(store_.resolutions, 1);
}

TEST_F(SieveTest, DuplicateCountsOnceDelivered) {
  start();
  script(1, kDuplicate);
  const auto first = message({1});
  EXPECT_EQ(place(check(first)), "INBOX");
  EXPECT_EQ(place(check(first)), "INBOX") << "the same delivery again";
  settle(first, true);
  EXPECT_EQ(place(check(message({1}))), "Again");
  EXPECT_EQ(place(check(message({1}, "<m2@remote.test>"))), "INBOX");
}

TEST_F(SieveTest, DuplicateOfADeliveryWhoseEndNobodyTold) {
  start();
  script(1, kDuplicate);
  script(2, kDuplicate);
  const auto first = message({1}), other = message({2});
  check(first);
  check(other);
  store_.committed.insert(first.transaction().delivery_id());
  EXPECT_EQ(place(check(message({1}))), "Again");
  EXPECT_EQ(place(check(message({2}))), "INBOX") << "it was never stored, so this one must be kept";
  EXPECT_EQ(store_.resolutions, 2);
}

TEST_F(SieveTest, WhatTheStoreIsNeededForWaitsForIt) {
  start();
  script(1, "require [\"mailbox\", \"fileinto\"]; if mailboxexists \"a\" { fileinto \"a\"; }");
  store_.fail = Error(ErrorCode::kUnavailable, "down");
  EXPECT_EQ(try_check(message({1})).error().code(), ErrorCode::kUnavailable);
  store_.fail.reset();
  EXPECT_EQ(place(check(message({1}))), "INBOX");
  store_.mailboxes.add_mailboxes()->set_name("a");
  EXPECT_EQ(place(check(message({1}))), "a");
}

TEST_F(SieveTest, WithoutTheDatabaseNothingIsFiledWrongly) {
  start();
  script(1, "discard;");
  database_->stop();
  EXPECT_EQ(try_check(message({1})).error().code(), ErrorCode::kUnavailable);
  database_->start();
}

TEST_F(SieveTest, IncludesItsOwnScripts) {
  start();
  put(1, "other", "require \"fileinto\"; fileinto \"b\";");
  put(1, "round", "require \"include\"; include \"round\";");
  script(1, "require \"include\"; include \"other\";");
  EXPECT_EQ(place(check(message({1}))), "b");
  script(1, "require \"include\"; include \"round\";");
  const auto response = check(message({1}));
  EXPECT_TRUE(response.recipients(0).actions(0).has_file_into()) << "a run-time error keeps";
  EXPECT_EQ(response.recipients(0).actions(0).file_into().mailbox(), "");
}

TEST_F(SieveTest, AnErrorKeepsAndIsToldOnce) {
  start();
  script(1, "require [\"include\", \"fileinto\"]; fileinto \"a\"; include \"none\";");
  const auto first = message({1});
  const auto response = check(first);
  ASSERT_EQ(response.recipients(0).actions_size(), 2);
  EXPECT_EQ(response.recipients(0).actions(0).file_into().mailbox(), "");
  EXPECT_EQ(response.recipients(0).actions(1).send().recipients(0), "u1@example.test");
  EXPECT_THAT(response.recipients(0).actions(1).send().message(), HasSubstr("no script \"none\" to include"));
  settle(first, true);
  EXPECT_EQ(answers(check(message({1}))), 0);
  script(1, "require [\"include\"]; include \"none\";");
  EXPECT_EQ(answers(check(message({1}))), 1) << "another version of it";
}

TEST_F(SieveTest, RefusedWhenAllAgree) {
  start();
  script(1, "require \"reject\"; reject \"No\";");
  script(2, "require \"reject\"; reject \"Neither\";");
  auto response = check(message({1, 2}));
  EXPECT_EQ(response.recipients(0).decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(response.recipients(1).decision(), v1::DECISION_REFUSE);
  response = check(message({1, 3}));
  EXPECT_EQ(response.recipients(0).decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(answers(response), 1);
  EXPECT_EQ(response.recipients(1).actions_size(), 0);
}

TEST_F(SieveTest, ScriptsOfTheOperatorRunBeforeAndAfter) {
  const std::string before = testing::TempDir() + "before.sieve", after = testing::TempDir() + "after.sieve";
  std::ofstream(before) << "require [\"fileinto\", \"copy\"]; fileinto :copy \"archive\";";
  std::ofstream(after) << "require \"fileinto\"; if header \"subject\" \"hello\" { fileinto \"last\"; }";
  config_.mutable_sieve()->add_before(before);
  config_.mutable_sieve()->add_after(after);
  start();
  script(1, "require \"fileinto\"; fileinto \"a\"; stop;");
  auto response = check(message({1}));
  ASSERT_EQ(response.recipients(0).actions_size(), 2);
  EXPECT_EQ(response.recipients(0).actions(0).file_into().mailbox(), "archive");
  EXPECT_EQ(response.recipients(0).actions(1).file_into().mailbox(), "a");
  response = check(message({2}));
  ASSERT_EQ(response.recipients(0).actions_size(), 2) << "an account without a script";
  EXPECT_EQ(response.recipients(0).actions(1).file_into().mailbox(), "last");
}

TEST_F(SieveTest, ScriptsKnowTheScore) {
  auto& weight = *config_.add_weights();
  weight.set_symbol("NO_FROM");
  weight.set_score(6);
  start();
  script(1,
         "require [\"spamtest\", \"virustest\", \"relational\", \"comparator-i;ascii-numeric\", \"fileinto\"]; "
         "if not virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\" { stop; } "
         "if spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"5\" { fileinto \"bad\"; } else { fileinto "
         "\"good\"; }");
  EXPECT_EQ(place(check(message({1}))), "good");
  auto request = message({1});
  request.set_message("Subject: from nobody\r\n\r\n");
  const auto response = check(request);
  EXPECT_EQ(response.decision(), v1::DECISION_JUNK);
  EXPECT_EQ(place(response), "bad") << "a script's filing stands above the checks'";
  request.set_scripts_only(true);
  EXPECT_EQ(place(check(request)), "good") << "not tested is 0";
}

TEST_F(SieveTest, LongRunsEndAndTheMessageIsKept) {
  start();
  std::string source = "require [\"variables\", \"fileinto\"]; set \"x\" \"aaaaaaaaaaaaaaaa\"; ";
  for (int i = 0; i < 12; ++i) source += "set \"x\" \"${x}${x}\"; ";
  for (int i = 0; i < 2000; ++i) source += "if string :matches \"${x}\" \"*a*b*c\" { stop; } ";
  script(1, source + "fileinto \"a\";");
  const auto response = check(message({1}));
  EXPECT_EQ(response.recipients(0).actions(0).file_into().mailbox(), "") << "not filed: the run was ended";
  EXPECT_EQ(answers(response), 1);
}

TEST_F(SieveTest, MemoryThatCountsNoMoreIsForgotten) {
  start();
  script(1, kVacation);
  const auto first = message({1});
  check(first);
  settle(first, true);
  EXPECT_EQ(database_->sql("select count(*) from filter.memory where forget_at > now() + interval '6 days'"), "1");
  pg::PoolOptions options;
  options.dsn = database_->dsn();
  options.schema = "filter";
  pg::Pool pool({process_->loops().main()}, options);
  Memory memory(pool);
  EXPECT_EQ(call(memory.forget(Deadline::after(5s))), 0);
  database_->sql("update filter.memory set forget_at = now() - interval '1 second'");
  EXPECT_EQ(call(memory.forget(Deadline::after(5s))), 1);
  pool.close();
}

}  // namespace
}  // namespace merpati::filter
