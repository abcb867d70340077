// The IMAP edge against the real store on a private PostgreSQL: several sessions of one account, what each is told.
#include <gmock/gmock.h>

#include <filesystem>

#include "merpati/config/v1/store.pb.h"
#include "merpati/pg/migration.hpp"
#include "store/migrations.hpp"
#include "store/module.hpp"
#include "support/postgres.hpp"
#include "unit/service_imap/fixture.hpp"

namespace merpati::imap::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RealStoreTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = new test::Postgres(); }
  static void TearDownTestSuite() { delete database_; }

  void SetUp() override {
    ASSERT_TRUE(pg::migrate(database_->dsn(), "store", store::migrations()).has_value());
    config::v1::Store store_config;
    store_config.mutable_database()->set_dsn(database_->dsn());
    store_config.mutable_objects()->set_directory(objects_);
    keys_->add(key_.id, key_.pub);
    auto store = std::make_unique<store::Module>(process_, store_config, nullptr);
    store->set_token_verifier(keys_);
    auth_dispatcher_.register_service(auth_);
    config::v1::Imap imap_config;
    auto* listener = imap_config.add_listeners();
    listener->set_address("127.0.0.1");
    listener->set_plaintext_login_from_loopback(true);
    if (const char* port = std::getenv("MERPATI_TEST_IMAP_PORT"))
      listener->set_port(static_cast<unsigned>(std::atoi(port)));
    auto edge =
        std::make_unique<Module>(process_, imap_config, rpc::in_process_channel(auth_dispatcher_, rpc::Role::kImap),
                                 rpc::in_process_channel(store->dispatcher(), rpc::Role::kImap));
    edge_ = edge.get();
    process_.add(std::move(store));
    process_.add(std::move(edge));
    const auto started = process_.start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
  }
  void TearDown() override {
    process_.stop();
    std::filesystem::remove_all(objects_);
  }
  std::unique_ptr<Client> log_in() {
    auto client = std::make_unique<Client>(edge_->ports().front());
    client->log_in();
    return client;
  }
  std::unique_ptr<Client> open(const std::string& mailbox) {
    auto client = log_in();
    client->run("CREATE " + mailbox);
    EXPECT_THAT(client->run("SELECT " + mailbox), HasSubstr("t OK [READ-WRITE]"));
    return client;
  }
  /// What NOOP tells, once it tells something: the news of another loop's session take a moment.
  static std::string news(Client& client) {
    std::string answer;
    for (int i = 0; i < 5000 && answer.find("* ") == std::string::npos; ++i) answer = client.run("NOOP");
    return answer;
  }
  static std::string append(Client& client, const std::string& mailbox, const std::string& mail) {
    client.send("t APPEND " + mailbox + " {" + std::to_string(mail.size()) + "+}\r\n" + mail + "\r\n");
    return client.until("t ");
  }

  static inline test::Postgres* database_ = nullptr;
  static runtime::ProcessOptions options() {
    runtime::ProcessOptions options;
    options.loops = 2;
    options.endpoint_delay = {};
    options.grace_period = std::chrono::seconds(1);
    return options;
  }
  std::string objects_ = std::filesystem::temp_directory_path() / ("merpati-imap-" + new_uuid());
  runtime::Process process_{options()};
  rpc::SigningKey key_ = rpc::SigningKey::generate("k1");
  std::shared_ptr<rpc::KeyRing> keys_ = std::make_shared<rpc::KeyRing>();
  FakeAuth auth_{key_};
  rpc::Dispatcher auth_dispatcher_{keys_};
  Module* edge_ = nullptr;
};

TEST_F(RealStoreTest, AnAccountHasItsMailboxesFromTheStart) {
  auto client = log_in();
  const auto list = client->run("LIST \"\" *");
  for (const char* name : {"INBOX", "\\Drafts) \"/\" Drafts", "\\Sent) \"/\" Sent", "\\Junk) \"/\" Junk",
                           "\\Trash) \"/\" Trash", "\\Archive) \"/\" Archive"}) {
    EXPECT_THAT(list, HasSubstr(name));
  }
}

TEST_F(RealStoreTest, WhatIsAppendedIsReadBackByteByByte) {
  auto client = open("exact");
  const std::string small = small_mail("one");
  const std::string large = small_mail("large", std::string(1'000'000, 'x') + "\r\nend\r\n");
  EXPECT_THAT(append(*client, "exact", small), HasSubstr("* 1 EXISTS"));
  EXPECT_THAT(append(*client, "exact", large), HasSubstr("t OK [APPENDUID"));
  EXPECT_THAT(client->run("FETCH 1 BODY.PEEK[]"),
              StartsWith("* 1 FETCH (BODY[] {" + std::to_string(small.size()) + "}\r\n" + small + ")\r\n"));
  EXPECT_TRUE(client->run("FETCH 2 BODY.PEEK[]").find("}\r\n" + large + ")\r\n") != std::string::npos);
  EXPECT_THAT(client->run("FETCH 2 BODY.PEEK[TEXT]<999999.100>"), HasSubstr("{8}\r\nx\r\nend\r\n)"));
  EXPECT_THAT(client->run("FETCH 1 (ENVELOPE RFC822.SIZE)"), HasSubstr("\"one\""));
  EXPECT_THAT(client->run("FETCH 1:2 BODY.PEEK[HEADER.FIELDS (SUBJECT)]"), HasSubstr("Subject: large\r\n\r\n)"));
}

