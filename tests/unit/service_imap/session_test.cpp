#include <gmock/gmock.h>

#include "fixture.hpp"

namespace merpati::imap::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ImapTest, GreetsAndLogsIn) {
  start();
  Client client(port());
  EXPECT_THAT(client.until("* OK"), HasSubstr("AUTH=PLAIN"));
  EXPECT_THAT(client.run("SELECT INBOX"), HasSubstr("t BAD Log in first"));
  EXPECT_THAT(client.run("LOGIN alice wrong"), HasSubstr("t NO [AUTHENTICATIONFAILED]"));
  EXPECT_THAT(client.run("LOGIN alice secret"), HasSubstr("t OK [CAPABILITY IMAP4rev1"));
  EXPECT_THAT(client.run("LOGIN alice secret"), HasSubstr("t BAD Already logged in"));
  EXPECT_THAT(client.run("FETCH 1 FLAGS"), HasSubstr("t BAD No mailbox is selected"));
  EXPECT_THAT(client.run("LOGOUT"), HasSubstr("* BYE"));
}

TEST_F(ImapTest, AuthenticatesWithAndWithoutInitialResponse) {
  start();
  auth.server_final = "v=proof";
  Client first(port());
  first.until("* OK");
  first.send("t AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n");
  EXPECT_EQ(first.until("+"), "+ dj1wcm9vZg==\r\n");
  first.send("\r\n");
  EXPECT_THAT(first.until("t "), StartsWith("t OK"));
  Client second(port());
  second.until("* OK");
  second.send("t AUTHENTICATE PLAIN\r\n");
  second.until("+");
  second.send("*\r\n");
  EXPECT_THAT(second.until("t "), HasSubstr("t BAD Authentication cancelled"));
}

TEST_F(ImapTest, RefusesPasswordsInPlainTextElsewhere) {
  config_.mutable_listeners(0)->set_plaintext_login_from_loopback(false);
  start();
  Client client(port());
  const auto greeting = client.until("* OK");
  EXPECT_THAT(greeting, HasSubstr("LOGINDISABLED"));
  EXPECT_THAT(greeting, Not(HasSubstr("AUTH=PLAIN")));
  EXPECT_THAT(client.run("LOGIN alice secret"), HasSubstr("NO [PRIVACYREQUIRED]"));
  EXPECT_THAT(client.run("AUTHENTICATE PLAIN"), HasSubstr("NO [PRIVACYREQUIRED]"));
}

// Who is slowed down after failed logins is the client, and never the proxy that it comes through.
TEST_F(ImapTest, TellsAuthTheClientsAddress) {
  start();
  Client direct(port());
  direct.log_in();
  on_loop([&] {
    EXPECT_EQ(auth.last_client.address(), "127.0.0.1");
    EXPECT_FALSE(auth.last_client.proxy_trusted());
  });
}

TEST_F(ImapTest, TellsAuthThatAHealthCheckOfAProxyIsNoClient) {
  config_.mutable_listeners(0)->add_proxy_trusted("127.0.0.0/8");
  start();
  Client proxy(port());
  proxy.send("PROXY UNKNOWN\r\n");
  proxy.log_in();
  on_loop([&] { EXPECT_TRUE(auth.last_client.proxy_trusted()); });
}

TEST_F(ImapTest, ClosesAfterTooManyFailedLogins) {
  start();
  Client client(port());
  client.until("* OK");
  client.run("LOGIN a b");
  client.run("LOGIN a b");
  EXPECT_THAT(client.run("LOGIN a b"), HasSubstr("* BYE"));
  EXPECT_THAT(client.until("x"), HasSubstr("(end)"));
}

TEST_F(ImapTest, SurvivesGarbage) {
  start();
  Client client(port());
  client.until("* OK");
  client.send(std::string(20000, 'x') + "\r\n");
  EXPECT_THAT(client.until("* BAD"), HasSubstr("* BAD Line is too long"));
  client.send(std::string("\0\0\0\r\n", 5));
  EXPECT_THAT(client.until("* BAD"), HasSubstr("* BAD"));
  EXPECT_THAT(client.run("LOGIN {99999999}"), HasSubstr("t BAD [TOOBIG]"));
  EXPECT_THAT(client.run("NOOP"), HasSubstr("t OK"));
}

