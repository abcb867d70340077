// Cases from the RFCs' own examples and clauses, by section.
#include <gtest/gtest.h>

#include "unit/sieve/world.hpp"

namespace merpati::sieve {
namespace {

struct Case {
  const char* section;
  const char* require;
  const char* test;
  const char* holds;
};

/// A message that most cases look at.
Trial usual() {
  Trial trial;
  trial.message =
      "Received: from a.example by b.example; Mon, 24 Nov 2025 16:00:05 -0500\r\n"
      "From: Coyote <coyote@desert.example.org>\r\n"
      "To: \"Road Runner\" <ken+sieve@example.org>, b@x.example\r\n"
      "Cc: c@x.example\r\n"
      "Date: Tue, 15 Jul 2025 23:59:00 -0500\r\n"
      "Subject: [acme-users] =?utf-8?q?m=C3=A4ke?= money fast\r\n"
      "X-Caffeine: C8H10N4O2\r\n"
      "X-Score: 0012\r\n"
      "X-Empty:\r\n"
      "Message-ID: <1@desert.example.org>\r\n"
      "\r\nhello *world*\r\n";
  trial.envelope.to = "ken+sieve@example.org";
  trial.envelope.notify = {"SUCCESS", "FAILURE"};
  trial.envelope.ret = "FULL";
  trial.world.items = {{"domain", "example.org"}, {"imap.cause", "FLAG"}};
  trial.world.variables = {{"color", "blue"}};
  trial.world.mailboxes.insert("Work");
  trial.world.ids.insert("F1");
  trial.world.uses["Spam"] = {"\\Junk"};
  trial.world.annotations = {{"Work|/private/x", "on"}, {"|/shared/y", "off"}};
  trial.world.lists["urn:friends"] = {"coyote@desert.example.org"};
  trial.world.spam = 50;
  trial.world.virus = 4;
  return trial;
}

TEST(Rfc, Tests) {
  const Case cases[] = {
      {"5228 2.7.1 contains", "", "header :contains \"subject\" \"MONEY\"", "yes"},
      {"5228 2.7.1 is, empty", "", "header :is \"x-empty\" \"\"", "yes"},
      {"5228 2.7.1 contains, empty key", "", "header :contains \"x-caffeine\" \"\"", "yes"},
      {"5228 2.7.1 is, empty key", "", "header :is \"x-caffeine\" \"\"", "no"},
      {"5228 2.7.1 matches", "", "header :matches \"subject\" \"[acme-*] m?ke money f*\"", "yes"},
      {"5228 2.7.1 matches, quoted", "", "header :matches \"subject\" \"\\\\[acme*\"", "yes"},
      {"5228 2.7.1 matches, a question mark is a star no", "", "header :matches \"x-score\" \"0?12?\"", "no"},
      {"5228 2.7.2 MIME decoded", "", "header :contains \"subject\" \"m\xC3\xA4ke\"", "yes"},
      {"5228 2.7.3 octet", "", "header :comparator \"i;octet\" :contains \"subject\" \"MONEY\"", "no"},
      {"5228 2.7.3 ascii-casemap", "", "header :contains \"subject\" \"M\xC3\x84KE\"", "no"},
      {"5051 unicode-casemap", "\"comparator-i;unicode-casemap\"",
       "header :comparator \"i;unicode-casemap\" :contains \"subject\" \"M\xC3\x84KE\"", "yes"},
      {"5051 unicode-casemap, matches", "\"comparator-i;unicode-casemap\"",
       "header :comparator \"i;unicode-casemap\" :matches \"subject\" \"*M\xC3\x84KE*\"", "yes"},
      {"4790 9.1 numeric", "\"comparator-i;ascii-numeric\"",
       "header :comparator \"i;ascii-numeric\" :is \"x-score\" \"12\"", "yes"},
      {"4790 9.1 numeric, no number is infinity", "\"comparator-i;ascii-numeric\",\"relational\"",
       "header :comparator \"i;ascii-numeric\" :value \"gt\" \"x-caffeine\" \"99999999999999999999\"", "yes"},
      {"5228 2.7.4 localpart", "", "address :localpart \"from\" \"COYOTE\"", "yes"},
      {"5228 2.7.4 domain", "", "address :domain \"from\" \"desert.example.org\"", "yes"},
      {"5228 5.1", "", "address :is :all \"from\" \"coyote@desert.example.org\"", "yes"},
      {"5228 5.1 no display name", "", "address :contains \"to\" \"Road\"", "no"},
      {"5228 5.4", "\"envelope\"", "envelope :all :is \"from\" \"coyote@desert.example.org\"", "yes"},
      {"5228 5.5", "", "exists [\"From\",\"Date\"]", "yes"},
      {"5228 5.5 all of them", "", "exists [\"From\",\"X-None\"]", "no"},
      {"5228 5.7", "", "header :is [\"X-None\",\"X-Caffeine\"] \"C8H10N4O2\"", "yes"},
      {"5228 5.9", "", "allof (size :over 10, size :under 100K)", "yes"},
      {"5228 5.8", "", "not anyof (false, false)", "yes"},
      {"5231 count", "\"relational\",\"comparator-i;ascii-numeric\"",
       "address :count \"ge\" :comparator \"i;ascii-numeric\" [\"to\",\"cc\"] \"3\"", "yes"},
      {"5231 count of fields", "\"relational\",\"comparator-i;ascii-numeric\"",
       "header :count \"eq\" :comparator \"i;ascii-numeric\" [\"to\",\"cc\"] \"2\"", "yes"},
      {"5231 value", "\"relational\"", "header :value \"lt\" \"x-caffeine\" \"d\"", "yes"},
      {"5233 user", "\"subaddress\"", "address :user \"to\" \"ken\"", "yes"},
      {"5233 detail", "\"subaddress\",\"envelope\"", "envelope :detail \"to\" \"sieve\"", "yes"},
      {"5233 no detail", "\"subaddress\"", "address :detail :contains \"from\" \"\"", "no"},
      {"5260 date", "\"date\"", "date :originalzone \"date\" \"hour\" \"23\"", "yes"},
      {"5260 4.1 zone", "\"date\"", "date :zone \"+0000\" \"date\" \"date\" \"2025-07-16\"", "yes"},
      {"5260 received", "\"date\",\"relational\"", "date :value \"ge\" :originalzone \"received\" \"hour\" \"16\"",
       "yes"},
      {"5260 4.2 iso8601", "\"date\"", "date :originalzone \"date\" \"iso8601\" \"2025-07-15T23:59:00-05:00\"", "yes"},
      {"5260 4.2 julian", "\"date\"", "date :originalzone \"date\" \"julian\" \"60871\"", "yes"},
      {"5260 4.2 weekday", "\"date\"", "date :originalzone \"date\" \"weekday\" \"2\"", "yes"},
      {"5260 4.2 std11", "\"date\"", "date :originalzone \"date\" \"std11\" \"Tue, 15 Jul 2025 23:59:00 -0500\"",
       "yes"},
      {"5260 5 currentdate", "\"date\"", "currentdate :zone \"+0130\" \"time\" \"17:30:00\"", "yes"},
      {"5260 6 index", "\"index\"", "header :index 1 :last \"received\" \"x\"", "no"},
      {"5173 raw", "\"body\"", "body :raw :contains \"*world*\"", "yes"},
      {"5173 text", "\"body\"", "body :text :matches \"*hello*\"", "yes"},
      {"5173 content", "\"body\"", "body :content \"image\" :contains \"\"", "no"},
      {"5183 domain", "\"environment\"", "environment :is \"domain\" \"example.org\"", "yes"},
      {"5183 unknown", "\"environment\"", "environment :contains \"vnd.x\" \"\"", "no"},
      {"6785 cause", "\"environment\",\"imapsieve\"", "environment \"imap.cause\" \"flag\"", "yes"},
      {"dovecot environment", "\"vnd.dovecot.environment\",\"variables\"", "string \"${env.color}\" \"blue\"", "yes"},
      {"5229 string", "\"variables\"", "string :is \"${none}\" \"\"", "yes"},
      {"5229 5 count", "\"variables\",\"relational\"", "string :count \"eq\" [\"a\",\"\",\"${none}\",\"b\"] \"2\"",
       "yes"},
      {"5490 mailboxexists", "\"mailbox\"", "mailboxexists [\"INBOX\",\"Work\"]", "yes"},
      {"5490 mailboxexists, not all", "\"mailbox\"", "mailboxexists [\"INBOX\",\"Play\"]", "no"},
      {"5490 metadata", "\"mboxmetadata\"", "metadata \"Work\" \"/private/x\" \"on\"", "yes"},
      {"5490 metadataexists", "\"mboxmetadata\"", "metadataexists \"Work\" [\"/private/x\",\"/private/z\"]", "no"},
      {"5490 servermetadata", "\"servermetadata\"", "servermetadata \"/shared/y\" \"off\"", "yes"},
      {"9042 mailboxidexists", "\"mailboxid\"", "mailboxidexists \"F1\"", "yes"},
      {"8579 special use", "\"special-use\"", "specialuse_exists \"\\\\Junk\"", "yes"},
      {"8579 special use of a mailbox", "\"special-use\"", "specialuse_exists \"INBOX\" \"\\\\Junk\"", "no"},
      {"6134 list", "\"extlists\",\"envelope\"", "envelope :list \"from\" \"urn:friends\"", "yes"},
      {"6134 valid_ext_list", "\"extlists\"", "valid_ext_list [\"urn:friends\",\"urn:none\"]", "no"},
      {"5235 spamtest", "\"spamtest\",\"relational\",\"comparator-i;ascii-numeric\"",
       "spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"5\"", "yes"},
      {"5235 percent", "\"spamtestplus\"", "spamtest :percent \"50\"", "yes"},
      {"5235 virustest", "\"virustest\"", "virustest \"4\"", "yes"},
      {"5435 valid_notify_method", "\"enotify\"", "valid_notify_method [\"mailto:a@b.c\",\"xmpp:a@b\"]", "no"},
      {"5436 online", "\"enotify\"", "notify_method_capability \"mailto:a@b.c\" \"Online\" \"maybe\"", "yes"},
      {"5463 ihave", "\"ihave\"", "ihave [\"envelope\",\"vnd.none\"]", "no"},
      {"6009 notify", "\"envelope\",\"envelope-dsn\"", "envelope \"notify\" \"FAILURE\"", "yes"},
      {"6009 ret", "\"envelope\",\"envelope-dsn\"", "envelope \"ret\" \"full\"", "yes"},
      {"regex", "\"regex\"", "header :regex \"subject\" \"^\\\\[acme-(users|devel)\\\\]\"", "yes"},
      {"regex, octet", "\"regex\"", "header :regex :comparator \"i;octet\" \"subject\" \"MONEY\"", "no"},
      {"5232 hasflag", "\"imap4flags\"", "hasflag \"\\\\seen\"", "no"},
      {"5228 2.4.2.4", "\"encoded-character\"", "header :contains \"x-caffeine\" \"${hex: 43 38}${unicode:48}\"",
       "yes"},
  };
  for (const auto& [section, require, test, holds] : cases) {
    Trial trial = usual();
    EXPECT_EQ(trial.holds(require, test), holds) << section << ": " << test;
  }
}

TEST(Rfc, Scripts) {
  const std::pair<const char*, const char*> cases[] = {
      // RFC 5228 2.10.2 implicit keep, 4.4 discard
      {"", "implicit keep"},
      {"discard;", "discard"},
      {"keep; stop; discard;", "keep"},
      {"require \"fileinto\"; fileinto \"a\"; fileinto \"a\"; fileinto \"b\";", "fileinto a; fileinto b"},
      {"require \"fileinto\"; keep; fileinto \"inbox\";", "keep"},
      {"redirect \"x@y.example\"; redirect \"x@y.example\";", "redirect x@y.example"},
      {"if false { discard; } elsif true { keep; } else { discard; }", "keep"},
      // RFC 3894
      {"require [\"copy\",\"fileinto\"]; fileinto :copy \"a\"; redirect :copy \"x@y.example\";",
       "fileinto a; redirect x@y.example; implicit keep"},
      // RFC 5229 3.2 and 4
      {"require [\"variables\",\"fileinto\"]; if header :matches \"subject\" \"[*] *\" { fileinto \"l.${1}\"; }",
       "fileinto l.acme-users"},
      {"require [\"variables\",\"fileinto\"]; set \"a\" \"juMBlEd lETteRS\"; set :length \"b\" \"${a}\"; "
       "set :upperfirst :lower \"b2\" \"${a}\"; set :quotewildcard \"c\" \"Rock*\"; fileinto \"${b} ${b2} ${c}\";",
       "fileinto 15 Jumbled letters Rock\\*"},
      {"require [\"variables\",\"regex\",\"fileinto\"]; if header :regex \"subject\" \"m([a-z]+)y (f.*)$\" "
       "{ fileinto \"${0}/${1}/${2}/${3}\"; }",
       "fileinto money fast/one/fast/"},
      // RFC 5232
      {"require [\"imap4flags\",\"fileinto\"]; setflag \"\\\\Deleted\"; addflag [\"$Work\", \"\\\\Flagged\"]; "
       "removeflag "
       "\"\\\\deleted\"; fileinto :flags \"\\\\Seen\" \"x\"; keep;",
       "fileinto x \\Seen; keep $Work \\Flagged"},
      {"require [\"imap4flags\"]; addflag \"\\\\Seen \\\\Bad\";", "implicit keep \\Seen"},
      {"require [\"imap4flags\",\"variables\"]; addflag \"v\" \"$A $B\"; if hasflag \"v\" \"$b\" { keep :flags "
       "\"${v}\"; }",
       "keep $A $B"},
      // RFC 5490 3.2, RFC 5429
      {"require [\"fileinto\",\"mailbox\"]; fileinto :create \"New\";", "fileinto New create"},
      {"require \"reject\"; reject text:\r\nno\r\n..\r\n.\r\n;", "reject no\r\n.\r\n"},
      {"require [\"ereject\",\"fileinto\"]; fileinto \"a\"; ereject \"no\";",
       "error 1: reject cannot be used together with another action"},
      // RFC 5463
      {"require \"ihave\"; if ihave \"vnd.none\" { vnd_none \"x\"; } elsif ihave \"fileinto\" { fileinto \"a\"; }",
       "fileinto a"},
      {"require \"ihave\"; if not ihave \"vnd.none\" { error \"need it\"; }", "error 1: error: need it"},
      {"require \"ihave\"; vnd_none;", "error 1: there is no command named vnd_none"},
      // RFC 5435, RFC 5436
      {"require \"enotify\"; notify :importance \"1\" \"mailto:a@b.example?subject=x\";",
       "notify mailto:a@b.example?subject=x; implicit keep"},
      // vnd.dovecot.report
      {"require \"vnd.dovecot.report\"; report \"abuse\" \"spam\" \"x@y.example\";",
       "report abuse x@y.example; implicit keep"},
      // RFC 6009
      {"require \"redirect-dsn\"; redirect :notify \"NEVER\" :ret \"HDRS\" \"x@y.example\";", "redirect x@y.example"},
      {"require \"extlists\"; redirect :list \"urn:friends\";", "redirect list urn:friends"},
  };
  for (const auto& [script, text] : cases) {
    Trial trial = usual();
    EXPECT_EQ(trial.run(script), text) << script;
  }
}

TEST(Rfc, Include6609) {
  Trial trial = usual();
  trial.world.scripts = {{"a",
                          "require [\"variables\",\"include\",\"fileinto\"]; global \"x\"; set \"x\" \"set\"; set "
                          "\"y\" \"own\"; return; fileinto \"no\";"},
                         {"loop", "require \"include\"; include \"loop\";"},
                         {"bad", "foo;"}};
  EXPECT_EQ(
      trial.run("require [\"include\",\"variables\",\"fileinto\"]; include \"a\"; fileinto \"${global.x}-${y}\";"),
      "fileinto set-");
  EXPECT_EQ(trial.run("require \"include\"; include \"loop\";"), "error 1: \"loop\" includes itself");
  EXPECT_EQ(trial.run("require \"include\"; include \"none\";"), "error 1: there is no script \"none\" to include");
  EXPECT_EQ(trial.run("require \"include\"; include :optional \"none\";"), "implicit keep");
  EXPECT_EQ(trial.run("require \"include\"; include \"bad\";"), "error 1: 1:1: there is no command named foo\n");
  EXPECT_EQ(trial.run("require \"include\"; include \"../x\";"), "1:28: this is no name of a script\n");
}

TEST(Rfc, Vacation5230) {
  const std::string script = "require \"vacation\"; vacation :days 3 \"gone\";";
  Trial trial;
  EXPECT_EQ(trial.run(script), "vacation coyote@desert.example.org Auto: I have a present for you; implicit keep");
  EXPECT_EQ(std::get<Vacation>(trial.outcome.actions[0].what).seconds, 3 * 86'400);
  for (const char* field : {"Auto-Submitted: auto-replied\r\n", "List-Id: <x>\r\n", "Precedence: bulk\r\n"}) {
    Trial silent;
    silent.message = field + silent.message;
    EXPECT_EQ(silent.run(script), "implicit keep") << field;
  }
  for (const char* from :
       {"", "MAILER-DAEMON@x.example", "owner-x@y.example", "x-request@y.example", "roadrunner@acme.example.com"}) {
    Trial silent;
    silent.envelope.from = from;
    EXPECT_EQ(silent.run(script), "implicit keep") << from;
  }
  Trial other;
  other.envelope.to = "beep@acme.example.com";
  EXPECT_EQ(other.run(script), "implicit keep");
  EXPECT_EQ(other.run("require \"vacation\"; vacation :addresses \"Roadrunner@acme.example.com\" \"gone\";"),
            "vacation coyote@desert.example.org Auto: I have a present for you; implicit keep");
  // 4.5: aliases that are known otherwise
  other.world.aliases = {"roadrunner@acme.example.com"};
  EXPECT_EQ(other.run(script), "vacation coyote@desert.example.org Auto: I have a present for you; implicit keep");
  other.world.aliases = {"somebody@acme.example.com"};
  EXPECT_EQ(other.run(script), "implicit keep");
  EXPECT_EQ(trial.run(script + " vacation \"x\";"), "error 1: vacation may be used once for a message");
  EXPECT_EQ(trial.run("require \"vacation-seconds\"; vacation :seconds 0 :subject \"x\" \"gone\";"),
            "vacation coyote@desert.example.org x; implicit keep");
  EXPECT_EQ(trial.run("require \"vacation\"; vacation :fcc \"Sent\" \"gone\";"), "1:30: :fcc needs require \"fcc\"\n");
  trial.run("require [\"vacation\",\"fcc\",\"mailbox\"]; vacation :fcc \"Sent\" :create \"gone\";");
  EXPECT_EQ(std::get<Vacation>(trial.outcome.actions[0].what).fcc->mailbox, "Sent");
}

TEST(Rfc, Duplicate7352) {
  Trial trial = usual();
  const std::string script = "require [\"duplicate\",\"fileinto\"]; if duplicate :seconds 60 { discard; }";
  EXPECT_EQ(trial.run(script), "implicit keep");
  ASSERT_EQ(trial.outcome.remember.size(), 1u);
  EXPECT_EQ(trial.outcome.remember[0].seconds, 60);
  trial.world.remembered.insert(trial.outcome.remember[0].key);
  EXPECT_EQ(trial.run(script), "discard");
  EXPECT_EQ(trial.run("require \"duplicate\"; if duplicate :handle \"h\" { discard; }"), "implicit keep");
  EXPECT_EQ(trial.run("require \"duplicate\"; if duplicate :header \"X-None\" { discard; }"), "implicit keep");
}

TEST(Rfc, Editheader5293) {
  Trial trial;
  EXPECT_EQ(trial.run("require [\"editheader\",\"fileinto\"]; addheader \"X-A\" \"1\"; fileinto \"x\"; addheader :last "
                      "\"X-B\" \"2\"; "
                      "deleteheader \"subject\"; if exists \"subject\" { discard; } keep;"),
            "fileinto x; keep");
  EXPECT_EQ(trial.delivered(0), "X-A: 1\r\n" + trial.message);
  EXPECT_EQ(trial.delivered(1),
            "X-A: 1\r\nFrom: coyote@desert.example.org\r\nTo: roadrunner@acme.example.com\r\nX-B: 2\r\n\r\n"
            "Look, I'm sorry about the whole anvil thing.\r\n");
  EXPECT_EQ(trial.run("require \"editheader\"; if size :over 200 { discard; } addheader \"X-Long\" \"" +
                      std::string(200, 'x') + "\"; if size :over 300 { redirect \"x@y.example\"; }"),
            "redirect x@y.example");
  trial.message = "X: 1\r\nReceived: a\r\nX: 2\r\nX: 3\r\n\r\n";
  trial.run(
      "require \"editheader\"; deleteheader :index 1 :last \"X\"; deleteheader :matches \"x\" \"1\"; deleteheader "
      "\"Received\";");
  EXPECT_EQ(trial.delivered(), "Received: a\r\nX: 2\r\n\r\n");
}

TEST(Rfc, Mime5703) {
  Trial trial;
  trial.message =
      "From: a@b.example\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
      "--B\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\r\n"
      "--B\r\nContent-Type: application/octet-stream; name=\"a.exe\"\r\n\r\nMZ\r\n--B--\r\n";
  EXPECT_EQ(trial.holds("\"mime\"", "header :mime :anychild :param \"name\" :matches \"Content-Type\" \"*.exe\""),
            "yes");
  EXPECT_EQ(trial.holds("\"mime\"", "header :mime :anychild :contenttype \"Content-Type\" \"text/html\""), "yes");
  EXPECT_EQ(trial.holds("\"mime\"", "header :mime :type \"Content-Type\" \"text\""), "no");
  EXPECT_EQ(trial.run("require [\"foreverypart\",\"mime\",\"fileinto\",\"extracttext\",\"variables\"]; foreverypart { "
                      "if header :mime "
                      ":subtype \"content-type\" \"html\" { extracttext \"t\"; break; } } fileinto \"x${t}\";"),
            "fileinto x hi ");
  trial.run(
      "require [\"foreverypart\",\"mime\",\"replace\"]; foreverypart { if header :mime :param \"name\" :matches "
      "\"Content-Type\" \"*.exe\" { replace \"removed\"; } }");
  const std::string replaced = trial.delivered();
  EXPECT_NE(replaced.find("--B\r\nContent-Type: text/plain; charset=utf-8\r\n"), std::string::npos) << replaced;
  EXPECT_NE(replaced.find("\r\n\r\nremoved\r\n--B--\r\n"), std::string::npos) << replaced;
  EXPECT_EQ(replaced.find("MZ"), std::string::npos);
  trial.run("require \"enclose\"; enclose :subject \"w\" \"look\";");
  const std::string enclosed = trial.delivered();
  EXPECT_NE(enclosed.find("Subject: w\r\n"), std::string::npos);
  EXPECT_NE(enclosed.find("Content-Type: message/rfc822\r\n\r\n" + trial.message), std::string::npos) << enclosed;
  trial.run("require \"replace\"; replace :subject \"new\" \"body\";");
  EXPECT_EQ(trial.delivered(),
            "From: a@b.example\r\nOriginal-Subject: s\r\nSubject: new\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nbody\r\n");
}

}  // namespace
}  // namespace merpati::sieve