TEST_F(RealStoreTest, SessionsHearOfEachOther) {
  auto first = open("shared");
  auto second = open("shared");
  second->send("t IDLE\r\n");
  second->until("+ idling");
  EXPECT_THAT(append(*first, "shared", small_mail("one")), HasSubstr("* 1 EXISTS"));
  EXPECT_THAT(second->until("* 1 RECENT"), HasSubstr("* 1 EXISTS"));
  first->run("STORE 1 +FLAGS (\\Deleted $Work)");
  EXPECT_THAT(second->until("* 1 FETCH"), HasSubstr("\\Deleted"));
  EXPECT_THAT(first->run("EXPUNGE"), StartsWith("* 1 EXPUNGE\r\n"));
  EXPECT_THAT(second->until("* 1 EXPUNGE"), HasSubstr("* 1 EXPUNGE"));
  second->send("DONE\r\n");
  second->until("t ");
  EXPECT_THAT(first->run("NOOP"), StartsWith("t OK"));
}

// RFC 3501 2.3.2: \Recent is for the first session that is told, and for no later one; EXAMINE takes it from nobody.
TEST_F(RealStoreTest, MailIsRecentToTheFirstSessionThatHearsOfIt) {
  auto writer = open("recent-source");
  auto first = open("recent");
  auto second = open("recent");
  auto reader = log_in();
  reader->run("EXAMINE recent");
  append(*writer, "recent", small_mail("one"));
  EXPECT_THAT(news(*reader), HasSubstr("* 1 RECENT"));
  EXPECT_THAT(writer->run("STATUS recent (RECENT)"), HasSubstr("(RECENT 1)"));
  EXPECT_THAT(news(*first), HasSubstr("* 1 EXISTS\r\n* 1 RECENT"));
  EXPECT_THAT(news(*second), HasSubstr("* 1 EXISTS\r\n* 0 RECENT"));
  EXPECT_THAT(writer->run("STATUS recent (RECENT)"), HasSubstr("(RECENT 0)"));
  append(*writer, "recent", small_mail("two"));
  EXPECT_THAT(news(*second), HasSubstr("* 2 EXISTS\r\n* 1 RECENT"));
  EXPECT_THAT(news(*first), HasSubstr("* 2 EXISTS\r\n* 1 RECENT"));
  EXPECT_THAT(first->run("FETCH 1:2 FLAGS"), StartsWith("* 1 FETCH (FLAGS (\\Recent))\r\n* 2 FETCH (FLAGS ())"));
  EXPECT_THAT(second->run("FETCH 1:2 FLAGS"), StartsWith("* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Recent))"));
  EXPECT_THAT(first->run("SEARCH RECENT"), HasSubstr("* SEARCH 1\r\n"));
  EXPECT_THAT(second->run("SEARCH OLD"), HasSubstr("* SEARCH 1\r\n"));
  EXPECT_THAT(log_in()->run("SELECT recent"), HasSubstr("* 0 RECENT"));
}

// RFC 9051 5.1, RFC 5198 3: macOS sends e and U+0301, others U+00E9; both mean one mailbox.
TEST_F(RealStoreTest, NamesThatLookTheSameAreTheSame) {
  const std::string composed = "\"caf\xc3\xa9\"", decomposed = "\"cafe\xcc\x81\"";
  auto client = log_in();
  EXPECT_THAT(client->run("ENABLE IMAP4rev2"), HasSubstr("t OK"));
  EXPECT_THAT(client->run("CREATE " + decomposed), HasSubstr("t OK"));
  EXPECT_THAT(client->run("CREATE " + composed), HasSubstr("NO [ALREADYEXISTS]"));
  EXPECT_THAT(client->run("LIST \"\" \"cafe\xcc\x81*\""),
              HasSubstr("* LIST (\\HasNoChildren) \"/\" " + composed + "\r\n"));
  EXPECT_THAT(client->run("SUBSCRIBE " + decomposed), HasSubstr("t OK"));
  EXPECT_THAT(client->run("LIST (SUBSCRIBED) \"\" \"caf*\""), HasSubstr(composed));
  EXPECT_THAT(client->run("STATUS " + decomposed + " (MESSAGES)"), HasSubstr("(MESSAGES 0)"));
  EXPECT_THAT(client->run("SELECT " + decomposed),
              HasSubstr("* LIST (\\Subscribed) \"/\" " + composed + " (\"OLDNAME\" (" + decomposed + "))\r\n"));
  EXPECT_THAT(client->run("CREATE \"line\xe2\x80\xa8separator\""), HasSubstr("t NO [CANNOT]"));
  auto older = log_in();
  EXPECT_THAT(older->run("STATUS caf&AOk- (MESSAGES)"), HasSubstr("* STATUS caf&AOk- (MESSAGES 0)"));
  EXPECT_THAT(older->run("SELECT cafe&AwE-"), HasSubstr("[READ-WRITE]"));
  EXPECT_THAT(older->run("LIST \"\" cafe&AwE-"), HasSubstr("caf&AOk-\r\n"));
  EXPECT_THAT(client->run("RENAME " + decomposed + " \"a&b\""), HasSubstr("t OK"));
  EXPECT_THAT(older->run("LIST \"\" a&-%"), HasSubstr("* LIST (\\HasNoChildren) \"/\" a&-b\r\n"));
  EXPECT_THAT(older->run("CREATE a&b"), HasSubstr("t NO"));
}

