// What is learnt is kept in PostgreSQL: it counts once, can be taken back exactly, and moves the scores of mail.
#include <fmt/format.h>

#include "filter/bayes_models.hpp"
#include "filter_fixture.hpp"
#include "merpati/filter/v1/learning.rpc.hpp"

namespace merpati::filter {
namespace {

std::string mail(const std::string& text, int number = 0) {
  return fmt::format("From: a@sender.example\r\nMessage-ID: <{}.{}@sender.example>\r\nSubject: news\r\n\r\n{}\r\n",
                     std::hash<std::string>{}(text), number, text);
}
const std::string kSpam = "cheap pills for sale buy now limited offer wonder drug";
const std::string kHam = "the minutes of our meeting about the garden are attached";

class BayesTest : public FilterTest {
 protected:
  void SetUp() override {
    FilterTest::SetUp();
    config_.mutable_bayes()->set_min_learnt(5);
    config_.mutable_bayes()->set_own_min_learnt(3);
  }
  Result<v1::LearnResponse> try_learn(std::int64_t account, v1::Lesson lesson, const std::vector<std::string>& mails) {
    v1::LearnRequest request;
    request.set_account_id(account);
    request.set_lesson(lesson);
    for (const auto& message : mails) request.add_messages(message);
    v1::LearningClient client(admin_);
    return attempt(client.learn(request));
  }
  /// "learnt changed known: spam ham"
  std::string learn(std::int64_t account, v1::Lesson lesson, const std::vector<std::string>& mails) {
    const auto done = try_learn(account, lesson, mails);
    if (done.has_error()) return done.error().describe();
    return fmt::format("{} {} {}: {} {}", done->learnt(), done->changed(), done->known(), done->model().spam(),
                       done->model().ham());
  }
  void learn_both(std::int64_t account, int count) {
    std::vector<std::string> spam, ham;
    for (int i = 0; i < count; ++i) spam.push_back(mail(kSpam, i)), ham.push_back(mail(kHam, i));
    learn(account, v1::LESSON_SPAM, spam);
    learn(account, v1::LESSON_HAM, ham);
  }
  v1::CheckMessageResponse check(const std::string& text, std::vector<std::int64_t> accounts = {1, 2}) {
    v1::CheckMessageRequest request;
    request.mutable_transaction()->set_delivery_id(new_uuid());
    request.mutable_transaction()->set_listener("mx");
    for (const auto account : accounts) {
      auto& recipient = *request.add_recipients();
      recipient.set_account_id(account);
      recipient.set_recipient(fmt::format("u{}@example.test", account));
    }
    request.set_message(mail(text, 77));
    request.set_size(request.message().size());
    v1::FilterClient client(smtp_);
    return call(client.check_message(request));
  }
  static std::string symbols(const v1::CheckMessageResponse& response) {
    std::string out;
    for (const auto& symbol : response.symbols())
      if (symbol.engine() == "bayes") out += symbol.name() + " " + symbol.detail() + ";";
    return out;
  }
  static std::string names(const v1::CheckMessageResponse& response) {
    std::string out;
    for (const auto& symbol : response.symbols())
      if (symbol.engine() == "bayes") out += symbol.name() + " ";
    return out;
  }
  /// Every table but for dates.
  std::string everything() {
    return database_->sql(
        "select (select string_agg(concat_ws(' ', account_id, token, spam, ham), ',' order by account_id, token) from "
        "filter.bayes_tokens) || '/' || (select string_agg(concat_ws(' ', account_id, spam, ham, tokens), ',' order by "
        "account_id) from filter.bayes_models)");
  }
};

TEST_F(BayesTest, NothingIsSaidBeforeEnoughWasLearnt) {
  start();
  EXPECT_EQ(symbols(check(kSpam)), "");
  learn_both(kModelOfAll, 4);
  EXPECT_EQ(symbols(check(kSpam)), "");
  learn_both(kModelOfAll, 5);
  const auto spam = check(kSpam);
  EXPECT_EQ(names(spam), "BAYES_SPAM ");
  EXPECT_GT(spam.score(), 0);
  const auto ham = check(kHam);
  EXPECT_EQ(names(ham), "BAYES_HAM ");
  EXPECT_LT(ham.score(), 0);
  EXPECT_EQ(names(check("something else altogether has come up")), "");
}

TEST_F(BayesTest, AnOwnModelFilesForItsAccountAlone) {
  start();
  learn_both(2, 3);
  const auto response = check(kSpam);
  EXPECT_EQ(response.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(response.recipients(0).decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(response.recipients(1).decision(), v1::DECISION_JUNK);
  EXPECT_EQ(names(response), "OWN_BAYES_SPAM ");
  EXPECT_NE(symbols(response).find(", for recipient 2"), std::string::npos) << symbols(response);
  EXPECT_EQ(names(check(kSpam, {1})), "") << "another account learnt nothing";
}

TEST_F(BayesTest, AMessageCountsOnce) {
  start();
  EXPECT_EQ(learn(1, v1::LESSON_SPAM, {mail(kSpam, 1), mail(kSpam, 1), mail(kSpam, 2)}), "2 0 1: 2 0");
  const auto before = everything();
  EXPECT_EQ(learn(1, v1::LESSON_SPAM, {mail(kSpam, 1)}), "0 0 1: 2 0");
  EXPECT_EQ(everything(), before);
  EXPECT_EQ(learn(1, v1::LESSON_SPAM, {"Received: from a by b\r\n" + mail(kSpam, 1)}), "0 0 1: 2 0")
      << "the same one, as it lies in a mailbox";
  EXPECT_EQ(learn(2, v1::LESSON_SPAM, {mail(kSpam, 1)}), "1 0 0: 1 0") << "another's model";
}

TEST_F(BayesTest, TakingBackIsExact) {
  start();
  learn_both(1, 2);
  const auto before = everything();
  EXPECT_EQ(learn(1, v1::LESSON_SPAM, {mail(kSpam + " and a new word", 9)}), "1 0 0: 3 2");
  EXPECT_NE(everything(), before);
  EXPECT_EQ(learn(1, v1::LESSON_TAKE_BACK, {mail(kSpam + " and a new word", 9)}), "0 1 0: 2 2");
  EXPECT_EQ(everything(), before);
  EXPECT_EQ(learn(1, v1::LESSON_TAKE_BACK, {mail(kSpam + " and a new word", 9)}), "0 0 1: 2 2");
  // The other way is the same as taking back and learning anew.
  EXPECT_EQ(learn(1, v1::LESSON_HAM, {mail(kSpam, 0)}), "0 1 0: 1 3");
  EXPECT_EQ(learn(1, v1::LESSON_SPAM, {mail(kSpam, 0)}), "0 1 0: 2 2");
  EXPECT_EQ(everything(), before);
}

TEST_F(BayesTest, WhatAnotherTokenizerLearntIsTakenFromTheTotalsAlone) {
  start();
  learn_both(1, 1);
  database_->sql("update filter.bayes_learnt set tokenizer = 0");
  EXPECT_EQ(learn(1, v1::LESSON_HAM, {mail(kSpam, 0)}), "0 1 0: 0 2");
  EXPECT_EQ(database_->sql("select count(*) from filter.bayes_tokens where spam < 0 or ham < 0"), "0");
}

TEST_F(BayesTest, AFullModelLearnsOfWhatItKnows) {
  config_.mutable_bayes()->set_own_max_tokens(10);
  start();
  learn(1, v1::LESSON_SPAM, {mail(kSpam, 1)});
  const auto tokens = database_->sql("select tokens from filter.bayes_models where account_id = 1");
  EXPECT_GT(std::stoi(tokens), 10) << "one message may go beyond";
  EXPECT_EQ(learn(1, v1::LESSON_SPAM, {mail(kHam, 1)}), "1 0 0: 2 0");
  EXPECT_EQ(database_->sql("select tokens from filter.bayes_models where account_id = 1"), tokens);
  EXPECT_EQ(database_->sql("select count(*) from filter.bayes_tokens where account_id = 1"), tokens);
}

TEST_F(BayesTest, WhatIsOldIsForgotten) {
  config_.mutable_bayes()->set_own_max_tokens(100);
  start();
  learn_both(1, 2);
  learn_both(kModelOfAll, 2);
  database_->sql("update filter.bayes_models set tidied_on = current_date - 1");
  database_->sql("update filter.bayes_tokens set learnt_on = current_date - 200 where account_id = 1 and ham > 0");
  database_->sql("update filter.bayes_learnt set learnt_on = current_date - 200 where account_id = 1 and spam");
  const auto tidy = [](int most) {
    for (int i = 0; i < 5; ++i)
      database_->sql(fmt::format("set search_path to filter; select tidy_bayes(180, {}, 1000000, 3)", most));
  };
  tidy(1000);
  EXPECT_EQ(database_->sql("select count(*) from filter.bayes_tokens where account_id = 1 and ham > 0"), "0");
  EXPECT_GT(std::stoi(database_->sql("select count(*) from filter.bayes_tokens where account_id = 1")), 5);
  EXPECT_EQ(database_->sql("select count(*) from filter.bayes_learnt where account_id = 1"), "2");
  EXPECT_EQ(database_->sql("select count(*) from filter.bayes_learnt where account_id = 0"), "3") << "the newest";
  EXPECT_EQ(
      database_->sql("select bool_and(m.tokens = (select count(*) from filter.bayes_tokens t where t.account_id = "
                     "m.account_id)) from filter.bayes_models m"),
      "t");
  database_->sql("update filter.bayes_models set tidied_on = current_date - 1");
  tidy(10);
  EXPECT_EQ(database_->sql("select count(*) from filter.bayes_tokens where account_id = 1"), "9")
      << "a full one gets some room";
}

TEST_F(BayesTest, AnAccountsModelEndsWithIt) {
  start();
  learn_both(1, 1);
  learn_both(2, 1);
  auth_.purged_up_to = 1;
  const auto left = [] { return database_->sql("select count(*) from filter.bayes_tokens where account_id = 1"); };
  for (int i = 0; i < 400 && left() != "0"; ++i) std::this_thread::sleep_for(25ms);
  EXPECT_EQ(left(), "0");
  EXPECT_EQ(database_->sql("select string_agg(account_id::text, ',') from filter.bayes_models"), "2");
  EXPECT_EQ(try_learn(1, v1::LESSON_SPAM, {mail(kSpam)}).error().code(), ErrorCode::kNotFound);
}

TEST_F(BayesTest, AnotherReplicaFindsOutByItself) {
  start();
  EXPECT_EQ(symbols(check(kSpam)), "");
  stop();
  start();
  learn_both(kModelOfAll, 5);
  stop();
  start();
  // The first look at the models happens side by side with this.
  std::string found;
  for (int i = 0; i < 400 && found.empty(); ++i) found = names(check(kSpam)), std::this_thread::sleep_for(5ms);
  EXPECT_EQ(found, "BAYES_SPAM ");
}

TEST_F(BayesTest, WrongRequestsAreToldWhatIsWrong) {
  start();
  EXPECT_EQ(try_learn(1, v1::LESSON_UNSPECIFIED, {mail(kSpam)}).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(try_learn(1, v1::LESSON_SPAM, {std::string(3 << 20, 'x')}).error().code(), ErrorCode::kInvalidArgument);
  stop();
  config_.mutable_bayes()->set_enabled(false);
  start();
  EXPECT_EQ(try_learn(1, v1::LESSON_SPAM, {mail(kSpam)}).error().code(), ErrorCode::kFailedPrecondition);
}

TEST_F(BayesTest, WithoutItsTablesMailGoesOn) {
  start();
  learn_both(kModelOfAll, 5);
  database_->sql("alter table filter.bayes_models rename to away");
  const auto response = check(kSpam);
  EXPECT_EQ(response.decision(), v1::DECISION_ACCEPT);
  EXPECT_EQ(names(response), "BAYES ");
}

}  // namespace
}  // namespace merpati::filter
