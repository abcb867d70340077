// The whole of auth over a real PostgreSQL, called as an edge and as admin call it.
#include <gtest/gtest.h>

#include "auth/directory.hpp"
#include "auth/migrations.hpp"
#include "auth/module.hpp"
#include "auth/scram.hpp"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/auth/v1/directory.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/config/v1/auth.pb.h"
#include "merpati/mailauth/srs.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/rpc/token.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "support/postgres.hpp"

namespace merpati::auth {
namespace {

using namespace std::chrono_literals;
using v1::LoginFailure;

class AuthTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    postgres_ = std::make_unique<test::Postgres>();
    ASSERT_TRUE(pg::migrate(postgres_->dsn(), "auth", migrations()));
    runtime::ProcessOptions options;
    options.loops = 2;
    process_ = std::make_unique<runtime::Process>(std::move(options));
    auto module = std::make_unique<Module>(*process_, config());
    module_ = module.get();
    process_->add(std::move(module));
    const auto started = process_->start();
    ASSERT_TRUE(started) << started.error().describe();
    ASSERT_TRUE(run(directory().create_domain(named<v1::CreateDomainRequest>("example.test"))));
    create("alice@example.test", "wonder");
  }
  static void TearDownTestSuite() {
    process_->stop();
    process_.reset();
    postgres_.reset();
  }

  static config::v1::Auth config() {
    config::v1::Auth out;
    out.mutable_database()->set_dsn(postgres_->dsn());
    out.set_master_key(to_base64(std::string(32, 'k')));
    out.mutable_srs()->set_domain("example.test");
    out.mutable_srs()->set_key("0123456789abcdef");
    out.set_argon2_memory(8192 * 1024);
    out.set_scram_iterations(4096);
    return runtime::with_defaults(std::move(out));
  }
  template <class Request>
  static Request named(const std::string& name) {
    Request request;
    request.set_name(name);
    return request;
  }
  template <class Request>
  static Request about(const std::string& address) {
    Request request;
    request.set_address(address);
    return request;
  }
  template <class T>
  static Result<T> run(Task<T> task) {
    return runtime::block_on(process_->loops().next(), std::move(task));
  }
  static v1::DirectoryClient directory() {
    return v1::DirectoryClient(rpc::in_process_channel(module_->dispatcher(), rpc::Role::kAdmin));
  }
  static v1::AuthClient auth() {
    return v1::AuthClient(rpc::in_process_channel(module_->dispatcher(), rpc::Role::kSmtp));
  }

  static v1::Account create(const std::string& address, const std::string& password) {
    auto request = about<v1::CreateAccountRequest>(address);
    request.set_password(password);
    auto made = run(directory().create_account(request));
    EXPECT_TRUE(made) << made.error().describe();
    return *made;
  }
  static v1::LoginResponse login(const std::string& user, const std::string& password,
                                 const std::string& client = "192.0.2.1") {
    return login_at(auth(), user, password, client);
  }
  static v1::LoginResponse login_at(const v1::AuthClient& replica, const std::string& user, const std::string& password,
                                    const std::string& client = "192.0.2.1") {
    v1::LoginRequest request;
    request.set_user(user);
    request.set_password(password);
    request.set_service("imap");
    request.mutable_client()->set_address(client);
    auto answered = run(replica.login(request));
    EXPECT_TRUE(answered) << answered.error().describe();
    return *answered;
  }
  /// How often Argon2id was computed.
  static double hashes() {
    const auto text = process_->metrics().text();
    const std::string name = "\nmerpati_auth_argon2_seconds_count ";
    const auto at = text.find(name);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size()));
  }
  static v1::ResolveRecipientResponse resolve(const std::string& address) {
    auto found = run(auth().resolve_recipient(about<v1::ResolveRecipientRequest>(address)));
    EXPECT_TRUE(found) << found.error().describe();
    return *found;
  }
  static void alias(const std::string& address, std::vector<std::string> targets) {
    auto request = about<v1::CreateAliasRequest>(address);
    for (auto& target : targets) request.add_targets(target);
    const auto made = run(directory().create_alias(request));
    EXPECT_TRUE(made) << made.error().describe();
  }

  static std::unique_ptr<test::Postgres> postgres_;
  static std::unique_ptr<runtime::Process> process_;
  static Module* module_;
};
std::unique_ptr<test::Postgres> AuthTest::postgres_;
std::unique_ptr<runtime::Process> AuthTest::process_;
Module* AuthTest::module_ = nullptr;

