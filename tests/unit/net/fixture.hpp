// A loop, a made-up certificate and a pair of ends, for the tests of libs/net.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <filesystem>

#include "merpati/net/connect.hpp"
#include "merpati/net/server.hpp"

namespace merpati::net::testing {

using namespace std::chrono_literals;

template <class T>
T run(asio::io_context& loop, asio::awaitable<T> body) {
  auto result = asio::co_spawn(loop, std::move(body), asio::use_future);
  loop.restart();
  while (result.wait_for(0s) != std::future_status::ready) loop.run_one();
  return result.get();
}

/// A directory that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "merpati-net-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Writes a self-signed certificate for `name` and its key.
inline void write_certificate(const std::string& chain_file, const std::string& key_file, const std::string& name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  auto* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, subject);
  auto* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  const auto put = [](const std::string& path, auto write) {
    std::FILE* out = std::fopen((path + ".new").c_str(), "w");
    write(out);
    std::fclose(out);
    std::filesystem::rename(path + ".new", path);
  };
  put(chain_file, [&](std::FILE* out) { PEM_write_X509(out, certificate); });
  put(key_file, [&](std::FILE* out) { PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
  X509_free(certificate);
  EVP_PKEY_free(key);
}

/// A session that runs a coroutine function given by the test.
class ScriptedSession : public Session {
 public:
  using Script = std::function<asio::awaitable<void>(ScriptedSession&)>;
  ScriptedSession(Stream stream, const Script& script) : Session(std::move(stream)), script_(script) {}
  asio::awaitable<void> run() override { co_await script_(*this); }
  Connection& connection() { return connection_; }

 private:
  Script script_;
};

inline Server::MakeSession scripted(ScriptedSession::Script script) {
  return [script = std::move(script)](Stream stream) {
    return std::make_unique<ScriptedSession>(std::move(stream), script);
  };
}

/// Loops on one thread, with a server on loopback.
class NetTest : public ::testing::Test {
 protected:
  NetTest() {
    write_certificate(directory.file("a.crt"), directory.file("a.key"), "mail.example.test");
    server = std::make_unique<Server>(
        std::vector<asio::io_context*>{&loop},
        ServerHooks{.accept_failed = {},
                    .refused = [this](const ListenerOptions&, const Endpoint& client, const Error& error) {
                      refusals.push_back(client.address().to_string() + " " + error.message());
                    }});
  }
  ~NetTest() override {
    auto stopped = run(loop, server->stop());
    EXPECT_TRUE(stopped.has_value());
  }
  std::shared_ptr<TlsContext> tls() {
    auto context = TlsContext::load({.certificates = {{directory.file("a.crt"), directory.file("a.key")}}});
    EXPECT_TRUE(context.has_value());
    return *context;
  }
  std::shared_ptr<TlsClientContext> client_tls(TlsClientContext::Verify verify = TlsClientContext::Verify::kPeer) {
    return *TlsClientContext::make({.verify = verify, .ca_file = directory.file("a.crt")});
  }
  ListenerOptions loopback() {
    ListenerOptions options;
    options.address = "127.0.0.1";
    return options;
  }
  Connection dial(std::uint16_t port) {
    auto stream = run(loop, net::connect({asio::ip::address_v4::loopback(), port}, Deadline::after(10s)));
    EXPECT_TRUE(stream.has_value());
    return Connection(*std::move(stream));
  }
  std::string line_of(Connection& from) {
    auto line = run(loop, from.read_line(1000, Deadline::after(10s)));
    return line ? std::string(line->text) : "error: " + line.error().message();
  }
  void send(Connection& to, std::string_view text) {
    EXPECT_TRUE(run(loop, to.stream().write(text, Deadline::after(10s))).has_value());
  }

  TemporaryDirectory directory;
  asio::io_context loop{1};
  std::vector<std::string> refusals;
  std::unique_ptr<Server> server;
};

}  // namespace merpati::net::testing
