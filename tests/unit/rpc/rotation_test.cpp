// Certificates in a mounted Secret change by the swap of a symbolic link: a server and a channel that live on take the
// new ones, and the new authority, without a restart.
#include <gtest/gtest.h>

#include <filesystem>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/rpc/network_channel.hpp"
#include "merpati/rpc/server.hpp"
#include "support/certificates.hpp"
#include "support/loop.hpp"

namespace merpati::rpc {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class FakeAuth final : public auth::v1::AuthService {
 public:
  Task<auth::v1::LoginResponse> login(Context&, const auth::v1::LoginRequest&) override {
    co_return auth::v1::LoginResponse();
  }
};

/// What the kubelet makes of a Secret: FILE -> ..data/FILE, ..data -> a folder that is never changed.
class Volume {
 public:
  Volume() {
    char name[] = "/tmp/merpati-volume-XXXXXX";
    folder_ = mkdtemp(name);
    for (const char* file : {"ca.crt", "tls.crt", "tls.key"})
      fs::create_symlink(fs::path("..data") / file, folder_ / file);
  }
  ~Volume() { fs::remove_all(folder_); }
  void publish(const Credentials& files, const std::string& authorities) {
    const auto fresh = folder_ / ("..version" + std::to_string(++version_));
    fs::create_directory(fresh);
    fs::copy_file(authorities, fresh / "ca.crt");
    fs::copy_file(files.certificate_file, fresh / "tls.crt");
    fs::copy_file(files.key_file, fresh / "tls.key");
    fs::create_symlink(fresh.filename(), folder_ / "..next");
    fs::rename(folder_ / "..next", folder_ / "..data");
  }
  Credentials files() const {
    Credentials files;
    files.ca_file = folder_ / "ca.crt";
    files.certificate_file = folder_ / "tls.crt";
    files.key_file = folder_ / "tls.key";
    return files;
  }

 private:
  fs::path folder_;
  int version_ = 0;
};

struct Rotation : testing::Test {
  Rotation() { dispatcher.register_service(service); }
  Result<auth::v1::LoginResponse> call(const Credentials& files, std::uint16_t port) {
    NetworkChannelOptions options;
    options.target = "127.0.0.1:" + std::to_string(port);
    options.credentials = files;
    options.server_role = Role::kAuth;
    options.unary_timeout = 2s;
    auth::v1::AuthClient client(network_channel(std::move(options)));
    const auth::v1::LoginRequest request;
    return loop.run(client.login(request));
  }

  FakeAuth service;
  Dispatcher dispatcher;
  test::Loop loop;
};

TEST_F(Rotation, AServerTakesTheNewCertificateAndTheNewAuthorityOfItsVolume) {
  test::Authority old_authority;
  test::Authority new_authority;
  Volume volume;
  volume.publish(old_authority.issue("auth"), old_authority.ca_file());
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.credentials = volume.files();
  options.loops = {loop.context.get_executor()};
  Server server(dispatcher, options);
  ASSERT_TRUE(server.start().has_value());
  const auto old_caller = old_authority.issue("imap");
  const auto new_caller = new_authority.issue("imap");
  EXPECT_TRUE(call(old_caller, server.port()).has_value());
  EXPECT_TRUE(call(new_caller, server.port()).has_error()) << "neither knows the other's authority yet";

  volume.publish(new_authority.issue("auth"), new_authority.ca_file());
  const auto give_up = Deadline::after(60s);
  while (call(new_caller, server.port()).has_error()) ASSERT_FALSE(give_up.passed()) << "the server never reloads";
  EXPECT_TRUE(call(old_caller, server.port()).has_error()) << "the old authority is not trusted any more";
  loop.run(server.stop()).has_error();
}

}  // namespace
}  // namespace merpati::rpc