TEST_F(ImapTest, SelectTellsTheMailbox) {
  store.add("INBOX", small_mail("one"), 1);
  store.add("INBOX", small_mail("two"));
  start();
  Client client(port());
  client.log_in();
  const auto answer = client.run("SELECT inbox");
  EXPECT_THAT(answer, HasSubstr("* 2 EXISTS\r\n"));
  EXPECT_THAT(answer, HasSubstr("* 2 RECENT\r\n"));
  EXPECT_THAT(answer, HasSubstr("[UNSEEN 2]"));
  EXPECT_THAT(answer, HasSubstr("[UIDNEXT 3]"));
  EXPECT_THAT(answer, HasSubstr("[HIGHESTMODSEQ 3]"));
  EXPECT_THAT(answer, HasSubstr("\\*)]"));
  EXPECT_THAT(answer, HasSubstr("t OK [READ-WRITE]"));
  EXPECT_THAT(client.run("EXAMINE INBOX"), HasSubstr("* OK [CLOSED]"));
  EXPECT_THAT(client.run("STORE 1 +FLAGS (\\Deleted)"), HasSubstr("NO [READ-ONLY]"));
  EXPECT_THAT(client.run("SELECT nowhere"), HasSubstr("t NO [NONEXISTENT]"));
  EXPECT_THAT(client.run("CLOSE"), HasSubstr("t BAD No mailbox is selected"));
}

TEST_F(ImapTest, FetchesItemsAndSections) {
  store.add("INBOX", small_mail("one"));
  start();
  auto client = open();
  EXPECT_THAT(client->run("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE)"),
              StartsWith("* 1 FETCH (UID 1 FLAGS (\\Recent) INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" RFC822.SIZE " +
                         std::to_string(small_mail("one").size()) + ")\r\n"));
  EXPECT_THAT(client->run("FETCH 1 ENVELOPE"), HasSubstr("\"one\" ((\"Bob\" NIL \"bob\" \"example.test\"))"));
  EXPECT_THAT(client->run("FETCH 1 BODY.PEEK[TEXT]<1.3>"), HasSubstr("BODY[TEXT]<1> {3}\r\nell)\r\n"));
  EXPECT_THAT(client->run("FETCH 1 BODY.PEEK[HEADER.FIELDS (subject)]"),
              HasSubstr("BODY[HEADER.FIELDS (subject)] {16}\r\nSubject: one\r\n\r\n)"));
  EXPECT_THAT(client->run("FETCH 1 BODY.PEEK[7]"), HasSubstr("BODY[7] \"\""));
  EXPECT_THAT(client->run("FETCH 2 FLAGS"), HasSubstr("t BAD"));
  EXPECT_THAT(client->run("UID FETCH 9 FLAGS"), Not(HasSubstr("FETCH (")));
  const auto body = client->run("UID FETCH 1 BODY[]");
  EXPECT_THAT(body, HasSubstr("UID 1 BODY[] {" + std::to_string(small_mail("one").size()) + "}\r\n" +
                              small_mail("one") + " FLAGS (\\Seen \\Recent))\r\n"));
  EXPECT_THAT(client->run("FETCH 1 BODY[]"), Not(HasSubstr("FLAGS")));
}

