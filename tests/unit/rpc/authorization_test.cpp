// Every method of every contract, called by every role with every kind of token, in process, over TCP and over Mux; and
// without a certificate, with one of a wrong authority, and with one that names no role.
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <set>
#include <thread>

#include "merpati/auth/v1/token.pb.h"
#include "merpati/rpc/all_services.hpp"
#include "merpati/rpc/network_channel.hpp"
#include "merpati/rpc/server.hpp"
#include "support/certificates.hpp"

namespace merpati::rpc {
namespace {

using namespace std::chrono_literals;
constexpr std::int64_t kAccount = 42;
constexpr std::int64_t kOther = 43;
constexpr ErrorCode kReached = ErrorCode::kDataLoss;  // what the handlers below answer

std::vector<Role> all_roles() {
  std::vector<Role> roles;
  for (int i = 0; i < kRoleCount; ++i) roles.push_back(static_cast<Role>(i));
  return roles;
}

// Any service of the contracts; its handlers read the first request, as real ones do, and say that they were reached.
class Reached final : public Service {
 public:
  explicit Reached(std::unique_ptr<Service> contract) : contract_(std::move(contract)) {}
  std::span<const Method> methods() const override { return contract_->methods(); }
  Task<void> call(std::size_t, Context&, const MessageLite&, MessageLite&) override {
    co_return Error(kReached, "reached");
  }
  Task<void> call_stream(std::size_t, Context&, Stream& stream) override {
    MERPATI_CO_TRY(auto request, co_await stream.read());
    static_cast<void>(request);
    co_return Error(kReached, "reached");
  }

 private:
  std::unique_ptr<Service> contract_;
};

enum class TokenCase { kNone, kValid, kExpired, kOtherAccount, kForged };
constexpr TokenCase kTokenCases[] = {TokenCase::kNone, TokenCase::kValid, TokenCase::kExpired, TokenCase::kOtherAccount,
                                     TokenCase::kForged};

class World {
 public:
  World() : guard_(loop_.get_executor()), thread_([this] { loop_.run(); }) {
    ring->add("k1", key_.pub);
    dispatcher.set_token_verifier(ring);
    for (auto& contract : all_services()) {
      services_.push_back(std::make_unique<Reached>(std::move(contract)));
      dispatcher.register_service(*services_.back());
      for (const auto& method : services_.back()->methods()) methods.push_back(&method);
    }
  }
  ~World() {
    guard_.reset();
    loop_.stop();
    thread_.join();
  }

  std::string token(TokenCase which) const {
    if (which == TokenCase::kNone) return {};
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(Clock::system().wall().time_since_epoch()).count();
    auth::v1::SessionClaims claims;
    claims.set_account_id(which == TokenCase::kOtherAccount ? kOther : kAccount);
    for (int scope = 1; scope <= 4; ++scope) claims.add_scopes(static_cast<auth::v1::Scope>(scope));
    claims.set_issued_at(now - 1000);
    claims.set_expires_at(which == TokenCase::kExpired ? now - 1 : now + 600);
    const auto forger = SigningKey::generate("k1");
    return sign(which == TokenCase::kForged ? forger : key_, TokenKind::kSession, claims.SerializeAsString());
  }

  ErrorCode call(Channel& channel, const Method& method, const std::string& token) {
    auto result = asio::co_spawn(loop_, call_once(channel, method, token), asio::use_future).get();
    return result.has_error() ? result.error().code() : ErrorCode::kUnknown;
  }

  std::unique_ptr<Server> serve(Credentials files, bool allow_anonymous) {
    ServerOptions options;
    options.address = "127.0.0.1:0";
    options.credentials = std::move(files);
    options.allow_anonymous = allow_anonymous;
    options.loops = {loop_.get_executor()};
    auto server = std::make_unique<Server>(dispatcher, options);
    EXPECT_TRUE(server->start());
    return server;
  }
  void stop(Server& server) { asio::co_spawn(loop_, server.stop(), asio::use_future).get().has_error(); }

  std::vector<const Method*> methods;
  Dispatcher dispatcher;
  std::shared_ptr<KeyRing> ring = std::make_shared<KeyRing>();