TEST_F(AuthTest, LoginGivesATokenThatVerifies) {
  const auto response = login("Alice@Example.TEST", "wonder");
  ASSERT_TRUE(response.has_success()) << response.failure().text();
  rpc::KeyRing ring;
  const auto keys = run(auth().list_public_keys({})).value();
  for (const auto& key : keys.keys()) ring.add(key.key_id(), key.ed25519_public(), key.not_after());
  const auto claims = ring.verify(response.success().token());
  ASSERT_TRUE(claims) << claims.error().describe();
  EXPECT_EQ((*claims)->address(), "alice@example.test");
  EXPECT_EQ((*claims)->account_id(), response.success().claims().account_id());
  EXPECT_NEAR((*claims)->expires_at() - (*claims)->issued_at(), 900, 1);
  EXPECT_TRUE(login("alice@example.test", "wonder").has_success());  // from the cache
}

TEST_F(AuthTest, WrongPasswordAndUnknownUserLookAlike) {
  const auto wrong = login("alice@example.test", "w0nder", "192.0.2.2"),
             unknown = login("nobody@example.test", "x", "192.0.2.2");
  EXPECT_EQ(wrong.failure().reason(), LoginFailure::REASON_CREDENTIALS);
  EXPECT_EQ(unknown.failure().SerializeAsString(), wrong.failure().SerializeAsString());
}

// No assertion about time: the same work is done, whoever it is.
TEST_F(AuthTest, EveryFailedLoginCostsOneComputation) {
  create("locked@example.test", "");
  auto disabled = about<v1::UpdateAccountRequest>("off@example.test");
  create("off@example.test", "pw");
  disabled.set_enabled(false);
  ASSERT_TRUE(run(directory().update_account(disabled)));
  const std::vector<std::pair<std::string, std::string>> attempts = {{"alice@example.test", "wrong"},
                                                                     {"unknown@example.test", "wrong"},
                                                                     {"unknown@elsewhere.test", "wrong"},
                                                                     {"not an address", "wrong"},
                                                                     {"", "wrong"},
                                                                     {"locked@example.test", "wrong"},
                                                                     {"off@example.test", "wrong"},
                                                                     {"alice@example.test", ""},
                                                                     {"unknown@example.test", "\n"}};
  int number = 0;
  for (const auto& [user, password] : attempts) {
    const auto before = hashes();
    const auto failed = login(user, password, "198.51.100." + std::to_string(++number));
    EXPECT_EQ(failed.failure().reason(), LoginFailure::REASON_CREDENTIALS) << user;
    EXPECT_EQ(failed.failure().text(), "authentication failed") << user;
    EXPECT_EQ(hashes() - before, 1) << user;
  }
}

TEST_F(AuthTest, AVerifiedPasswordIsNotComputedAgain) {
  create("often@example.test", "pw");
  ASSERT_TRUE(login("often@example.test", "pw").has_success());
  const auto before = hashes();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(login("often@example.test", "pw").has_success());
  EXPECT_EQ(hashes(), before);
}

// What is verified is remembered by each replica, and the credential's version is read at each login.
TEST_F(AuthTest, AChangedPasswordHoldsAtOnceOnAnotherReplica) {
  runtime::ProcessOptions options;
  options.loops = 1;
  runtime::Process other(std::move(options));
  auto module = std::make_unique<Module>(other, config());
  auto& second = *module;
  other.add(std::move(module));
  ASSERT_TRUE(other.start());
  const v1::AuthClient there(rpc::in_process_channel(second.dispatcher(), rpc::Role::kImap));
  create("moves@example.test", "one");
  EXPECT_TRUE(login("moves@example.test", "one").has_success());
  const auto session = login_at(there, "moves@example.test", "one");
  ASSERT_TRUE(session.has_success());
  auto set = about<v1::SetPasswordRequest>("moves@example.test");
  set.set_password("two");
  ASSERT_TRUE(run(directory().set_password(set)));
  EXPECT_TRUE(login_at(there, "moves@example.test", "one").has_failure()) << "it had verified this one";
  EXPECT_TRUE(login_at(there, "moves@example.test", "two").has_success());
  v1::RenewTokenRequest renew;
  renew.set_token(session.success().token());
  EXPECT_EQ(run(there.renew_token(renew)).error().code(), ErrorCode::kUnauthenticated);
  other.stop();
}

