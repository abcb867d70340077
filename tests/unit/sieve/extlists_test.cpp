// External lists: the examples of RFC 6134 3.
#include <gtest/gtest.h>

#include "unit/sieve/world.hpp"

namespace merpati::sieve {
namespace {

Trial with_lists() {
  Trial trial;
  trial.message =
      "Received: from bad.example.com (bad.example.com [192.0.2.66]) by mx.example.net\r\n"
      "From: coyote@desert.example.org\r\nTo: roadrunner+mylist@acme.example.com\r\nSubject: x\r\n"
      "Content-Type: application/octet-stream; name=\"present.exe\"\r\n\r\nbody\r\n";
  trial.envelope.to = "roadrunner+mylist@acme.example.com";
  trial.world.spam = 50;  // 5 of 10
  trial.world.lists[":addrbook:default"] = {"coyote@desert.example.org"};
  trial.world.lists["tag:example.com,2011-01-01:localHolidays"] = {"2025-11-24", "2025-12-25"};
  trial.world.lists["tag:example.com,2010-05-28:mylist"] = {"coyote@desert.example.org", "a@x.example"};
  trial.world.lists["tag:example.com,2011-04-10:DisallowedIPs"] = {"192.0.2.66"};
  trial.world.lists["tag:example.com,2011-04-10:BadFileNameExts"] = {"exe", "scr"};
  return trial;
}

TEST(ExternalLists, WhoIsKnownMayScoreMore) {
  const char* script =
      "require [\"envelope\", \"extlists\", \"fileinto\", \"spamtest\", \"relational\",\n"
      "  \"comparator-i;ascii-numeric\"];\n"
      "if envelope :list \"from\" \":addrbook:default\" {\n"
      "  if spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"8\" { fileinto \"spam\"; }\n"
      "} elsif spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"3\" { fileinto \"spam\"; }\n";
  auto trial = with_lists();
  EXPECT_EQ(trial.run(script), "implicit keep");
  trial.envelope.from = "stranger@x.example";
  EXPECT_EQ(trial.run(script), "fileinto spam");
}

TEST(ExternalLists, Holidays) {
  const char* script =
      "require [\"extlists\", \"date\", \"enotify\"];\n"
      "if currentdate :list \"date\" \"tag:example.com,2011-01-01:localHolidays\" {\n"
      "  notify \"mailto:romeo@im.example.com\";\n"
      "}\n";
  auto trial = with_lists();
  EXPECT_EQ(trial.run(script), "notify mailto:romeo@im.example.com; implicit keep");
  trial.world.time += 86'400;
  EXPECT_EQ(trial.run(script), "implicit keep");
}

TEST(ExternalLists, AListOfPeople) {
  const char* script =
      "require [\"extlists\", \"envelope\", \"subaddress\"];\n"
      "if allof (envelope :detail \"to\" \"mylist\",\n"
      "          address :list \"from\" \"tag:example.com,2010-05-28:mylist\") {\n"
      "  redirect :list \"tag:example.com,2010-05-28:mylist\";\n"
      "}\n";
  auto trial = with_lists();
  EXPECT_EQ(trial.run(script), "redirect list tag:example.com,2010-05-28:mylist");
  for (int i = 0; i < 30; ++i)
    trial.world.lists["tag:example.com,2010-05-28:mylist"].insert(std::to_string(i) + "@x.example");
  EXPECT_EQ(trial.run(script), "error 4: the list \"tag:example.com,2010-05-28:mylist\" has more than 20 members");
}

TEST(ExternalLists, PiecesOfHeaders) {
  auto trial = with_lists();
  EXPECT_EQ(trial.run("require [\"variables\", \"extlists\", \"index\", \"reject\"];\n"
                      "if header :index 1 :matches \"received\" \"*(* [*.*.*.*])*\" {\n"
                      "  set \"ip\" \"${3}.${4}.${5}.${6}\";\n"
                      "  if string :list \"${ip}\" \"tag:example.com,2011-04-10:DisallowedIPs\" {\n"
                      "    reject \"Message not allowed from this IP address\";\n"
                      "  }\n"
                      "}\n"),
            "reject Message not allowed from this IP address");
  EXPECT_EQ(trial.run("require [\"extlists\", \"foreverypart\", \"mime\", \"variables\", \"fileinto\"];\n"
                      "foreverypart {\n"
                      "  if header :mime :param \"name\" :matches \"Content-Type\" \"*.*\" { set \"ext\" \"${2}\"; }\n"
                      "  if string :list \"${ext}\" \"tag:example.com,2011-04-10:BadFileNameExts\" {\n"
                      "    fileinto \"quarantine\"; break;\n"
                      "  }\n"
                      "}\n"),
            "fileinto quarantine");
}

TEST(ExternalLists, NamesAreTriedBefore) {
  EXPECT_EQ(with_lists().holds("\"extlists\"", "valid_ext_list \":addrbook:default\""), "yes");
  EXPECT_EQ(with_lists().holds("\"extlists\"", "valid_ext_list [\":addrbook:default\", \":addrbook:friends\"]"), "no");
  EXPECT_EQ(with_lists().run("require \"extlists\"; if header :list \"from\" \"tag:x,2026:none\" { stop; }"),
            "error 1: there is no external list \"tag:x,2026:none\"");
}

}  // namespace
}  // namespace merpati::sieve
