// Mail that people move into Junk and out of it is taught to the filter, behind their backs.
#include <gmock/gmock.h>

#include "fixture.hpp"
#include "merpati/filter/v1/learning.rpc.hpp"

namespace merpati::imap::testing {
namespace {

using ::testing::HasSubstr;

class FakeFilter final : public filter::v1::LearningService {
 public:
  Task<filter::v1::LearnResponse> learn(rpc::Context& context, const filter::v1::LearnRequest& request) override {
    asked.push_back(request);
    if (context.claims() == nullptr || context.claims()->account_id() != request.account_id())
      co_return Error(ErrorCode::kInternal, "no token of the account");
    if (hangs) MERPATI_CO_CHECK(co_await sleep_for(std::chrono::hours(1)));
    if (failure) co_return *failure;
    co_return filter::v1::LearnResponse();
  }
  std::vector<filter::v1::LearnRequest> asked;
  std::optional<Error> failure;
  bool hangs = false;
};

class JunkTeacherTest : public ImapTest {
 protected:
  JunkTeacherTest() {
    filter_dispatcher_.register_service(filter_);
    filter_channel_ = rpc::in_process_channel(filter_dispatcher_, rpc::Role::kImap);
    config_.set_learn_from_junk(true);
    store.create("Junk").use = pb::SPECIAL_USE_JUNK;
    store.create("Trash").use = pb::SPECIAL_USE_TRASH;
    store.create("Archive");
  }
  double counted(const char* result) {
    return process_.metrics().counter("merpati_imap_junk_moves_total", "", {{"result", result}}).value();
  }
  /// Waits until so many moves were learnt or dropped.
  void wait_for(const char* result, double wanted) {
    for (int i = 0; i < 1000 && counted(result) < wanted; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(counted(result), wanted);
  }
  std::string taught() {
    std::string out;
    on_loop([&] {
      for (const auto& request : filter_.asked)
        out += filter::v1::Lesson_Name(request.lesson()) + " " + std::to_string(request.messages(0).size()) + ";";
      filter_.asked.clear();
    });
    return out;
  }
  FakeFilter filter_;
  rpc::Dispatcher filter_dispatcher_{keys_};
};

TEST_F(JunkTeacherTest, IntoJunkIsSpamAndOutOfItIsNot) {
  for (const char* subject : {"a", "b", "c"}) store.add("INBOX", small_mail(subject));
  start();
  const auto size = std::to_string(small_mail("a").size());
  auto client = open();
  EXPECT_THAT(client->run("MOVE 1:2 Junk"), HasSubstr("t OK"));
  wait_for("learnt", 2);
  EXPECT_EQ(taught(), "LESSON_SPAM " + size + ";LESSON_SPAM " + size + ";");
  EXPECT_THAT(client->run("COPY 1 Junk"), HasSubstr("t OK"));
  wait_for("learnt", 3);
  EXPECT_EQ(taught(), "LESSON_SPAM " + size + ";");
  client->run("SELECT Junk");
  EXPECT_THAT(client->run("MOVE 1 INBOX"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("MOVE 1 Archive"), HasSubstr("t OK"));
  wait_for("learnt", 5);
  EXPECT_EQ(taught(), "LESSON_HAM " + size + ";LESSON_HAM " + size + ";");
  // What is thrown away, and what has nothing to do with Junk, teaches nothing.
  EXPECT_THAT(client->run("MOVE 1 Trash"), HasSubstr("t OK"));
  client->run("SELECT INBOX");
  EXPECT_THAT(client->run("COPY 1 Archive"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("MOVE 1 Junk"), HasSubstr("t OK"));
  wait_for("learnt", 6);
  EXPECT_EQ(taught(), "LESSON_SPAM " + size + ";");
}

TEST_F(JunkTeacherTest, WhatIsAppendedToJunkIsSpam) {
  start();
  const auto size = std::to_string(small_mail("a").size());
  auto client = open();
  const auto append = [&](const std::string& mailbox, const std::string& subject) {
    const auto mail = small_mail(subject);
    return client->run("APPEND " + mailbox + " {" + std::to_string(mail.size()) + "+}\r\n" + mail);
  };
  EXPECT_THAT(append("Junk", "a"), HasSubstr("t OK [APPENDUID"));
  wait_for("learnt", 1);
  EXPECT_EQ(taught(), "LESSON_SPAM " + size + ";");
  // Elsewhere it says nothing, and costs no look at the mailboxes each time.
  for (const char* mailbox : {"Sent", "Archive", "INBOX"})
    EXPECT_THAT(append(mailbox, "b"), HasSubstr("t OK [APPENDUID"));
  EXPECT_THAT(append("Junk", "c"), HasSubstr("t OK [APPENDUID"));
  wait_for("learnt", 2);
  EXPECT_EQ(taught(), "LESSON_SPAM " + size + ";");
  on_loop([this] { EXPECT_EQ(store.calls["list_mailboxes"], 1); });
  EXPECT_EQ(counted("dropped"), 0);
}

TEST_F(JunkTeacherTest, AFilterThatFailsOrHangsHarmsNoMove) {
  for (const char* subject : {"a", "b", "c", "d"}) store.add("INBOX", small_mail(subject));
  filter_.failure = Error(ErrorCode::kUnavailable, "down");
  start();
  auto client = open();
  EXPECT_THAT(client->run("MOVE 1:2 Junk"), HasSubstr("t OK"));
  wait_for("dropped", 2);
  on_loop([this] { filter_.hangs = true; });
  EXPECT_THAT(client->run("MOVE 1 Junk"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("MOVE 1 Junk"), HasSubstr("t OK"));
  EXPECT_EQ(counted("learnt"), 0);
}

TEST_F(JunkTeacherTest, OneThatLearnsNothingIsLeftAlone) {
  for (const char* subject : {"a", "b", "c"}) store.add("INBOX", small_mail(subject));
  filter_.failure = Error(ErrorCode::kFailedPrecondition, "nothing is learnt here");
  start();
  auto client = open();
  EXPECT_THAT(client->run("MOVE 1 Junk"), HasSubstr("t OK"));
  for (int i = 0; i < 1000 && taught().empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_THAT(client->run("MOVE 1 Junk"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("NOOP"), HasSubstr("t OK"));
  EXPECT_EQ(taught(), "");
  EXPECT_EQ(counted("dropped"), 0);
}

TEST_F(JunkTeacherTest, WhoDoesNotWantItIsNotTaught) {
  config_.set_learn_from_junk(false);
  store.add("INBOX", small_mail("a"));
  start();
  auto client = open();
  EXPECT_THAT(client->run("MOVE 1 Junk"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("NOOP"), HasSubstr("t OK"));
  EXPECT_EQ(taught(), "");
}

}  // namespace
}  // namespace merpati::imap::testing