TEST_F(ImapTest, StreamsLargeBodiesAndDecodesBinary) {
  std::string raw(200'000, '\0');
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<char>(i * 7);
  std::string encoded = to_base64(raw);
  std::string lines;
  for (std::size_t at = 0; at < encoded.size(); at += 76) lines += encoded.substr(at, 76) + "\r\n";
  const auto mail =
      "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
      lines;
  store.add("INBOX", mail);
  start();
  auto client = open();
  EXPECT_THAT(client->run("FETCH 1 BODY.PEEK[]"),
              HasSubstr("BODY[] {" + std::to_string(mail.size()) + "}\r\n" + mail + ")\r\n"));
  EXPECT_THAT(client->run("FETCH 1 BINARY.SIZE[1]"), HasSubstr("BINARY.SIZE[1] 200000)"));
  EXPECT_TRUE(client->run("FETCH 1 BINARY.PEEK[1]").find("BINARY[1] ~{200000}\r\n" + raw + ")\r\n") !=
              std::string::npos);
  EXPECT_TRUE(client->run("FETCH 1 BINARY.PEEK[1]<199990.100>")
                  .find("BINARY[1]<199990> ~{10}\r\n" + raw.substr(199990) + ")\r\n") != std::string::npos);
}

TEST_F(ImapTest, BinaryOfAnUnknownEncodingIsToldApart) {
  store.add(
      "INBOX",
      "MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n");
  start();
  auto client = open();
  EXPECT_THAT(client->run("FETCH 1 BINARY[1]"), HasSubstr("t NO [UNKNOWN-CTE]"));
}

TEST_F(ImapTest, BatchesContentsThatNeedSeveralReplies) {
  std::string expected;
  for (int i = 0; i < 30; ++i)
    store.add("INBOX", small_mail("m" + std::to_string(i), std::string(5000, 'a' + i % 26) + "\r\n"));
  store.reply_limit = 17'000;
  start();
  auto client = open();
  const auto answer = client->run("FETCH 1:* BODY.PEEK[]");
  EXPECT_THAT(answer.substr(0, 500), HasSubstr("BODY"));
  for (int i = 0; i < 30; ++i)
    EXPECT_TRUE(answer.find(small_mail("m" + std::to_string(i), std::string(5000, 'a' + i % 26) + "\r\n") + ")\r\n") !=
                std::string::npos)
        << i;
  EXPECT_LT(store.calls["read_content"], 25);
}

TEST_F(ImapTest, ALargeBodyGoesOnAtAnotherStore) {
  const std::string body = small_mail("large", std::string(100'000, 'x') + "the end\r\n");
  store.add("INBOX", body);
  store.streams_to_break = 2;
  start();
  auto client = open();
  EXPECT_TRUE(client->run("FETCH 1 BODY.PEEK[]").find(body + ")") != std::string::npos);
  EXPECT_EQ(store.calls["stream_content"], 3);
}

TEST_F(ImapTest, NoopCostsNoCallWhenNothingChanged) {
  store.add("INBOX", small_mail("one"));
  start();
  auto client = open();
  int before = -1;
  while (std::exchange(before, store.calls["get_changes"]) != store.calls["get_changes"]) client->run("NOOP");
  for (int i = 0; i < 5; ++i) client->run("NOOP");
  EXPECT_EQ(store.calls["get_changes"], before);
  client->run("STORE 1 +FLAGS (\\Flagged)");
  EXPECT_THAT(client->run("NOOP"), StartsWith("t OK"));
  EXPECT_EQ(store.calls["get_changes"], before);
}

TEST_F(ImapTest, IdleTellsWhatOthersDo) {
  store.add("INBOX", small_mail("one"));
  start();
  auto client = open();
  client->send("t IDLE\r\n");
  client->until("+ idling");
  on_loop([this] {
    store.add("INBOX", small_mail("two"));
    store.notify("INBOX");
  });
  EXPECT_THAT(client->until("* 2 RECENT"), HasSubstr("* 2 EXISTS"));
  on_loop([this] {
    store.remove(store.boxes["INBOX"], {{1, 1}});
    store.notify("INBOX");
  });
  EXPECT_THAT(client->until("* 1 EXPUNGE"), HasSubstr("* 1 EXPUNGE"));
  client->send("DONE\r\n");
  EXPECT_THAT(client->until("t "), HasSubstr("t OK"));
}

// The store tells nothing of an account before it has taken the request, however late that is.
TEST_F(ImapTest, NothingIsMissedUntilTheStoreWatches) {
  store.add("INBOX", small_mail("one"));
  store.takes_no_watch = true;
  start();
  auto client = open();
  client->run("NOOP");
  on_loop([this] { store.add("INBOX", small_mail("two")); });
  EXPECT_THAT(client->run("NOOP"), StartsWith("* 2 EXISTS"));
  client->send("t IDLE\r\n");
  client->until("+ idling");
  on_loop([this] {
    store.add("INBOX", small_mail("three"));
    store.take_watches();
  });
  EXPECT_THAT(client->until("* 3 RECENT"), HasSubstr("* 3 EXISTS"));
}

TEST_F(ImapTest, ExpungesWaitForACommandThatAllowsThem) {
  for (const char* name : {"one", "two", "three"}) store.add("INBOX", small_mail(name));
  start();
  auto client = open();
  client->run("NOOP");
  on_loop([this] {
    store.remove(store.boxes["INBOX"], {{1, 1}});
    store.notify("INBOX");
  });
  EXPECT_THAT(client->run("FETCH 3 UID"), StartsWith("* 3 FETCH (UID 3)\r\nt OK"));
  EXPECT_THAT(client->run("FETCH 1:3 UID"), HasSubstr("t NO [EXPUNGEISSUED]"));
  EXPECT_THAT(client->run("STORE 2 +FLAGS.SILENT (\\Seen)"), Not(HasSubstr("EXPUNGE")));
  EXPECT_THAT(client->run("NOOP"), StartsWith("* 1 EXPUNGE\r\nt OK"));
  EXPECT_THAT(client->run("FETCH 1 UID"), StartsWith("* 1 FETCH (UID 2)"));
}

TEST_F(ImapTest, StoreAndExpunge) {
  for (const char* name : {"one", "two", "three", "four"}) store.add("INBOX", small_mail(name));
  start();
  auto client = open();
  EXPECT_THAT(client->run("STORE 1,3 +FLAGS (\\Deleted $X)"), HasSubstr("* 3 FETCH (FLAGS (\\Deleted \\Recent $X))"));
  EXPECT_THAT(client->run("UID STORE 4 FLAGS.SILENT (\\Deleted)"), StartsWith("t OK"));
  EXPECT_THAT(client->run("UID EXPUNGE 4"), StartsWith("* 4 EXPUNGE\r\nt OK"));
  EXPECT_THAT(client->run("EXPUNGE"), StartsWith("* 3 EXPUNGE\r\n* 1 EXPUNGE\r\nt OK"));
  EXPECT_THAT(client->run("STORE 1 FLAGS (\\Recent)"), HasSubstr("t BAD"));
  EXPECT_THAT(client->run("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)"), HasSubstr("t OK [MODIFIED 1]"));
}

TEST_F(ImapTest, AppendsSmallLargeAndPipelined) {
  start();
  auto client = open("Sent");
  client->send("t APPEND Sent (\\Seen $k) \"17-Jul-1996 02:44:25 -0700\" {12}\r\n");
  EXPECT_EQ(client->until("+"), "+ OK\r\n");
  client->send("a: b\n\nbody\r\n\r\n");
  const auto answer = client->until("t ");
  EXPECT_THAT(answer, HasSubstr("* 1 EXISTS"));
  EXPECT_THAT(answer, HasSubstr("t OK [APPENDUID 1002 1]"));
  const auto fetched = client->run("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])");
  EXPECT_THAT(fetched, HasSubstr("\"17-Jul-1996 02:44:25 -0700\""));
  EXPECT_THAT(fetched, HasSubstr("a: b\r\n\r\nbody\r\n"));
  EXPECT_THAT(fetched, HasSubstr("(\\Seen \\Recent $k)"));

  const std::string large = "a: b\r\n\r\n" + std::string(300'000, 'x') + "\r\n";
  std::string pipeline;
  for (int i = 0; i < 3; ++i)
    pipeline += "p" + std::to_string(i) + " APPEND Sent {" + std::to_string(large.size()) + "+}\r\n" + large + "\r\n";
  pipeline +=
      "s STATUS Sent (MESSAGES)\r\nn APPEND Nowhere {4+}\r\na:b\n\r\nb APPEND Sent (\\Foo) {4+}\r\na:b\n\r\nx NOOP\r\n";
  client->send(pipeline);
  const auto all = client->until("x ");
  EXPECT_THAT(all, HasSubstr("p0 OK [APPENDUID 1002 2]"));
  EXPECT_THAT(all, HasSubstr("p2 OK [APPENDUID 1002 4]"));
  EXPECT_THAT(all, HasSubstr("* STATUS Sent (MESSAGES 4)\r\ns OK"));
  EXPECT_THAT(all, HasSubstr("n NO [TRYCREATE]"));
  EXPECT_THAT(all, HasSubstr("b BAD"));
  EXPECT_TRUE(client->run("FETCH 4 BODY.PEEK[]").find(large + ")") != std::string::npos);
}

TEST_F(ImapTest, PipelinedStatusesShareACall) {
  store.add("INBOX", small_mail("one"));
  store.create("other");
  start();
  auto client = open();
  on_loop([this] { store.calls.clear(); });
  std::string pipeline;
  for (int i = 0; i < 70; ++i)
    pipeline += "p" + std::to_string(i) + " STATUS " +
                (i % 3 == 0   ? "INBOX"
                 : i % 3 == 1 ? "other"
                              : "nowhere") +
                " (MESSAGES)\r\n";
  client->send(pipeline + "x NOOP\r\n");
  const auto all = client->until("x ");
  for (int i = 0; i < 70; ++i) {
    const auto tag = "p" + std::to_string(i);
    const std::string row = i % 3 == 0 ? "* STATUS INBOX (MESSAGES 1)\r\n" : "* STATUS other (MESSAGES 0)\r\n";
    EXPECT_THAT(all, HasSubstr(i % 3 == 2 ? tag + " NO [NONEXISTENT]" : row + tag + " OK"));
  }
  on_loop([this] { EXPECT_LT(store.calls["get_status"], 10); });
}

TEST_F(ImapTest, CopiesAndMoves) {
  for (const char* name : {"one", "two", "three"}) store.add("INBOX", small_mail(name));
  start();
  auto client = open();
  EXPECT_THAT(client->run("COPY 1:2 Sent"), HasSubstr("t OK [COPYUID 1002 1:2 1:2]"));
  EXPECT_THAT(client->run("UID MOVE 2 Sent"), StartsWith("* OK [COPYUID 1002 2 3] Moved\r\n* 2 EXPUNGE\r\nt OK"));
  EXPECT_THAT(client->run("COPY 1 Nowhere"), HasSubstr("t NO [TRYCREATE]"));
}

TEST_F(ImapTest, Searches) {
  store.add("INBOX", small_mail("one"), 1);
  store.add("INBOX", small_mail("two"));
  store.add("INBOX", small_mail("three"), 1);
  start();
  auto client = open();
  EXPECT_THAT(client->run("SEARCH SEEN"), StartsWith("* SEARCH 1 3\r\n"));
  EXPECT_THAT(client->run("SEARCH RETURN (MIN MAX COUNT ALL) SEEN"),
              StartsWith("* ESEARCH (TAG \"t\") MIN 1 MAX 3 ALL 1,3 COUNT 2\r\n"));
  EXPECT_THAT(client->run("UID SEARCH RETURN (SAVE) SEEN"), StartsWith("t OK"));
  EXPECT_THAT(client->run("FETCH $ UID"), StartsWith("* 1 FETCH (UID 1)\r\n* 3 FETCH (UID 3)\r\nt OK"));
  EXPECT_THAT(client->run("SEARCH 2,99"), StartsWith("* SEARCH 2\r\n"));
  EXPECT_THAT(client->run("SEARCH CHARSET X-NONE ALL"), HasSubstr("t NO [BADCHARSET"));
  EXPECT_THAT(client->run("SEARCH MODSEQ 3"), HasSubstr("* SEARCH 2 3 (MODSEQ 4)\r\n"));
  client->run("ENABLE IMAP4rev2");
  EXPECT_THAT(client->run("UID SEARCH UNSEEN"), StartsWith("* ESEARCH (TAG \"t\") UID ALL 2\r\n"));
  EXPECT_THAT(client->run("UID SEARCH KEYWORD none"), StartsWith("* ESEARCH (TAG \"t\") UID\r\n"));
}

TEST_F(ImapTest, ListsTheTree) {
  store.create("a/b/c");
  store.create("caf\xc3\xa9").subscribed = true;
  start();
  Client client(port());
  client.log_in();
  const auto all = client.run("LIST \"\" *");
  EXPECT_THAT(all, HasSubstr("* LIST (\\HasNoChildren) \"/\" INBOX\r\n"));
  EXPECT_THAT(all, HasSubstr("* LIST (\\Noselect \\HasChildren) \"/\" a\r\n"));
  EXPECT_THAT(all, HasSubstr("* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"));
  EXPECT_THAT(all, HasSubstr("\"/\" caf&AOk-\r\n"));
  EXPECT_THAT(client.run("LIST \"\" \"*&AOk*\""), HasSubstr("caf&AOk-"));
  EXPECT_THAT(client.run("LIST \"\" %"), Not(HasSubstr("a/b")));
  EXPECT_THAT(client.run("LIST \"\" \"\""), StartsWith("* LIST (\\Noselect) \"/\" \"\"\r\n"));
  EXPECT_THAT(client.run("LSUB \"\" *"), StartsWith("* LSUB () \"/\" caf&AOk-\r\n"));
  EXPECT_THAT(client.run("LIST (SUBSCRIBED) \"\" * RETURN (STATUS (MESSAGES))"),
              StartsWith("* LIST (\\Subscribed) \"/\" caf&AOk-\r\n* STATUS caf&AOk- (MESSAGES 0)\r\nt OK"));
  client.run("ENABLE IMAP4rev2");
  EXPECT_THAT(client.run("LIST \"\" caf*"), HasSubstr("\"/\" \"caf\xc3\xa9\"\r\n"));
  EXPECT_THAT(client.run("CREATE \"new/\""), HasSubstr("t OK"));
  EXPECT_THAT(client.run("CREATE new"), HasSubstr("t NO [ALREADYEXISTS]"));
  EXPECT_THAT(client.run("DELETE INBOX"), HasSubstr("t NO [CANNOT]"));
}

TEST_F(ImapTest, CondstoreTellsModseq) {
  store.add("INBOX", small_mail("one"));
  store.add("INBOX", small_mail("two"));
  start();
  auto client = open("INBOX (CONDSTORE)");
  EXPECT_THAT(client->run("FETCH 1:* (FLAGS) (CHANGEDSINCE 2)"),
              StartsWith("* 2 FETCH (FLAGS (\\Recent) MODSEQ (3))\r\nt OK"));
  EXPECT_THAT(client->run("STORE 1 +FLAGS.SILENT (\\Seen)"), StartsWith("* 1 FETCH (UID 1 MODSEQ (4))\r\nt OK"));
  EXPECT_THAT(client->run("STATUS INBOX (HIGHESTMODSEQ SIZE)"), HasSubstr("HIGHESTMODSEQ 4 SIZE"));
}

TEST_F(ImapTest, ABackendThatIsDownIsUnavailable) {
  start();
  auto client = open();
  on_loop([this] { store.fail = Error(ErrorCode::kUnavailable, "postgres at 10.0.0.7 refused"); });
  const auto answer = client->run("SELECT INBOX");
  EXPECT_THAT(answer, HasSubstr("t NO [UNAVAILABLE]"));
  EXPECT_THAT(answer, Not(HasSubstr("10.0.0.7")));
  on_loop([this] { store.fail.reset(); });
  EXPECT_THAT(client->run("SELECT INBOX"), HasSubstr("t OK [READ-WRITE]"));
}

TEST_F(ImapTest, ADeletedMailboxClosesTheView) {
  store.create("gone");
  start();
  auto client = open("gone");
  on_loop([this] { store.boxes.erase("gone"); });
  EXPECT_THAT(client->run("NOOP"), HasSubstr("* OK [CLOSED]"));
  EXPECT_THAT(client->run("FETCH 1 FLAGS"), HasSubstr("t BAD No mailbox"));
}

TEST_F(ImapTest, DrainSaysBye) {
  start();
  auto idle = open();
  idle->send("t IDLE\r\n");
  idle->until("+ idling");
  auto waiting = open();
  running_ = false;
  std::thread stop([this] { process_.stop(); });
  EXPECT_THAT(idle->until("* BYE"), HasSubstr("* BYE Server is going away"));
  EXPECT_THAT(waiting->until("* BYE"), HasSubstr("* BYE Server is going away"));
  stop.join();
}

}  // namespace
}  // namespace merpati::imap::testing