TEST_F(AuthTest, AChangedPasswordHoldsAtOnceAndEndsRenewal) {
  create("carol@example.test", "one");
  const auto first = login("carol@example.test", "one");
  v1::RenewTokenRequest renew;
  renew.set_token(first.success().token());
  const auto renewed = run(auth().renew_token(renew));
  ASSERT_TRUE(renewed) << renewed.error().describe();
  EXPECT_EQ(renewed->claims().session_id(), first.success().claims().session_id());
  auto set = about<v1::SetPasswordRequest>("carol@example.test");
  set.set_password("two");
  ASSERT_TRUE(run(directory().set_password(set)));
  EXPECT_TRUE(login("carol@example.test", "one").has_failure());
  EXPECT_TRUE(login("carol@example.test", "two").has_success());
  EXPECT_EQ(run(auth().renew_token(renew)).error().code(), ErrorCode::kUnauthenticated);
}

TEST_F(AuthTest, ADisabledAccountIsToldOnlyAfterTheRightPassword) {
  create("dave@example.test", "pw");
  auto disable = about<v1::UpdateAccountRequest>("dave@example.test");
  disable.set_enabled(false);
  ASSERT_TRUE(run(directory().update_account(disable)));
  EXPECT_EQ(login("dave@example.test", "pw").failure().reason(), LoginFailure::REASON_DISABLED);
  EXPECT_EQ(login("dave@example.test", "no").failure().reason(), LoginFailure::REASON_CREDENTIALS);
  EXPECT_EQ(resolve("dave@example.test").status(), v1::ResolveRecipientResponse::STATUS_DISABLED);
}

TEST_F(AuthTest, TooManyFailuresSlowDown) {
  create("erin@example.test", "pw");
  LoginFailure::Reason last = LoginFailure::REASON_UNSPECIFIED;
  for (int i = 0; i < 20 && last != LoginFailure::REASON_SLOWED; ++i)
    last = login("erin@example.test", "no", "203.0.113.9").failure().reason();
  EXPECT_EQ(last, LoginFailure::REASON_SLOWED);
  EXPECT_EQ(login("erin@example.test", "pw", "203.0.113.9").failure().reason(), LoginFailure::REASON_SLOWED);
}

TEST_F(AuthTest, Recipients) {
  using R = v1::ResolveRecipientResponse;
  const auto whole = resolve("ALICE+List@example.test");
  ASSERT_EQ(whole.status(), R::STATUS_LOCAL);
  EXPECT_EQ(whole.recipients(0).claims().recipient(), "alice+list@example.test");
  EXPECT_EQ(whole.recipients(0).claims().detail(), "list");
  EXPECT_EQ(whole.recipients(0).claims().address(), "alice@example.test");
  EXPECT_EQ(resolve("nobody@example.test").status(), R::STATUS_UNKNOWN);
  EXPECT_EQ(resolve("x@elsewhere.test").status(), R::STATUS_REMOTE);
  EXPECT_EQ(resolve("x@[192.0.2.1]").status(), R::STATUS_REMOTE);
  EXPECT_EQ(resolve(std::string(70, 'a') + "@example.test").status(), R::STATUS_UNKNOWN);
}

TEST_F(AuthTest, ABounceToARewrittenSenderGoesToWhoSentTheMessage) {
  using R = v1::ResolveRecipientResponse;
  const mailauth::Srs srs("example.test", {"0123456789abcdef"});
  const auto now = Clock::system().wall();
  const auto remote = srs.forward("sender@elsewhere.test", now).value();
  const auto found = resolve(remote);
  EXPECT_EQ(found.status(), R::STATUS_LOCAL);
  ASSERT_EQ(found.remote_addresses_size(), 1);
  EXPECT_EQ(found.remote_addresses(0), "sender@elsewhere.test");
  EXPECT_EQ(found.recipients_size(), 0);
  auto forged = remote;
  forged[5] = forged[5] == 'A' ? 'B' : 'A';
  EXPECT_EQ(resolve(forged).status(), R::STATUS_UNKNOWN);
  const mailauth::Srs other("example.test", {"another key that is long"});
  EXPECT_EQ(resolve(other.forward("sender@elsewhere.test", now).value()).status(), R::STATUS_UNKNOWN);
}

TEST_F(AuthTest, AliasesReachEachAccountOnce) {
  create("f1@example.test", "");
  create("f2@example.test", "");
  alias("inner@example.test", {"f1@example.test", "f2+x@example.test", "loop@example.test"});
  alias("loop@example.test", {"inner@example.test", "f1@example.test", "out@elsewhere.test", "gone@example.test"});
  const auto found = resolve("loop@example.test");
  EXPECT_EQ(found.status(), v1::ResolveRecipientResponse::STATUS_LOCAL);
  EXPECT_EQ(found.recipients_size(), 2);
  ASSERT_EQ(found.remote_addresses_size(), 1);
  EXPECT_EQ(found.remote_addresses(0), "out@elsewhere.test");
  EXPECT_EQ(resolve("loop+y@example.test").recipients_size(), 2);
}

