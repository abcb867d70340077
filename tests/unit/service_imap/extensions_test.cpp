// What IMAP4rev2 and the extensions ask for beyond the first example of their RFC.
#include <gmock/gmock.h>

#include "fixture.hpp"

namespace merpati::imap::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ImapTest, TheFirstCommandThatNeedsCondstoreTellsHighestmodseq) {
  store.add("INBOX", small_mail("one"));
  start();
  auto client = open();
  EXPECT_THAT(client->run("FETCH 1 MODSEQ"),
              StartsWith("* OK [HIGHESTMODSEQ 2] Highest\r\n* 1 FETCH (MODSEQ (2))\r\nt OK"));
  EXPECT_THAT(client->run("FETCH 1 MODSEQ"), StartsWith("* 1 FETCH (MODSEQ (2))\r\nt OK"));
  auto other = open();
  EXPECT_THAT(other->run("LIST \"\" INBOX RETURN (STATUS (HIGHESTMODSEQ))"), HasSubstr("* OK [HIGHESTMODSEQ 2]"));
  auto third = open();
  EXPECT_THAT(third->run("ENABLE CONDSTORE"), HasSubstr("* OK [HIGHESTMODSEQ 2]"));
}

TEST_F(ImapTest, ExpungeAndMoveTellHighestmodseq) {
  for (const auto* name : {"one", "two", "three"}) store.add("INBOX", small_mail(name));
  start();
  auto client = open("INBOX (CONDSTORE)");
  EXPECT_THAT(client->run("MOVE 1 Sent"), HasSubstr("* 1 EXPUNGE\r\nt OK [HIGHESTMODSEQ 5]"));
  client->run("STORE 1 +FLAGS.SILENT (\\Deleted)");
  EXPECT_THAT(client->run("EXPUNGE"), StartsWith("* 1 EXPUNGE\r\nt OK [HIGHESTMODSEQ 7]"));
  EXPECT_THAT(client->run("EXPUNGE"), StartsWith("t OK EXPUNGE"));
}

TEST_F(ImapTest, ReadingABodyTellsTheNewModseqWithItsUid) {
  store.add("INBOX", small_mail("one"));
  start();
  auto client = open("INBOX (CONDSTORE)");
  EXPECT_THAT(client->run("FETCH 1 BODY[]<0.1>"),
              StartsWith("* 1 FETCH (UID 1 BODY[]<0> {1}\r\nF FLAGS (\\Seen \\Recent) MODSEQ (3))\r\nt OK"));
}

TEST_F(ImapTest, InRevision2ChangesNameTheirUid) {
  store.add("INBOX", small_mail("one"));
  start();
  auto client = open();
  client->run("ENABLE IMAP4rev2");
  on_loop([this] {
    store.boxes["INBOX"].messages[1].flags = 4;
    store.boxes["INBOX"].messages[1].modseq = ++store.boxes["INBOX"].modseq;
    store.notify("INBOX");
  });
  EXPECT_THAT(client->run("NOOP"), StartsWith("* 1 FETCH (UID 1 FLAGS (\\Flagged))\r\nt OK"));
}

TEST_F(ImapTest, ASavedResultMayBeSearchedAndSavedAgain) {
  store.add("INBOX", small_mail("one"), 1);
  store.add("INBOX", small_mail("two"));
  store.add("INBOX", small_mail("three"), 1);
  start();
  auto client = open();
  client->run("SEARCH RETURN (SAVE) SEEN");
  EXPECT_THAT(client->run("SEARCH RETURN (SAVE COUNT) $ NOT 1"), StartsWith("* ESEARCH (TAG \"t\") COUNT 1\r\n"));
  EXPECT_THAT(client->run("FETCH $ UID"), StartsWith("* 3 FETCH (UID 3)\r\nt OK"));
  // BAD leaves it alone, NO empties it (RFC 5182 2.1); an empty one matches nothing and is no error.
  client->run("SEARCH RETURN (SAVE) NONSENSE");
  EXPECT_THAT(client->run("UID FETCH $ UID"), StartsWith("* 3 FETCH (UID 3)\r\nt OK"));
  EXPECT_THAT(client->run("SEARCH RETURN (SAVE) CHARSET X-NONE $"), HasSubstr("t NO [BADCHARSET"));
  EXPECT_THAT(client->run("FETCH $ UID"), StartsWith("t OK"));
}

