// What hostile scripts and messages meet: a limit and a clear answer.
#include <gtest/gtest.h>

#include "unit/sieve/world.hpp"

namespace merpati::sieve {
namespace {

TEST(Attacks, IncludesThatFanOut) {
  Trial trial;
  for (int i = 0; i < 20; ++i) {
    const std::string next = "\"s" + std::to_string(i + 1) + "\"; ";
    trial.world.scripts["s" + std::to_string(i)] = "require \"include\"; include " + next;
    trial.world.global_scripts["s" + std::to_string(i)] =
        i > 5 ? std::string("keep;")
              : "require \"include\"; include :global " + next + "include :global " + next + "include :global " + next;
  }
  EXPECT_EQ(trial.run("require \"include\"; include \"s0\";"), "error 1: scripts include each other deeper than 10");
  EXPECT_EQ(trial.run("require \"include\"; include :global \"s0\";"), "error 1: more than 64 includes");
}

TEST(Attacks, PatternsThatExplodeElsewhere) {
  Trial trial;
  trial.message = "Subject: " + std::string(60'000, 'a') + "\r\n\r\n";
  EXPECT_EQ(trial.holds("\"regex\"", "header :regex \"subject\" \"^(a+)+b\""), "no");
  EXPECT_EQ(trial.holds("\"regex\"", "header :regex \"subject\" \"(a|aa)+$\""), "yes");
  std::string stars;
  for (int i = 0; i < 1000; ++i) stars += "*a";
  EXPECT_EQ(trial.holds("", "header :matches \"subject\" \"" + stars + "b\""), "no");
  std::string many = "require \"fileinto\";";
  for (int i = 0; i < 100; ++i) many += "if header :matches \"subject\" \"" + stars + "b\" { stop; }";
  EXPECT_EQ(trial.run(many), "error 1: the script took more than 1000000 steps");
}

TEST(Attacks, HeaderInjection) {
  Trial trial;
  trial.message = "Subject: x\r\nX-Bad: =?utf-8?q?a=0D=0ABcc:_x@y.example?=\r\n\r\n";
  const std::string head = "require [\"editheader\",\"variables\",\"encoded-character\",\"vacation\",\"enotify\"]; ";
  EXPECT_EQ(trial.run(head + "if header :matches \"x-bad\" \"*\" { addheader \"X-A\" \"${1}\"; }"),
            "error 1: the value for X-A has line ends or control characters");
  EXPECT_EQ(trial.run(head + "set \"n\" \"A: b${hex:0d 0a}C\"; addheader \"${n}\" \"x\";"),
            "error 1: \"A: b\r\nC\" is no name of a header field");
  EXPECT_EQ(trial.run(head + "set \"a\" \"x@y.example${hex:0a}Bcc: z@y.example\"; redirect \"${a}\";"),
            "error 1: \"x@y.example\nBcc: z@y.example\" is no mail address");
  EXPECT_EQ(
      trial.run(head + "set \"a\" \"mailto:x@y.example?subject=a%0d%0aBcc:%20z@y.example\"; notify \"${a}\";"),
      "error 1: \"mailto:x@y.example?subject=a%0d%0aBcc:%20z@y.example\" is no way to notify: mailto: with an address");
  trial.message = "To: roadrunner@acme.example.com\r\n\r\n";
  trial.run(head + "set \"s\" \"a${hex:0d 0a}Bcc: z@y.example\"; vacation :subject \"${s}\" \"x\";");
  EXPECT_EQ(std::get<Vacation>(trial.outcome.actions[0].what).subject.find('\n'), std::string::npos);
}

TEST(Attacks, VariablesThatGrow) {
  Trial trial;
  std::string script = "require [\"variables\",\"fileinto\"]; set \"a\" \"0123456789\";";
  for (int i = 0; i < 40; ++i) script += "set \"a\" \"${a}${a}\";";
  script += "set :length \"n\" \"${a}\"; fileinto \"${n}\";";
  EXPECT_EQ(trial.run(script), "fileinto 65536");
  script = "require \"variables\"; set \"a\" \"0123456789\";";
  for (int i = 0; i < 14; ++i) script += "set \"a\" \"${a}${a}\";";
  for (int i = 0; i < 200; ++i) script += "set \"b" + std::to_string(i) + "\" \"${a}\";";
  EXPECT_EQ(trial.run(script), "error 1: the script used more than 8388608 octets of memory");
}

TEST(Attacks, ManyActions) {
  Trial trial;
  std::string script = "require \"fileinto\";";
  for (int i = 0; i < 100; ++i) script += "fileinto \"m" + std::to_string(i) + "\";";
  EXPECT_EQ(trial.run(script), "error 1: more than 64 actions");
  script.clear();
  for (int i = 0; i < 10; ++i) script += "redirect \"u" + std::to_string(i) + "@x.example\";";
  EXPECT_EQ(trial.run(script), "error 1: more than 4 redirects");
  EXPECT_EQ(trial.outcome.actions.size(), 1u);  // the keep alone
}

TEST(Attacks, DeepMimeAndManyParts) {
  Trial trial;
  trial.message.clear();
  for (int i = 0; i < 500; ++i) {
    const std::string b = std::to_string(i);
    trial.message += "Content-Type: multipart/mixed; boundary=\"" + b + "\"\r\n\r\n--" + b + "\r\n";
  }
  trial.message += "Content-Type: text/plain\r\n\r\nx\r\n";
  EXPECT_EQ(trial.run("require [\"foreverypart\",\"mime\",\"variables\"]; foreverypart { foreverypart { foreverypart { "
                      "if header :mime :anychild :contains \"content-type\" \"no\" { discard; } } } }"),
            "error 1: the script took more than 1000000 steps");
  EXPECT_EQ(trial.holds("\"body\"", "body :text :contains \"nothing\""), "no");
}

TEST(Attacks, AnEnvironmentThatIsAwayKeepsTheMessage) {
  Trial trial;
  trial.world.broken = true;
  EXPECT_EQ(trial.run("require \"mailbox\"; if mailboxexists \"x\" { discard; }"),
            "error 1: the store does not answer");
  EXPECT_TRUE(trial.outcome.error->temporary);
  EXPECT_TRUE(std::holds_alternative<Keep>(trial.outcome.actions.at(0).what));
}

}  // namespace
}  // namespace merpati::sieve
