// Commands that there are Sieve scripts for (RFC 6785): what the filter is asked to run, and that no command fails by
// it.
#include <gmock/gmock.h>

#include "fixture.hpp"
#include "imap/script_events.hpp"
#include "merpati/filter/v1/mailbox_events.rpc.hpp"

namespace merpati::imap::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FakeEvents final : public filter::v1::MailboxEventsService {
 public:
  Task<filter::v1::ListEventScriptsResponse> list_event_scripts(rpc::Context&,
                                                                const filter::v1::ListEventScriptsRequest&) override {
    ++asked;
    if (failure) co_return *failure;
    co_return scripts;
  }
  Task<filter::v1::RunEventScriptsResponse> run_event_scripts(
      rpc::Context& context, const filter::v1::RunEventScriptsRequest& request) override {
    if (context.claims() == nullptr || context.claims()->account_id() != request.account_id())
      co_return Error(ErrorCode::kInternal, "no token of the account");
    ran.push_back(request);
    if (hangs) MERPATI_CO_CHECK(co_await sleep_for(std::chrono::hours(1)));
    if (failure) co_return *failure;
    if (then) then(request);
    filter::v1::RunEventScriptsResponse response;
    response.set_ran(static_cast<std::uint32_t>(request.messages_size()));
    co_return response;
  }
  filter::v1::ListEventScriptsResponse scripts;
  std::vector<filter::v1::RunEventScriptsRequest> ran;
  std::optional<Error> failure;
  std::function<void(const filter::v1::RunEventScriptsRequest&)> then;
  bool hangs = false;
  int asked = 0;
};

class ScriptEventsTest : public ImapTest {
 protected:
  ScriptEventsTest() {
    filter_dispatcher_.register_service(events_);
    filter_channel_ = rpc::in_process_channel(filter_dispatcher_, rpc::Role::kImap);
    config_.set_learn_from_junk(false);
    for (const char* name : {"Work", "Work/a", "Junk"}) store.create(name);
  }
  void script(const std::string& mailbox, std::vector<filter::v1::EventCause> causes = {},
              const std::string& from = {}) {
    auto& script = *events_.scripts.add_scripts();
    script.set_mailbox(mailbox);
    script.set_from_mailbox(from);
    for (const auto cause : causes) script.add_causes(cause);
  }
  /// "COPY INBOX>Work 1 2;FLAG Work 3[\\Seen $a]"
  std::string ran() {
    std::string out;
    on_loop([&] {
      for (const auto& request : events_.ran) {
        if (!out.empty()) out += ';';
        out += filter::v1::EventCause_Name(request.cause()).substr(sizeof("EVENT_CAUSE_") - 1) + " ";
        if (!request.from_mailbox().empty()) out += request.from_mailbox() + ">";
        out += request.mailbox();
        for (const auto& message : request.messages()) {
          out += " " + std::to_string(message.uid());
          std::string flags;
          for (const auto& flag : message.changed_flags()) flags += (flags.empty() ? "" : " ") + flag;
          if (!flags.empty()) out += "[" + flags + "]";
        }
      }
      events_.ran.clear();
    });
    return out;
  }
  static std::string append(Client& client, const std::string& mailbox) {
    const auto mail = small_mail("appended");
    return client.run("APPEND " + mailbox + " {" + std::to_string(mail.size()) + "+}\r\n" + mail);
  }
  double counted(const char* result) {
    return process_.metrics().counter("merpati_imap_event_messages_total", "", {{"result", result}}).value();
  }
  FakeEvents events_;
  rpc::Dispatcher filter_dispatcher_{keys_};
};