TEST_F(AuthTest, AnAliasThatCannotBeFollowedToItsEndIsNoReasonToLeaveSomebodyOut) {
  create("deep@example.test", "");
  for (int i = 0; i < 7; ++i)
    alias("step" + std::to_string(i) + "@example.test",
          {i == 6 ? "deep@example.test" : "step" + std::to_string(i + 1) + "@example.test", "alice@example.test"});
  EXPECT_EQ(resolve("step2@example.test").recipients_size(), 2);
  const auto too_deep = run(auth().resolve_recipient(about<v1::ResolveRecipientRequest>("step0@example.test")));
  ASSERT_TRUE(too_deep.has_error());
  EXPECT_EQ(too_deep.error().code(), ErrorCode::kResourceExhausted);
}

TEST_F(AuthTest, CatchAllAndDomainsByUnicodeName) {
  auto domain = named<v1::CreateDomainRequest>(
      "b\xC3\xBC"
      "cher.example");
  domain.set_catch_all("alice@example.test");
  const auto made = run(directory().create_domain(domain));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->name(), "xn--bcher-kva.example");
  const auto found = resolve(
      "any.thing@B\xC3\x9C"
      "CHER.example");
  ASSERT_EQ(found.recipients_size(), 1);
  EXPECT_EQ(found.recipients(0).claims().address(), "alice@example.test");
  EXPECT_EQ(found.recipients(0).claims().recipient(), "any.thing@xn--bcher-kva.example");
  EXPECT_EQ(resolve("other@XN--Bcher-kva.example").recipients_size(), 1) << "the same domain in A-labels";
  create(
      "pat@b\xC3\xBC"
      "cher.example",
      "pw");
  EXPECT_TRUE(login("PAT@xn--bcher-kva.example", "pw").has_success());
  EXPECT_TRUE(login("pat@B\xC3\x9C"
                    "CHER.example",
                    "pw")
                  .has_success());
  EXPECT_EQ(resolve("pat+x@xn--bcher-kva.example").recipients(0).claims().detail(), "x");
}

TEST_F(AuthTest, WhoMaySendAsWhom) {
  const auto gina = create("gina@example.test", "pw");
  alias("sales@example.test", {"gina@example.test", "alice@example.test"});
  auto may = [&](const std::string& address) {
    v1::CheckSenderRequest request;
    request.set_account_id(gina.account_id());
    request.set_address(address);
    return run(auth().check_sender(request)).value().allowed();
  };
  EXPECT_TRUE(may("gina@example.test"));
  EXPECT_TRUE(may("Gina+shop@example.test"));
  EXPECT_TRUE(may("sales@example.test"));
  EXPECT_FALSE(may("alice@example.test"));
  EXPECT_FALSE(may("any@xn--bcher-kva.example"));
  EXPECT_FALSE(may("gina@elsewhere.test"));
}

