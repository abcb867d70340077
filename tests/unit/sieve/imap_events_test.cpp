// Scripts over messages that people put into mailboxes or changed there (RFC 6785): its examples, and what may not
// stand in such a script.
#include <gmock/gmock.h>

#include "unit/sieve/world.hpp"

namespace merpati::sieve {
namespace {

using testing::HasSubstr;

Trial event(const char* cause, const char* mailbox, std::vector<std::string> flags = {},
            const char* changed_flags = "") {
  Trial trial;
  trial.envelope = {};
  trial.options.imap_event = true;
  trial.options.flags = std::move(flags);
  trial.world.items = {{"location", "MS"},
                       {"phase", "post"},
                       {"imap.user", "tim@example.com"},
                       {"imap.cause", cause},
                       {"imap.mailbox", mailbox},
                       {"imap.email", "tim@example.com"},
                       {"imap.changedflags", changed_flags}};
  return trial;
}

constexpr const char* kExample1 =
    "require [\"copy\", \"environment\", \"imapsieve\"];\n"
    "if anyof (environment :is \"imap.cause\" \"APPEND\", environment :is \"imap.cause\" \"COPY\")  {\n"
    "  if environment :is \"imap.mailbox\" \"ActionItems\" { redirect :copy \"actionitems@example.com\"; }\n"
    "}\n";

// The notification goes by mail here; there is no other method.
constexpr const char* kExample2 =
    "require [\"enotify\", \"imap4flags\", \"variables\", \"environment\", \"imapsieve\"];\n"
    "if environment :matches \"imap.mailbox\" \"*\" { set \"mailbox\" \"${1}\"; }\n"
    "if allof (hasflag \"\\\\Flagged\", environment :contains \"imap.changedflags\" \"\\\\Flagged\") {\n"
    "  notify :message \"Important message in ${mailbox}\" \"mailto:tim@example.com\";\n"
    "}\n";

TEST(ImapEvents, FirstExampleOfTheRfc) {
  EXPECT_EQ(event("APPEND", "ActionItems").run(kExample1), "redirect actionitems@example.com; implicit keep");
  EXPECT_EQ(event("COPY", "ActionItems").run(kExample1), "redirect actionitems@example.com; implicit keep");
  EXPECT_EQ(event("FLAG", "ActionItems").run(kExample1), "implicit keep");
  EXPECT_EQ(event("COPY", "Other").run(kExample1), "implicit keep");
}

TEST(ImapEvents, SecondExampleOfTheRfc) {
  auto set = event("FLAG", "INBOX", {"\\Flagged", "\\Seen"}, "\\Flagged \\Seen");
  EXPECT_EQ(set.run(kExample2), "notify mailto:tim@example.com; implicit keep \\Flagged \\Seen");
  EXPECT_EQ(std::get<Notify>(set.outcome.actions[0].what).message, "Important message in INBOX");
  EXPECT_EQ(event("FLAG", "INBOX", {"\\Seen"}, "\\Flagged").run(kExample2), "implicit keep \\Seen") << "reset";
  EXPECT_EQ(event("FLAG", "INBOX", {"\\Flagged", "\\Seen"}, "\\Seen").run(kExample2), "implicit keep \\Flagged \\Seen")
      << "it was set before";
}

TEST(ImapEvents, FlagsOfTheMessageAreTheInternalVariable) {
  const std::vector<std::string> has{"\\Seen", "Old"};
  const auto run = [&](const char* actions) {
    return event("COPY", "Work", has)
        .run("require [\"imap4flags\", \"imapsieve\", \"fileinto\", \"copy\"];\n" + std::string(actions));
  };
  EXPECT_EQ(run("addflag \"New\";"), "implicit keep \\Seen Old New");
  EXPECT_EQ(run("removeflag \"old\";"), "implicit keep \\Seen");
  EXPECT_EQ(run("setflag \"\\\\Answered\";"), "implicit keep \\Answered");
  EXPECT_EQ(run("keep :flags \"$Done\";"), "keep $Done");
  EXPECT_EQ(run("fileinto :copy :flags \"\" \"Archive\";"), "fileinto Archive; implicit keep \\Seen Old");
  EXPECT_EQ(run("if hasflag \"Old\" { discard; }"), "discard");
}

TEST(ImapEvents, KeepIsNotInboxAndFileintoAlwaysMakesACopy) {
  const auto run = [](const char* actions) {
    return event("COPY", "Work").run("require [\"imapsieve\", \"fileinto\", \"copy\"];\n" + std::string(actions));
  };
  EXPECT_EQ(run("keep; fileinto \"INBOX\";"), "keep; fileinto INBOX");
  EXPECT_EQ(run("fileinto \"INBOX\"; keep; keep;"), "fileinto INBOX; keep");
  EXPECT_EQ(run("fileinto \"a\"; fileinto \"a\";"), "fileinto a");
  EXPECT_EQ(run("discard; keep;"), "keep") << "RFC 6785 3.5";
}

TEST(ImapEvents, WhatAnswersADeliveryEndsTheScript) {
  for (const char* name : {"vacation", "vacation-seconds", "reject", "ereject"}) {
    auto trial = event("COPY", "Work");
    EXPECT_EQ(trial.run("require [\"imapsieve\", \"fileinto\", \"" + std::string(name) + "\"];\nfileinto \"a\";"),
              "error 1: \"" + std::string(name) + "\" is not for IMAP events");
    ASSERT_EQ(trial.outcome.actions.size(), 1U) << "nothing of it takes effect";
    EXPECT_TRUE(std::holds_alternative<Keep>(trial.outcome.actions[0].what));
  }
  auto included = event("COPY", "Work");
  included.world.global_scripts["away"] = "require \"vacation\"; vacation \"Away\";";
  EXPECT_EQ(included.run("require [\"include\", \"imapsieve\"];\ninclude :global \"away\";"),
            "error 1: \"vacation\" is not for IMAP events");
  EXPECT_EQ(included.outcome.error->script, "global/away");
}

TEST(ImapEvents, OneScriptForBothAsksWithIhave) {
  const char* both =
      "require [\"ihave\", \"fileinto\"];\n"
      "if ihave \"vacation\" { vacation \"Away\"; } else { fileinto \"a\"; }";
  EXPECT_EQ(event("COPY", "Work").run(both), "fileinto a");
  Trial delivery;
  delivery.world.addresses = {"roadrunner@acme.example.com"};
  EXPECT_THAT(delivery.run(both), HasSubstr("vacation coyote@desert.example.org"));
}

TEST(ImapEvents, TheEnvelopeIsNotThere) {
  EXPECT_EQ(event("COPY", "Work").run("require [\"envelope\", \"imapsieve\"];\nif envelope \"from\" \"a\" { stop; }"),
            "error 2: IMAP events have no envelope");
}

TEST(ImapEvents, FlagsThatScriptsCanHandle) {
  EXPECT_EQ(flags_for_scripts({"\\Seen", "\\Recent", "$Label1", "a b", "b"}),
            (std::vector<std::string>{"\\Seen", "$Label1", "a", "b"}));
}

}  // namespace
}  // namespace merpati::sieve
