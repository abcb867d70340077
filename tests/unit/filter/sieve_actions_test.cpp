// From a script to the verdict, without a server.
#include "filter/sieve_actions.hpp"

#include <gmock/gmock.h>

#include "filter/forwarding.hpp"
#include "filter/scripted_message.hpp"
#include "filter/sieve_stage.hpp"
#include "merpati/config/v1/filter.pb.h"
#include "merpati/sieve/interpreter.hpp"

namespace merpati::filter {
namespace {

using testing::HasSubstr;

const std::string kHeader =
    "From: bob@remote.test\r\nTo: alice@example.test\r\nSubject: hello\r\nMessage-ID: <m1@remote.test>\r\n\r\n";
const std::string kMessage = kHeader + "body\r\n";

struct Trial {
  std::string sender = "bob@remote.test";
  std::string message = kMessage;
  bool ours = false, junk = false, all_refuse = false, silent = false;
  std::optional<mailauth::Srs> srs;
  DeliveryWorld world;
  std::vector<v1::HeaderEdit> edits;

  v1::RecipientVerdict run(const std::string& script) {
    const auto compiled = sieve::compile(script);
    EXPECT_TRUE(compiled.script) << sieve::to_text(compiled.errors);
    google::protobuf::RepeatedPtrField<v1::HeaderEdit> all(edits.begin(), edits.end());
    const auto header = message.substr(0, message.find("\r\n\r\n") + 4);
    const auto scripted = ScriptedMessage::make(header, message, all).value();
    const sieve::NamedScript named[] = {{"mine", compiled.script}};
    world.addresses = {"alice@example.test"};
    sieve::Envelope envelope;
    envelope.from = sender;
    envelope.to = "alice+x@example.test";
    const auto outcome = sieve::run(named, scripted.octets(), envelope, world);
    error = outcome.error ? outcome.error->message : "";
    store::v1::Body body;
    ActionContext context{{"mx.example.test", "alice@example.test", sender, scripted.header(), scripted.octets(), 0},
                          world,
                          "alice+x@example.test",
                          forwarded_sender(sender, ours, "alice@example.test", srs ? &*srs : nullptr, {}),
                          junk,
                          all_refuse,
                          {},
                          [&](std::size_t version) -> const store::v1::Body& {
                            body.set_inline_(scripted.in_version(outcome.versions[version]));
                            return body;
                          }};
    if (silent) context.silent.insert(*vacation_of(outcome, junk));
    v1::RecipientVerdict verdict;
    verdict.set_decision(junk ? v1::DECISION_JUNK : v1::DECISION_ACCEPT);
    apply_outcome(outcome, context, verdict);
    return verdict;
  }
  std::string error;
};

TEST(SieveActions, KeepIsNoAction) {
  Trial t;
  EXPECT_EQ(t.run("keep;").actions_size(), 0);
  EXPECT_EQ(t.run("").actions_size(), 0);
  EXPECT_EQ(t.run("require \"imap4flags\"; addflag \"\\\\Seen\";").actions(0).file_into().flags(0), "\\Seen");
}

TEST(SieveActions, FileInto) {
  Trial t;
  const auto verdict = t.run(
      "require [\"fileinto\", \"copy\", \"mailbox\", \"imap4flags\"]; fileinto :create :flags \"$Work\" \"a/b\"; "
      "fileinto :copy \"c\"; keep;");
  ASSERT_EQ(verdict.actions_size(), 3);
  EXPECT_EQ(verdict.actions(0).file_into().mailbox(), "a/b");
  EXPECT_TRUE(verdict.actions(0).file_into().create());
  EXPECT_EQ(verdict.actions(0).file_into().flags(0), "$Work");
  EXPECT_EQ(verdict.actions(1).file_into().mailbox(), "c");
  EXPECT_EQ(verdict.actions(2).file_into().mailbox(), "");
}

TEST(SieveActions, FileIntoASpecialUse) {
  Trial t;
  t.world.mailboxes = {{"INBOX", "i", "", true}, {"Spamdir", "s", "\\Junk", true}};
  const auto verdict = t.run("require [\"fileinto\", \"special-use\"]; fileinto :specialuse \"\\\\Junk\" \"Other\";");
  EXPECT_EQ(verdict.actions(0).file_into().mailbox(), "Spamdir");
}

TEST(SieveActions, Discard) {
  Trial t;
  const auto verdict = t.run("discard;");
  EXPECT_EQ(verdict.decision(), v1::DECISION_DISCARD);
  EXPECT_EQ(verdict.actions_size(), 0);
}

TEST(SieveActions, RedirectGoesOnInTheNameOfWhoRedirects) {
  Trial t;
  auto verdict = t.run("redirect \"carol@remote.test\";");
  ASSERT_EQ(verdict.actions_size(), 1);
  const auto& redirect = verdict.actions(0).redirect();
  EXPECT_EQ(redirect.address(), "carol@remote.test");
  EXPECT_EQ(redirect.reverse_path(), "alice@example.test");
  ASSERT_EQ(redirect.edits_size(), 1);
  EXPECT_EQ(redirect.edits(0).name(), "Delivered-To");
  EXPECT_EQ(redirect.edits(0).value(), "alice+x@example.test");
  t.ours = true;
  EXPECT_EQ(t.run("redirect \"carol@remote.test\";").actions(0).redirect().reverse_path(), "bob@remote.test");
  t.sender.clear();
  EXPECT_EQ(t.run("redirect \"carol@remote.test\";").actions(0).redirect().reverse_path(), "") << "a bounce stays one";
}

TEST(SieveActions, RedirectToAList) {
  config::v1::FilterSieve config;
  auto& list = *config.add_lists();
  list.set_name("tag:example.test,2026:friends");
  for (const char* one : {"carol@x.test", "alice@example.test", "dave@x.test"}) list.add_entries(one);
  config.add_lists()->set_name("tag:example.test,2026:nobody");
  const auto lists = SieveLists::load(config).value();
  Trial t;
  t.world.lists = &lists;
  const auto verdict = t.run("require \"extlists\"; redirect :list \"tag:example.test,2026:friends\";");
  ASSERT_EQ(verdict.actions_size(), 3);
  EXPECT_TRUE(verdict.actions(0).has_file_into()) << "oneself has it already";
  EXPECT_EQ(verdict.actions(1).redirect().address(), "carol@x.test");
  EXPECT_EQ(verdict.actions(2).redirect().address(), "dave@x.test");
  EXPECT_EQ(t.run("require \"extlists\"; redirect :list \"tag:example.test,2026:nobody\";").actions(0).action_case(),
            v1::Action::kFileInto)
      << "nothing is lost by an empty list";
}

TEST(SieveActions, RedirectWithARewrittenSender) {
  Trial t;
  t.srs.emplace("example.test", std::vector<std::string>{"0123456789abcdef"});
  const std::string script = "redirect \"carol@remote.test\";";
  const auto rewritten = t.run(script).actions(0).redirect().reverse_path();
  EXPECT_THAT(rewritten, testing::StartsWith("SRS0="));
  EXPECT_EQ(t.srs->reverse(rewritten, {}).value(), "bob@remote.test");
  t.sender = std::string(60, 'x') + "@remote.test";
  EXPECT_EQ(t.run(script).actions(0).redirect().reverse_path(), "alice@example.test") << "it would be too long";
  t.sender.clear();
  EXPECT_EQ(t.run(script).actions(0).redirect().reverse_path(), "");
}

TEST(SieveActions, RedirectInACircleIsKept) {
  Trial t;
  t.message = "Delivered-To: Carol@remote.test\r\n" + kMessage;
  for (const std::string to : {"carol@remote.test", "alice@example.test", "alice+x@example.test"}) {
    const auto verdict = t.run("redirect \"" + to + "\";");
    ASSERT_EQ(verdict.actions_size(), 1) << to;
    EXPECT_TRUE(verdict.actions(0).has_file_into()) << to;
  }
}

TEST(SieveActions, RejectTellsTheClientWhenAllAgree) {
  Trial t;
  t.all_refuse = true;
  const auto verdict = t.run("require \"reject\"; reject \"No\r\nthanks\";");
  EXPECT_EQ(verdict.decision(), v1::DECISION_REFUSE);
  EXPECT_EQ(verdict.reply().code(), 550);
  EXPECT_EQ(verdict.reply().text(), "No thanks");
}

TEST(SieveActions, RejectTellsTheSenderOtherwise) {
  Trial t;
  auto verdict = t.run("require \"reject\"; reject \"No\";");
  ASSERT_EQ(verdict.actions_size(), 1);
  EXPECT_EQ(verdict.actions(0).send().reverse_path(), "");
  EXPECT_EQ(verdict.actions(0).send().recipients(0), "bob@remote.test");
  EXPECT_THAT(verdict.actions(0).send().message(), HasSubstr("disposition-notification"));
  t.junk = true;
  verdict = t.run("require \"reject\"; reject \"No\";");
  EXPECT_EQ(verdict.decision(), v1::DECISION_JUNK) << "whom spam names as its sender is told nothing";
  ASSERT_EQ(verdict.actions_size(), 1);
  EXPECT_TRUE(verdict.actions(0).has_file_into());
  t.junk = false;
  t.sender.clear();
  EXPECT_EQ(t.run("require \"ereject\"; ereject \"No\";").decision(), v1::DECISION_JUNK) << "a bounce";
}

TEST(SieveActions, VacationAnswersAndKeeps) {
  Trial t;
  const std::string script = "require [\"vacation\", \"fcc\", \"mailbox\"]; vacation :fcc \"Sent\" :create \"Away\";";
  auto verdict = t.run(script);
  ASSERT_EQ(verdict.actions_size(), 3) << t.error;
  EXPECT_EQ(verdict.actions(0).file_into().mailbox(), "Sent");
  EXPECT_TRUE(verdict.actions(0).file_into().composed());
  EXPECT_EQ(verdict.actions(0).file_into().body().inline_(), verdict.actions(1).send().message());
  EXPECT_EQ(verdict.actions(1).send().reverse_path(), "") << "RFC 5230 5";
  EXPECT_TRUE(verdict.actions(2).has_file_into());
  t.silent = true;
  verdict = t.run(script);
  ASSERT_EQ(verdict.actions_size(), 1);
  EXPECT_TRUE(verdict.actions(0).has_file_into());
}

TEST(SieveActions, SpamIsNotAnswered) {
  Trial t;
  t.junk = true;
  const auto verdict = t.run("require \"vacation\"; vacation \"Away\";");
  ASSERT_EQ(verdict.actions_size(), 1);
  EXPECT_TRUE(verdict.actions(0).has_file_into());
}

TEST(SieveActions, EditsMakeAnotherBodyWithoutWhatIsPrependedAnyway) {
  Trial t;
  auto& results = t.edits.emplace_back();
  results.set_kind(v1::HeaderEdit::KIND_PREPEND);
  results.set_name("Authentication-Results");
  results.set_value("mx.example.test; none");
  auto& forged = t.edits.emplace_back();
  forged.set_kind(v1::HeaderEdit::KIND_DELETE);
  forged.set_name("Authentication-Results");
  forged.set_index(1);
  t.message = "Authentication-Results: mx.example.test; dmarc=pass\r\n" + kMessage;
  const auto verdict = t.run(
      "require [\"editheader\", \"fileinto\"]; "
      "if header :contains \"Authentication-Results\" \"dmarc=pass\" { discard; stop; } "
      "if header :contains \"Authentication-Results\" \"none\" { addheader \"X-Seen\" \"yes\"; } fileinto \"a\";");
  ASSERT_EQ(verdict.actions_size(), 1);
  EXPECT_EQ(verdict.actions(0).file_into().body().inline_(), "X-Seen: yes\r\n" + kMessage);
}

TEST(SieveActions, HeadersCannotBeInjectedByVariables) {
  Trial t;
  t.message = "Subject: a\r\n =?utf-8?B?" + std::string("DQpCY2M6IHhAeS50ZXN0") + "?=\r\nFrom: bob@remote.test\r\n\r\n";
  const auto verdict = t.run(
      "require [\"editheader\", \"variables\"]; if header :matches \"Subject\" \"*\" { set \"s\" \"${1}\"; } "
      "addheader \"X-Copy\" \"${s}\";");
  for (const auto& action : verdict.actions())
    if (action.file_into().has_body())
      EXPECT_EQ(action.file_into().body().inline_().find("\r\nBcc:"), std::string::npos);
}

TEST(SpamPercent, JunkIsTheMiddleAndRefusalTheEnd) {
  const Thresholds thresholds{6, 0, 15};
  EXPECT_EQ(spam_percent(-3, thresholds), 0);
  EXPECT_EQ(spam_percent(3, thresholds), 25);
  EXPECT_EQ(spam_percent(6, thresholds), 50);
  EXPECT_EQ(spam_percent(15, thresholds), 100);
  EXPECT_EQ(spam_percent(50, thresholds), 100);
  EXPECT_EQ(spam_percent(5, Thresholds{0, 0, 0}), 0);
  EXPECT_EQ(spam_percent(5, Thresholds{5, 0, 0}), 50);
}

}  // namespace
}  // namespace merpati::filter