TEST_F(AuthTest, TheDirectoryRefusesDoublesAndUnknowns) {
  EXPECT_EQ(run(directory().create_domain(named<v1::CreateDomainRequest>("EXAMPLE.test"))).error().code(),
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(run(directory().create_account(about<v1::CreateAccountRequest>("Alice@example.test"))).error().code(),
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(run(directory().create_account(about<v1::CreateAccountRequest>("a@nowhere.test"))).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(run(directory().get_account(about<v1::GetAccountRequest>("zz@example.test"))).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(run(directory().delete_domain(named<v1::DeleteDomainRequest>("example.test"))).error().code(),
            ErrorCode::kFailedPrecondition);
}

TEST_F(AuthTest, ManyAccountsAtOnceAndPages) {
  ASSERT_TRUE(run(directory().create_domain(named<v1::CreateDomainRequest>("many.test"))));
  v1::CreateAccountsRequest request;
  request.set_password("same");
  for (int i = 1; i <= 250; ++i) request.add_addresses("u" + std::to_string(i) + "@many.test");
  const auto made = run(directory().create_accounts(request));
  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_EQ(made->accounts_size(), 250);
  EXPECT_TRUE(login("u77@many.test", "same").has_success());
  int seen = 0;
  v1::ListAccountsRequest list;
  list.set_domain("many.test");
  list.set_page_size(100);
  do {
    const auto page = run(directory().list_accounts(list)).value();
    seen += page.accounts_size();
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(seen, 250);
  // All or none.
  v1::CreateAccountsRequest clash;
  clash.add_addresses("fresh@many.test");
  clash.add_addresses("u1@many.test");
  EXPECT_EQ(run(directory().create_accounts(clash)).error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(run(directory().get_account(about<v1::GetAccountRequest>("fresh@many.test"))).error().code(),
            ErrorCode::kNotFound);
}

Task<v1::SaslResponse> sasl_plain(v1::AuthClient client, std::string message, bool initial) {
  MERPATI_CO_TRY(auto stream, co_await client.sasl());
  v1::SaslRequest start;
  start.mutable_start()->set_mechanism("PLAIN");
  start.mutable_start()->set_service("smtp");
  start.mutable_start()->mutable_client()->set_address("192.0.2.3");
  if (initial) start.mutable_start()->set_initial_response(message);
  MERPATI_CO_CHECK(co_await stream->write(std::move(start)));
  MERPATI_CO_TRY(auto answer, co_await stream->read());
  if (!initial) {
    if (!answer || !answer->has_challenge()) co_return Error(ErrorCode::kInternal, "no challenge");
    v1::SaslRequest response;
    response.set_response(message);
    MERPATI_CO_CHECK(co_await stream->write(std::move(response)));
    MERPATI_CO_TRY(answer, co_await stream->read());
  }
  if (!answer) co_return Error(ErrorCode::kInternal, "no answer");
  co_return *answer;
}

TEST_F(AuthTest, SaslPlain) {
  using namespace std::string_literals;
  for (const bool initial : {true, false}) {
    const auto good = run(sasl_plain(auth(), "\0alice@example.test\0wonder"s, initial));
    ASSERT_TRUE(good) << good.error().describe();
    EXPECT_TRUE(good->has_success());
  }
  EXPECT_EQ(run(sasl_plain(auth(), "\0alice@example.test\0no"s, true))->failure().reason(),
            LoginFailure::REASON_CREDENTIALS);
  EXPECT_EQ(run(sasl_plain(auth(), "bob@example.test\0alice@example.test\0wonder"s, true))->failure().reason(),
            LoginFailure::REASON_CREDENTIALS);
  EXPECT_EQ(run(sasl_plain(auth(), "no nuls", true))->failure().reason(), LoginFailure::REASON_PROTOCOL);
}

/// LOGIN answers two questions; `user` may come at once.
Task<v1::SaslResponse> sasl_login(v1::AuthClient client, std::string user, std::string password, bool initial) {
  MERPATI_CO_TRY(auto stream, co_await client.sasl());
  v1::SaslRequest message;
  message.mutable_start()->set_mechanism("LOGIN");
  message.mutable_start()->set_service("smtp");
  message.mutable_start()->mutable_client()->set_address("192.0.2.5");
  if (initial) message.mutable_start()->set_initial_response(user);
  MERPATI_CO_CHECK(co_await stream->write(std::move(message)));
  MERPATI_CO_TRY(auto answer, co_await stream->read());
  for (const auto& given : initial ? std::vector{password} : std::vector{user, password}) {
    if (!answer || !answer->has_challenge()) co_return Error(ErrorCode::kInternal, "no challenge");
    v1::SaslRequest response;
    response.set_response(given);
    MERPATI_CO_CHECK(co_await stream->write(std::move(response)));
    MERPATI_CO_TRY(answer, co_await stream->read());
  }
  if (!answer) co_return Error(ErrorCode::kInternal, "no answer");
  co_return *answer;
}

TEST_F(AuthTest, SaslLogin) {
  for (const bool initial : {true, false}) {
    const auto good = run(sasl_login(auth(), "alice@example.test", "wonder", initial));
    ASSERT_TRUE(good) << good.error().describe();
    EXPECT_TRUE(good->has_success());
    EXPECT_EQ(run(sasl_login(auth(), "alice@example.test", "no", initial))->failure().reason(),
              LoginFailure::REASON_CREDENTIALS);
  }
}

/// A SCRAM client by the letter of RFC 5802 3. `bound`: the octets of a channel binding, by `type`.
Task<v1::SaslResponse> sasl_scram(v1::AuthClient client, std::string user, std::string password, std::string exporter,
                                  std::string type = "tls-exporter") {
  MERPATI_CO_TRY(auto stream, co_await client.sasl());
  const std::string gs2 = exporter.empty() ? "n,," : "p=" + type + ",,";
  const std::string bare = "n=" + user + ",r=clientnonce";
  v1::SaslRequest start;
  start.mutable_start()->set_mechanism(exporter.empty() ? "SCRAM-SHA-256" : "SCRAM-SHA-256-PLUS");
  start.mutable_start()->set_service("imap");
  start.mutable_start()->mutable_client()->set_address("192.0.2.4");
  if (type == "tls-exporter") start.mutable_start()->set_tls_exporter(exporter);
  if (type == "tls-server-end-point") start.mutable_start()->set_tls_server_end_point(exporter);
  start.mutable_start()->set_initial_response(gs2 + bare);
  MERPATI_CO_CHECK(co_await stream->write(std::move(start)));
  MERPATI_CO_TRY(auto answer, co_await stream->read());
  if (!answer || !answer->has_challenge()) co_return Error(ErrorCode::kInternal, "no challenge");
  const std::string challenge = answer->challenge();
  const auto salt_at = challenge.find(",s=") + 3, count_at = challenge.find(",i=") + 3;
  const auto salt = from_base64(challenge.substr(salt_at, count_at - 3 - salt_at)).value();
  const int count = std::stoi(challenge.substr(count_at));
  const auto without_proof = "c=" + to_base64(gs2 + exporter) + "," + challenge.substr(0, salt_at - 3);
  const auto text = bare + "," + challenge + "," + without_proof;
  // SaltedPassword by HMAC alone, so that the test does not share the server's code.
  auto block = hmac_sha256(password, salt + std::string("\0\0\0\1", 4)), salted = block;
  for (int i = 1; i < count; ++i) {
    block = hmac_sha256(password, block);
    for (std::size_t k = 0; k < 32; ++k) salted[k] = static_cast<char>(salted[k] ^ block[k]);
  }
  auto proof = hmac_sha256(salted, "Client Key");
  const auto signature = hmac_sha256(sha256(proof), text);
  for (std::size_t k = 0; k < 32; ++k) proof[k] = static_cast<char>(proof[k] ^ signature[k]);
  v1::SaslRequest final;
  final.set_response(without_proof + ",p=" + to_base64(proof));
  MERPATI_CO_CHECK(co_await stream->write(std::move(final)));
  MERPATI_CO_TRY(answer, co_await stream->read());
  if (!answer) co_return Error(ErrorCode::kInternal, "no answer");
  if (answer->has_success() &&
      answer->success().server_final() != "v=" + to_base64(hmac_sha256(hmac_sha256(salted, "Server Key"), text)))
    co_return Error(ErrorCode::kInternal, "the server's signature is wrong");
  co_return *answer;
}

TEST_F(AuthTest, SaslScram) {
  const auto good = run(sasl_scram(auth(), "alice@example.test", "wonder", ""));
  ASSERT_TRUE(good) << good.error().describe();
  EXPECT_TRUE(good->has_success()) << good->failure().text();
  const auto plus = run(sasl_scram(auth(), "alice@example.test", "wonder", "the exporter's octets"));
  ASSERT_TRUE(plus) << plus.error().describe();
  EXPECT_TRUE(plus->has_success());
  const auto end_point =
      run(sasl_scram(auth(), "alice@example.test", "wonder", "the certificate's hash", "tls-server-end-point"));
  ASSERT_TRUE(end_point) << end_point.error().describe();
  EXPECT_TRUE(end_point->has_success());
  EXPECT_EQ(run(sasl_scram(auth(), "alice@example.test", "no", ""))->failure().reason(),
            LoginFailure::REASON_CREDENTIALS);
  EXPECT_EQ(run(sasl_scram(auth(), "unknown@example.test", "no", ""))->failure().reason(),
            LoginFailure::REASON_CREDENTIALS);
}

/// What the feed says about an account when it begins a minute ago and its tokens are revoked.
Task<std::vector<v1::Event>> events_of_a_revocation(v1::AuthClient client, v1::DirectoryClient directory,
                                                    bool disable) {
  v1::WatchEventsRequest request;
  request.set_recent_seconds(60);
  MERPATI_CO_TRY(auto events, co_await client.watch_events(request));
  v1::RevokeTokensRequest revoke;
  revoke.set_address("revoked@example.test");
  MERPATI_CO_TRY(const auto revoked, co_await directory.revoke_tokens(revoke));
  if (disable) {
    v1::UpdateAccountRequest update;
    update.set_address("revoked@example.test");
    update.set_enabled(false);
    MERPATI_CO_CHECK(co_await directory.update_account(update));
  }
  std::vector<v1::Event> out;
  for (;;) {
    MERPATI_CO_TRY(auto event, co_await events->read());
    if (!event) co_return Error(ErrorCode::kInternal, "the stream ended");
    const auto wanted = disable ? std::numeric_limits<std::int64_t>::max() : revoked.credential_version();
    out.push_back(*event);
    if (event->kind() != v1::Event::KIND_ACCOUNT_CHANGED || event->address() != "revoked@example.test") continue;
    if (event->credential_version() == wanted) co_return out;
  }
}

TEST_F(AuthTest, EventsSayWhichTokensAreStillGood) {
  create("revoked@example.test", "secret");
  for (const bool disable : {false, true}) {
    const auto events = run(events_of_a_revocation(auth(), directory(), disable));
    ASSERT_TRUE(events) << events.error().describe();
    EXPECT_GT(events->size(), 1U) << "those of the last minute come first";
  }
}

/// What the feed says of a domain that is disabled and enabled again.
Task<std::vector<v1::Event>> events_of_a_domain(v1::AuthClient client, v1::DirectoryClient directory) {
  std::vector<v1::Event> out;
  for (const bool enabled : {false, true}) {
    v1::WatchEventsRequest request;
    request.set_after_position(out.empty() ? 1 : out.back().position());
    v1::UpdateDomainRequest update;
    update.set_name("switched.test");
    update.set_enabled(enabled);
    MERPATI_CO_CHECK(co_await directory.update_domain(update));
    MERPATI_CO_TRY(auto events, co_await client.watch_events(request));
    for (;;) {
      MERPATI_CO_TRY(auto event, co_await events->read());
      if (!event) co_return Error(ErrorCode::kInternal, "the stream ended");
      if (event->kind() != v1::Event::KIND_DOMAIN_CHANGED || event->address() != "switched.test") continue;
      if (event->domain_disabled() == enabled) continue;  // that of its creation, told as things are now
      out.push_back(*event);
      break;
    }
  }
  co_return out;
}

TEST_F(AuthTest, ADomainThatIsDisabledIsToldOf) {
  ASSERT_TRUE(run(directory().create_domain(named<v1::CreateDomainRequest>("switched.test"))));
  create("sam@switched.test", "pw");
  ASSERT_TRUE(login("sam@switched.test", "pw").has_success());
  const auto events = run(events_of_a_domain(auth(), directory()));
  ASSERT_TRUE(events) << events.error().describe();
  ASSERT_EQ(events->size(), 2U);
  EXPECT_LT((*events)[0].position(), (*events)[1].position());
}

Task<v1::Event> next_event(v1::AuthClient client, v1::DirectoryClient directory) {
  v1::WatchEventsRequest request;
  MERPATI_CO_TRY(auto events, co_await client.watch_events(request));
  MERPATI_CO_CHECK(co_await sleep_for(100ms));  // until the stream has found the end of the list
  v1::CreateAccountRequest create;
  create.set_address("evented@example.test");
  MERPATI_CO_CHECK(co_await directory.create_account(create));
  MERPATI_CO_TRY(auto event, co_await events->read());
  if (!event) co_return Error(ErrorCode::kInternal, "the stream ended");
  co_return *event;
}

TEST_F(AuthTest, EventsArrive) {
  const auto event = run(next_event(auth(), directory()));
  ASSERT_TRUE(event) << event.error().describe();
  EXPECT_EQ(event->kind(), v1::Event::KIND_ACCOUNT_CREATED);
  EXPECT_EQ(event->address(), "evented@example.test");
}

TEST_F(AuthTest, RotationKeepsOldTokensGood) {
  const auto before = login("alice@example.test", "wonder");
  ASSERT_TRUE(run(directory().rotate_signing_key({})));
  v1::RenewTokenRequest renew;
  renew.set_token(before.success().token());
  const auto renewed = run(auth().renew_token(renew));
  ASSERT_TRUE(renewed) << renewed.error().describe();
  EXPECT_EQ(run(auth().list_public_keys({})).value().keys_size(), 2);
}

TEST_F(AuthTest, AnAgedKeyGivesWayByItself) {
  const auto before = login("alice@example.test", "wonder");
  const auto key_of = [](const std::string& token) {
    v1::SignedClaims claims;
    EXPECT_TRUE(claims.ParseFromString(from_base64url(token).value()));
    return claims.key_id();
  };
  const auto old = key_of(before.success().token());
  postgres_->sql("update auth.signing_keys set created_at = now() - interval '31 days'");
  create("wakes@example.test", "");  // any event makes auth look at its keys
  std::string fresh = old;
  for (int i = 0; i < 200 && fresh == old; ++i) {
    fresh = key_of(login("alice@example.test", "wonder").success().token());
    if (fresh == old) std::this_thread::sleep_for(25ms);
  }
  EXPECT_NE(fresh, old);
  v1::RenewTokenRequest renew;
  renew.set_token(before.success().token());
  EXPECT_TRUE(run(auth().renew_token(renew))) << "the old key verifies until its tokens have ended";
  EXPECT_EQ(postgres_->sql("select count(*) from auth.signing_keys where not_after is null"), "1");
}

TEST_F(AuthTest, DeletedAccountsArePurgedAndOldEventsForgotten) {
  const auto gone = create("tomb@example.test", "pw");
  ASSERT_TRUE(run(directory().delete_account(about<v1::DeleteAccountRequest>("tomb@example.test"))));
  create("tomb@example.test", "another person");  // the address is free at once
  pg::PoolOptions options;
  options.dsn = postgres_->dsn();
  options.schema = "auth";
  pg::Pool pool({process_->loops().main()}, options);
  Directory store(pool);
  EXPECT_EQ(run(store.purge_deleted(Deadline::after(10s))).value(), 0) << "30 days";
  postgres_->sql("update auth.accounts set deleted_at = now() - interval '31 days' where deleted_at is not null");
  EXPECT_EQ(run(store.purge_deleted(Deadline::after(10s))).value(), 1);
  const auto purges =
      "select count(*) from auth.events where kind = 4 and account_id = " + std::to_string(gone.account_id());
  EXPECT_EQ(postgres_->sql(purges), "1");
  postgres_->sql("update auth.events set at = now() - interval '31 days'");
  EXPECT_GT(run(store.forget_events(30 * 24h, 400 * 24h, Deadline::after(10s))).value(), 0);
  EXPECT_EQ(postgres_->sql("select count(*) from auth.events where kind <> 4"), "0");
  EXPECT_EQ(postgres_->sql(purges), "1") << "a store that was down must still learn of it";
  EXPECT_TRUE(login("tomb@example.test", "another person").has_success());
}

TEST_F(AuthTest, AWrongMasterKeyIsRefusedAtTheStart) {
  auto wrong = config();
  wrong.set_master_key(to_base64(std::string(32, 'x')));
  runtime::ProcessOptions options;
  options.loops = 1;
  runtime::Process other(std::move(options));
  other.add(std::make_unique<Module>(other, wrong));
  const auto started = other.start();
  ASSERT_TRUE(started.has_error());
  EXPECT_EQ(started.error().code(), ErrorCode::kFailedPrecondition);
  other.stop();
}

/// How the feed ends for a follower when its replica drains.
Task<void> follow_until_drained(v1::AuthClient client, Module& module) {
  const v1::WatchEventsRequest request;
  rpc::CallOptions options;
  options.deadline = Deadline::after(20s);
  MERPATI_CO_TRY(auto events, co_await client.watch_events(request, options));
  MERPATI_CO_CHECK(co_await module.drain(Deadline::after(10s)));
  for (;;) {
    MERPATI_CO_TRY(const auto event, co_await events->read());
    if (!event) co_return Result<void>();
  }
}

TEST_F(AuthTest, ADrainingReplicaSendsItsFollowersElsewhere) {
  runtime::ProcessOptions options;
  options.loops = 1;
  runtime::Process other(std::move(options));
  auto module = std::make_unique<Module>(other, config());
  auto& replica = *module;
  other.add(std::move(module));
  ASSERT_TRUE(other.start());
  const v1::AuthClient client(rpc::in_process_channel(replica.dispatcher(), rpc::Role::kSmtp));
  const auto ended = runtime::block_on(other.loops().next(), follow_until_drained(client, replica));
  other.stop();
  ASSERT_TRUE(ended.has_error());
  EXPECT_EQ(ended.error().code(), ErrorCode::kUnavailable) << ended.error().describe();
}

TEST_F(AuthTest, ALostDatabaseIsTemporaryAndComesBack) {
  postgres_->kill();
  EXPECT_EQ(login("alice@example.test", "wonder").failure().reason(), LoginFailure::REASON_TEMPORARY);
  EXPECT_EQ(run(auth().resolve_recipient(about<v1::ResolveRecipientRequest>("alice@example.test"))).error().code(),
            ErrorCode::kUnavailable);
  postgres_->start();
  bool good = false;
  for (int i = 0; i < 100 && !good; ++i) {
    good = login("alice@example.test", "wonder").has_success();
    if (!good) std::this_thread::sleep_for(50ms);
  }
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace merpati::auth