 private:
  static Task<void> call_once(Channel& channel, const Method& method, std::string token) {
    CallOptions options;
    options.token = std::move(token);
    options.deadline = Deadline::after(20s);
    auto request = method.new_request();
    if (method.account_of != nullptr) {
      auto& message = dynamic_cast<google::protobuf::Message&>(*request);
      message.GetReflection()->SetInt64(&message, message.GetDescriptor()->FindFieldByNumber(1), kAccount);
    }
    if (method.kind == CallKind::kUnary) {
      auto response = method.new_response();
      co_return co_await channel.unary(method, *request, *response, options);
    }
    const bool server_stream = method.kind == CallKind::kServerStream;
    MERPATI_CO_TRY(auto stream, co_await channel.open(method, server_stream ? request.get() : nullptr, options));
    if (!server_stream) static_cast<void>(co_await stream->write(std::move(request)));
    for (;;) {
      MERPATI_CO_TRY(auto message, co_await stream->read());
      if (!message) co_return Result<void>();
    }
  }

  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
  SigningKey key_ = SigningKey::generate("k1");
  std::vector<std::unique_ptr<Reached>> services_;
};

ErrorCode expected(const Method& method, Role role, TokenCase token) {
  const auto* row = authorization_row(method.path);
  if (row == nullptr) return ErrorCode::kPermissionDenied;
  if (row->trusted.contains(role)) return kReached;
  if (!row->session.contains(role)) return ErrorCode::kPermissionDenied;
  switch (token) {
    case TokenCase::kValid:
      return kReached;
    case TokenCase::kOtherAccount:
      return method.account_of == nullptr ? kReached : ErrorCode::kPermissionDenied;
    default:
      return ErrorCode::kUnauthenticated;
  }
}

void try_everything(World& world, Channel& channel, Role role, bool unary_only) {
  for (const auto which : kTokenCases) {
    const auto token = world.token(which);
    for (const auto* method : world.methods) {
      if (unary_only && method->kind != CallKind::kUnary) continue;
      ASSERT_EQ(world.call(channel, *method, token), expected(*method, role, which))
          << method->path << " by " << to_string(role) << ", token case " << static_cast<int>(which);
    }
  }
}

TEST(Authorization, EveryMethodHasARowAndEveryRowAMethod) {
  std::set<std::string_view> methods, rows;
  const auto services = all_services();
  for (const auto& service : services)
    for (const auto& method : service->methods()) methods.insert(method.path);
  for (const auto& row : authorization_table()) {
    EXPECT_TRUE(rows.insert(row.path).second) << row.path << " stands twice";
    EXPECT_TRUE(methods.contains(row.path)) << row.path << " is no method";
    EXPECT_FALSE(row.trusted.empty() && row.session.empty()) << row.path << " can be called by nobody";
  }
  for (const auto& path : methods) EXPECT_TRUE(rows.contains(path)) << path << " has no row";
}

// Promise 5 of the design, in words that do not come from the table.
TEST(Authorization, EdgesHaveNoStandingRightToMailboxes) {
  for (const auto& row : authorization_table()) {
    if (!row.path.starts_with("/merpati.store.")) continue;
    for (const Role edge : {Role::kImap, Role::kPop3, Role::kSieve})
      if (row.path != "/merpati.store.v1.Store/Watch")  // whose requests each carry a token
        EXPECT_FALSE(row.trusted.contains(edge)) << row.path;
    for (const Role role : {Role::kAnonymous, Role::kOperator})
      EXPECT_FALSE(row.trusted.contains(role) || row.session.contains(role)) << row.path;
  }
  const auto* read = authorization_row("/merpati.store.v1.Store/ReadContent");
  EXPECT_FALSE(read->trusted.contains(Role::kSmtp) || read->session.contains(Role::kSmtp));
}

TEST(Authorization, InProcess) {
  World world;
  for (const Role role : all_roles()) {
    const auto channel = in_process_channel(world.dispatcher, role);
    try_everything(world, *channel, role, false);
  }
}

struct OverTls : testing::TestWithParam<bool> {
  std::shared_ptr<Channel> connect(const Server& server, Credentials files, Role expected_server = Role::kStore) {
    NetworkChannelOptions options;
    options.target = "127.0.0.1:" + std::to_string(server.port());
    options.credentials = std::move(files);
    options.server_role = expected_server;
    options.mux = GetParam();
    options.max_attempts = 1;
    return network_channel(std::move(options));
  }
  World world;
  test::Authority authority;
};

TEST_P(OverTls, EveryRole) {
  const auto server = world.serve(authority.issue("store"), false);
  for (const Role role : all_roles()) {
    if (role == Role::kAnonymous) continue;
    const auto channel = connect(*server, authority.issue(std::string(to_string(role))));
    try_everything(world, *channel, role, GetParam());
  }
  world.stop(*server);
}

TEST_P(OverTls, WithoutACertificate) {
  Credentials none;
  none.ca_file = authority.ca_file();
  const auto closed = world.serve(authority.issue("store"), false);
  const auto refused = connect(*closed, none);
  EXPECT_EQ(world.call(*refused, *world.methods.front(), ""), ErrorCode::kUnavailable);
  world.stop(*closed);
  const auto open = world.serve(authority.issue("store"), true);
  const auto channel = connect(*open, none);
  for (const auto* method : world.methods) {
    if (GetParam() && method->kind != CallKind::kUnary) continue;
    // Mux is not for anonymous callers at all.
    const auto wanted = GetParam() ? ErrorCode::kUnavailable : expected(*method, Role::kAnonymous, TokenCase::kValid);
    EXPECT_EQ(world.call(*channel, *method, world.token(TokenCase::kValid)), wanted) << method->path;
    if (GetParam()) break;
  }
  world.stop(*open);
}

TEST_P(OverTls, WrongAuthority) {
  test::Authority other;
  const auto server = world.serve(authority.issue("store"), false);
  // A caller whose certificate another authority signed, though it trusts the right one itself.
  const auto stranger = connect(*server, other.issue("imap", &authority));
  EXPECT_EQ(world.call(*stranger, *world.methods.front(), ""), ErrorCode::kUnavailable);
  // A caller that does not trust the server's authority.
  const auto careful = connect(*server, authority.issue("imap", &other));
  EXPECT_EQ(world.call(*careful, *world.methods.front(), ""), ErrorCode::kUnavailable);
  world.stop(*server);
}

TEST_P(OverTls, TheServerMustHaveItsRole) {
  const auto server = world.serve(authority.issue("queue"), false);
  const auto channel = connect(*server, authority.issue("imap"), Role::kStore);
  EXPECT_EQ(world.call(*channel, *world.methods.front(), ""), ErrorCode::kUnavailable);
  world.stop(*server);
}

TEST_P(OverTls, ACertificateThatNamesNoRoleIsRefused) {
  const auto server = world.serve(authority.issue("store"), false);
  const auto channel = connect(*server, authority.issue("printer"));
  const auto code = world.call(*channel, *world.methods.front(), "");
  EXPECT_EQ(code, GetParam() ? ErrorCode::kUnavailable : ErrorCode::kPermissionDenied);
  world.stop(*server);
}

INSTANTIATE_TEST_SUITE_P(Transport, OverTls, testing::Bool(),
                         [](const auto& info) { return info.param ? "Mux" : "Plain"; });

TEST(Roles, ComeFromTheUriNameOnly) {
  EXPECT_EQ(role_from_uri("spiffe://merpati/imap", "merpati"), Role::kImap);
  EXPECT_EQ(role_from_uri("spiffe://merpati/anonymous", "merpati"), std::nullopt);
  EXPECT_EQ(role_from_uri("spiffe://merpati.example/imap", "merpati"), std::nullopt);
  EXPECT_EQ(role_from_uri("spiffe://other/imap", "merpati"), std::nullopt);
  EXPECT_EQ(role_from_uri("spiffe://merpati/imap/x", "merpati"), std::nullopt);
}

}  // namespace
}  // namespace merpati::rpc