// RFC 9051 4.3.1: a string with NUL is binary, and goes out only in a literal8; RFC 3516 4.2.
TEST_F(RealStoreTest, BinaryMailIsShownRawOnlyToBinary) {
  auto client = open("binary");
  for (const std::size_t size : {std::size_t{1000}, std::size_t{300'000}}) {
    std::string octets(size, '\0');
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<char>(i * 31 % 251);
    const std::string head =
        "Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        "Content-Type: text/plain\r\n\r\ntext\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: ";
    const std::string mail = head + "binary\r\n\r\n" + octets + "\r\n--b--\r\n";
    client->send("t APPEND binary ~{" + std::to_string(mail.size()) + "+}\r\n" + mail + "\r\n");
    EXPECT_THAT(client->until("t "), HasSubstr("t OK [APPENDUID"));
    std::string encoded;
    for (std::size_t at = 0; at < size; at += 57)
      encoded += to_base64(std::string_view(octets).substr(at, 57)) + "\r\n";
    const std::string shown = head + "base64\r\n\r\n" + encoded + "\r\n--b--\r\n";
    const auto length = std::to_string(shown.size());
    EXPECT_TRUE(client->run("FETCH * BODY.PEEK[]").find("BODY[] {" + length + "}\r\n" + shown + ")\r\n") !=
                std::string::npos);
    EXPECT_THAT(client->run("FETCH * RFC822.SIZE"), HasSubstr("RFC822.SIZE " + length + ")"));
    EXPECT_THAT(client->run("FETCH * BODYSTRUCTURE"),
                HasSubstr("(\"image\" \"x\" NIL NIL NIL \"base64\" " + std::to_string(encoded.size())));
    EXPECT_TRUE(client->run("FETCH * BODY.PEEK[2]").find("}\r\n" + encoded + ")") != std::string::npos);
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{70}, std::size_t{77}, std::size_t{500}, shown.size() - 100}) {
      EXPECT_TRUE(client->run("FETCH * BODY.PEEK[]<" + std::to_string(at) + ".90>")
                      .find("{90}\r\n" + shown.substr(at, 90) + ")") != std::string::npos);
    }
    EXPECT_TRUE(
        client->run("FETCH * BINARY.PEEK[2]").find("BINARY[2] ~{" + std::to_string(size) + "}\r\n" + octets + ")") !=
        std::string::npos);
    EXPECT_TRUE(
        client->run("FETCH * BINARY.PEEK[]").find("BINARY[] ~{" + std::to_string(mail.size()) + "}\r\n" + mail + ")") !=
        std::string::npos);
    EXPECT_THAT(client->run("FETCH * BINARY.SIZE[]"), HasSubstr("BINARY.SIZE[] " + std::to_string(mail.size()) + ")"));
    EXPECT_THAT(client->run("COPY * binary"), HasSubstr("t OK"));
    EXPECT_TRUE(client->run("FETCH * BINARY.PEEK[]").find(mail + ")") != std::string::npos);
  }
}

TEST_F(RealStoreTest, PipelinedAppendsArriveInOrder) {
  auto client = open("pipeline");
  std::string pipeline;
  for (int i = 0; i < 100; ++i) {
    const auto mail = small_mail("m" + std::to_string(i));
    pipeline += "p" + std::to_string(i) + " APPEND pipeline {" + std::to_string(mail.size()) + "+}\r\n" + mail + "\r\n";
  }
  client->send(pipeline + "x STATUS pipeline (MESSAGES UIDNEXT)\r\n");
  const auto answer = client->until("x ");
  EXPECT_THAT(answer, HasSubstr("* STATUS pipeline (MESSAGES 100 UIDNEXT 101)"));
  for (int i = 0; i < 100; ++i) EXPECT_THAT(answer, HasSubstr("p" + std::to_string(i) + " OK [APPENDUID")) << i;
  const auto subjects = client->run("FETCH 1:* (UID ENVELOPE)");
  std::size_t at = 0;
  for (int i = 0; i < 100; ++i) {
    at = subjects.find("\"m" + std::to_string(i) + "\"", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

// For hand-run clients: MERPATI_TEST_IMAP_PORT=24200 integration_imap --gtest_also_run_disabled_tests
// --gtest_filter=*Serve
TEST_F(RealStoreTest, DISABLED_Serve) {
  while (std::getchar() != EOF) continue;
}

}  // namespace
}  // namespace merpati::imap::testing