TEST_F(ScriptEventsTest, CopiesMovesAndAppends) {
  for (const char* subject : {"a", "b", "c"}) store.add("INBOX", small_mail(subject));
  script("Work", {filter::v1::EVENT_CAUSE_COPY, filter::v1::EVENT_CAUSE_APPEND});
  start();
  auto client = open();
  EXPECT_THAT(client->run("COPY 1:2 Work"), HasSubstr("t OK [COPYUID"));
  EXPECT_EQ(ran(), "COPY INBOX>Work 1 2") << "done before the answer";
  EXPECT_THAT(client->run("MOVE 3 Work"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "COPY INBOX>Work 3") << "RFC 6851: as for COPY";
  EXPECT_THAT(append(*client, "Work"), HasSubstr("t OK [APPENDUID"));
  EXPECT_EQ(ran(), "APPEND Work 4");
  EXPECT_EQ(counted("ran"), 4);
  // What no script is meant for costs no call.
  EXPECT_THAT(client->run("COPY 1 Work/a"), HasSubstr("t OK"));
  EXPECT_THAT(append(*client, "INBOX"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("STORE 1 +FLAGS (\\Seen)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "");
  on_loop([this] { EXPECT_EQ(events_.asked, 1) << "asked once for all of them"; });
}

TEST_F(ScriptEventsTest, WhatMailboxesAndFromWhere) {
  for (int i = 0; i < 4; ++i) store.add("INBOX", small_mail("a"));
  for (int i = 0; i < 2; ++i) store.add("Junk", small_mail("a"));
  script("*", {}, "Junk");
  script("Work/%", {filter::v1::EVENT_CAUSE_COPY});
  start();
  auto client = open();
  EXPECT_THAT(client->run("COPY 1 Work"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "");
  EXPECT_THAT(client->run("COPY 1 Work/a"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "COPY INBOX>Work/a 1");
  EXPECT_THAT(append(*client, "Junk"), HasSubstr("t OK"));
  client->run("SELECT Junk");
  EXPECT_THAT(client->run("STORE 1 +FLAGS (a)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "") << "only what is copied from there";
  EXPECT_THAT(client->run("MOVE 1 inbox"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "COPY Junk>INBOX 5");
}

TEST_F(ScriptEventsTest, WhichFlagsHaveChanged) {
  store.add("INBOX", small_mail("a"), 1);
  store.add("INBOX", small_mail("b"), 4);
  store.add("INBOX", small_mail("c"));
  script("INBOX", {filter::v1::EVENT_CAUSE_FLAG});
  start();
  auto client = open();
  EXPECT_THAT(client->run("STORE 1:3 +FLAGS (\\Seen \\Flagged $a)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "FLAG INBOX 1[$a \\Flagged] 2[$a \\Seen] 3[$a \\Flagged \\Seen]");
  EXPECT_THAT(client->run("STORE 1 +FLAGS ($a)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "") << "nothing has changed";
  EXPECT_THAT(client->run("STORE 1 FLAGS.SILENT (\\Deleted)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "FLAG INBOX 1[$a \\Deleted \\Flagged \\Seen]");
  EXPECT_THAT(client->run("STORE 2 -FLAGS (\\Seen)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "FLAG INBOX 2[\\Seen]");
  EXPECT_THAT(client->run("FETCH 1:3 BODY[]"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "FLAG INBOX 1[\\Seen] 2[\\Seen]") << "RFC 6785 2.2.3: FETCH may set it";
  EXPECT_THAT(client->run("FETCH 1:3 BODY.PEEK[]"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("COPY 1 INBOX"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "");
}

TEST_F(ScriptEventsTest, TheClientSeesAtOnceWhatAScriptDid) {
  store.add("INBOX", small_mail("a"));
  script("INBOX", {filter::v1::EVENT_CAUSE_FLAG});
  events_.then = [this](const filter::v1::RunEventScriptsRequest&) {
    auto& box = store.boxes.at("INBOX");
    box.messages.at(1).keywords.insert("$scripted");
    box.messages.at(1).modseq = ++box.modseq;
    store.notify("INBOX");
  };
  start();
  auto client = open();
  EXPECT_THAT(client->run("STORE 1 +FLAGS (\\Flagged)"), HasSubstr("t OK"));
  std::string seen;
  for (int i = 0; i < 1000 && seen.find("$scripted") == std::string::npos; ++i) {
    seen = client->run("NOOP") + client->run("FETCH 1 FLAGS");
  }
  EXPECT_THAT(seen, HasSubstr("$scripted"));
}

TEST_F(ScriptEventsTest, AFilterThatFailsOrHangsHarmsNoCommand) {
  for (int i = 0; i < 3; ++i) store.add("INBOX", small_mail("a"));
  script("Work");
  start();
  auto client = open();
  EXPECT_THAT(client->run("COPY 1 Work"), HasSubstr("t OK"));
  on_loop([this] { events_.failure = Error(ErrorCode::kUnavailable, "down"); });
  EXPECT_THAT(client->run("COPY 1:2 Work"), HasSubstr("t OK"));
  EXPECT_EQ(counted("failed"), 2);
  on_loop([this] { events_.hangs = true; });
  EXPECT_THAT(client->run("COPY 3 Work"), HasSubstr("t OK"));
  EXPECT_EQ(counted("ran"), 1);
}

TEST_F(ScriptEventsTest, AFilterThatIsAwayFromTheStartIsNoHindrance) {
  store.add("INBOX", small_mail("a"));
  events_.failure = Error(ErrorCode::kUnavailable, "down");
  start();
  auto client = open();
  EXPECT_THAT(client->run("COPY 1 Work"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("STORE 1 +FLAGS (a)"), HasSubstr("t OK"));
  EXPECT_EQ(ran(), "");
}

TEST_F(ScriptEventsTest, OfManyMessagesOnlySome) {
  const int many = static_cast<int>(ScriptEvents::kMostMessages) + 50;
  for (int i = 0; i < many; ++i) store.add("INBOX", small_mail("a"));
  script("Work");
  start();
  auto client = open();
  EXPECT_THAT(client->run("COPY 1:* Work"), HasSubstr("t OK"));
  EXPECT_EQ(counted("ran"), static_cast<double>(ScriptEvents::kMostMessages));
  EXPECT_EQ(counted("dropped"), 50);
  on_loop([this] {
    for (const auto& request : events_.ran) EXPECT_LE(request.messages_size(), 100);
  });
}

TEST_F(ScriptEventsTest, NoCapabilityIsToldWithoutMetadata) {
  script("*");
  start();
  auto client = open();
  EXPECT_THAT(client->run("CAPABILITY"), Not(HasSubstr("IMAPSIEVE")));
}

}  // namespace
}  // namespace merpati::imap::testing