TEST_F(ImapTest, ItemsAreSetApartWhateverOctetsTheyEndWith) {
  store.add("INBOX", small_mail("one", "to be continued ("));
  store.add("INBOX", small_mail("large", std::string(200'000, 'x')));
  start();
  auto client = open();
  EXPECT_THAT(client->run("FETCH 1 (BODY.PEEK[TEXT] UID)"),
              StartsWith("* 1 FETCH (BODY[TEXT] {17}\r\nto be continued ( UID 1)\r\nt OK"));
  EXPECT_THAT(client->run("FETCH 2 (BODY.PEEK[TEXT] UID)"), HasSubstr("xxx UID 2)\r\nt OK"));
  EXPECT_THAT(client->run("FETCH 2 (BODY.PEEK[TEXT]<0.100000> BINARY.SIZE[1] BINARY.PEEK[1])"),
              HasSubstr("xxx BINARY.SIZE[1] 200000 BINARY[1] {200000}\r\n"));
}

TEST_F(ImapTest, LiteralsOfARefusedCommandAreNeverCommands) {
  start();
  Client client(port());
  client.log_in();
  const std::string delete_it = "x DELETE Sent\r\n";
  const auto literal = "{" + std::to_string(delete_it.size()) + "+}\r\n" + delete_it;
  // A second message where MULTIAPPEND is not offered.
  client.send("t APPEND INBOX {5+}\r\nhello " + literal + " " + literal + "\r\n");
  EXPECT_THAT(client.until("t "), HasSubstr("t BAD Unexpected text"));
  // What follows a refused literal, of APPEND and of others.
  client.send("t APPEND INBOX (\\Bogus) {5+}\r\nhello " + literal + "\r\n");
  EXPECT_THAT(client.until("t "), HasSubstr("t BAD"));
  client.send("t SEARCH TEXT {300000+}\r\n" + std::string(300'000, 'x') + " " + literal + "\r\n");
  EXPECT_THAT(client.until("t "), HasSubstr("t BAD [TOOBIG]"));
  // Behind a line that is too long itself, in one piece and in many, and behind a command that is too long later.
  client.send("t LIST \"\" " + std::string(65'530, 'x') + " " + literal + "\r\n");
  EXPECT_THAT(client.until("* "), HasSubstr("* BAD Line is too long"));
  client.send("t LIST \"\" " + std::string(300'000, 'x') + " " + literal + " " + literal + "\r\n");
  EXPECT_THAT(client.until("* "), HasSubstr("* BAD Line is too long"));
  client.send("t LIST {0+}\r\n " + std::string(70'000, 'x') + " " + literal + "\r\n");
  EXPECT_THAT(client.until("t "), HasSubstr("t BAD Line is too long"));
  const auto left = client.run("LIST \"\" Sent");
  EXPECT_THAT(left, HasSubstr("/\" Sent\r\n"));
  EXPECT_THAT(left, Not(HasSubstr("x OK")));
  client.send("t LOGIN {99999999999999999999+}\r\n");
  EXPECT_THAT(client.until("* BYE"), HasSubstr("* BYE Too much input"));
}

TEST_F(ImapTest, Revision2TellsTheNameAsItIs) {
  start();
  Client client(port());
  client.log_in();
  EXPECT_THAT(client.run("SELECT inbox"), Not(HasSubstr("OLDNAME")));
  client.run("ENABLE IMAP4rev2");
  EXPECT_THAT(client.run("SELECT inbox"), HasSubstr("* LIST () \"/\" INBOX (\"OLDNAME\" (inbox))\r\n"));
  EXPECT_THAT(client.run("SELECT Sent"), HasSubstr("* LIST (\\Sent) \"/\" Sent\r\n"));
  // "e" and U+0301 is written as one letter in NFC.
  EXPECT_THAT(client.run("CREATE \"e\xcc\x81/\""),
              StartsWith("* LIST () \"/\" \"\xc3\xa9\" (\"OLDNAME\" (\"e\xcc\x81\"))\r\nt OK"));
  EXPECT_THAT(client.run("APPEND \"e\xcc\x81\" {1+}\r\nx"),
              StartsWith("* LIST () \"/\" \"\xc3\xa9\" (\"OLDNAME\" (\"e\xcc\x81\"))\r\nt OK"));
  EXPECT_THAT(client.run("RENAME \"e\xcc\x81\" plain"),
              StartsWith("* LIST () \"/\" plain (\"OLDNAME\" (\"e\xcc\x81\"))\r\nt OK"));
  EXPECT_THAT(client.run("RENAME plain \"\xc3\xa9\""), StartsWith("t OK"));
  EXPECT_THAT(client.run("DELETE \"e\xcc\x81\""),
              StartsWith("* LIST (\\NonExistent) \"/\" \"\xc3\xa9\" (\"OLDNAME\" (\"e\xcc\x81\"))\r\nt OK"));
}

TEST_F(ImapTest, ChildinfoIsForWhoseChildrenAreNotListed) {
  store.create("a/b").subscribed = true;
  start();
  Client client(port());
  client.log_in();
  EXPECT_THAT(client.run("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %"),
              StartsWith("* LIST (\\NonExistent) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\nt OK"));
  EXPECT_THAT(client.run("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *"),
              StartsWith("* LIST (\\Subscribed) \"/\" a/b\r\nt OK"));
  EXPECT_THAT(client.run("LIST (RECURSIVEMATCH) \"\" *"), HasSubstr("t BAD"));
  EXPECT_THAT(client.run("LIST (RECURSIVEMATCH REMOTE) \"\" *"), HasSubstr("t BAD"));
}

TEST_F(ImapTest, WhoIsIdleForTooLongHearsBye) {
  config_.mutable_idle_timeout()->set_nanos(300'000'000);
  config_.mutable_login_timeout()->set_nanos(300'000'000);
  start();
  Client stranger(port());
  EXPECT_THAT(stranger.until("* BYE"), HasSubstr("* BYE No login for too long"));
  Client quiet(port());
  quiet.log_in();
  EXPECT_THAT(quiet.until("* BYE"), HasSubstr("* BYE Idle for too long"));
  Client idling(port());
  idling.log_in();
  idling.send("t IDLE\r\n");
  EXPECT_THAT(idling.until("* BYE"), StartsWith("+ idling\r\n* BYE Idle for too long"));
  EXPECT_THAT(idling.until("x"), HasSubstr("(end)"));
}

TEST_F(ImapTest, MessagesInMemoryAreBoundedForTheWholeProcess) {
  config_.set_max_bytes_in_flight(1000);
  start();
  Client client(port());
  client.log_in();
  client.send("t APPEND INBOX {1001}\r\n");
  EXPECT_THAT(client.until("t "), StartsWith("t NO [UNAVAILABLE]"));
  client.send("t APPEND INBOX {1001+}\r\n" + std::string(1001, 'x') + "\r\n");
  EXPECT_THAT(client.until("t "), StartsWith("t NO [UNAVAILABLE]"));
  client.send("t APPEND INBOX {1000+}\r\n" + std::string(1000, 'x') + "\r\n");
  EXPECT_THAT(client.until("t "), StartsWith("t OK"));
  client.send("t APPEND INBOX {1000+}\r\n" + std::string(1000, 'x') + "\r\n");
  EXPECT_THAT(client.until("t "), StartsWith("t OK")) << "given back";
}

}  // namespace
}  // namespace merpati::imap::testing
