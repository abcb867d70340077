#include "unit/net/fixture.hpp"

#include "merpati/base/encoding.hpp"

namespace merpati::net::testing {
namespace {

asio::awaitable<void> tell_tls(ScriptedSession& session) {
  auto& connection = session.connection();
  for (;;) {
    auto line = co_await connection.read_line(100'000, Deadline::after(20s));
    if (line.has_error()) co_return;
    const auto& stream = connection.stream();
    if (line->text == "info")
      connection.write(stream.tls_info().version + " " + stream.tls_info().server_name + "\r\n");
    if (line->text == "exporter") connection.write(to_hex(stream.tls_exporter()) + "\r\n");
    if (line->text == "end-point") connection.write(to_hex(stream.tls_server_end_point()) + "\r\n");
    if (line->text.size() > 100) connection.write(std::string(line->text) + "\r\n");
  }
}

class TlsTest : public NetTest {
 protected:
  std::uint16_t listen(ScriptedSession::Script script, std::shared_ptr<TlsContext> context,
                       ListenerOptions::Tls when = ListenerOptions::Tls::kImplicit) {
    auto options = loopback();
    options.tls = when;
    options.tls_context = std::move(context);
    return server->listen(options, scripted(std::move(script))).value();
  }
  Result<void> secure(Connection& client, const std::string& name = "mail.example.test",
                      TlsClientContext::Verify verify = TlsClientContext::Verify::kPeer) {
    return run(loop, client.stream().start_tls(*client_tls(verify), name, Deadline::after(10s)));
  }
  std::string ask(Connection& client, std::string_view text) {
    send(client, text);
    return line_of(client);
  }
};

TEST_F(TlsTest, BothSidesAgreeOnChannelBindings) {
  auto client = dial(listen(tell_tls, tls()));
  ASSERT_TRUE(secure(client).has_value());
  EXPECT_EQ(ask(client, "info\r\n"), "TLSv1.3 mail.example.test");
  const auto exporter = to_hex(client.stream().tls_exporter());
  EXPECT_EQ(exporter.size(), 64U);
  EXPECT_EQ(ask(client, "exporter\r\n"), exporter);
  const auto end_point = to_hex(client.stream().tls_server_end_point());
  EXPECT_EQ(end_point.size(), 64U);
  EXPECT_EQ(ask(client, "end-point\r\n"), end_point);
}

TEST_F(TlsTest, LinesLongerThanARecordComeThroughWhole) {
  auto client = dial(listen(tell_tls, tls()));
  ASSERT_TRUE(secure(client).has_value());
  const std::string text(60'000, 'q');
  send(client, text + "\r\n");
  auto line = run(loop, client.read_line(100'000, Deadline::after(10s)));
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->text, text);
}

TEST_F(TlsTest, ClientRefusesAnotherName) {
  auto client = dial(listen(tell_tls, tls()));
  EXPECT_TRUE(secure(client, "other.example.test").has_error());
  auto opportunistic = dial(listen(tell_tls, tls()));
  EXPECT_TRUE(secure(opportunistic, "other.example.test", TlsClientContext::Verify::kNone).has_value());
}

TEST_F(TlsTest, ReloadServesTheNewCertificateAndOldSessionsGoOn) {
  const auto context = tls();
  const auto port = listen(tell_tls, context);
  auto old_client = dial(port);
  ASSERT_TRUE(secure(old_client).has_value());
  const auto old_binding = ask(old_client, "end-point\r\n");
  EXPECT_FALSE(context->reload_if_changed().value());

  write_certificate(directory.file("a.crt"), directory.file("a.key"), "mail.example.test");
  EXPECT_TRUE(context->reload_if_changed().value());
  auto new_client = dial(port);
  ASSERT_TRUE(secure(new_client).has_value());
  EXPECT_NE(ask(new_client, "end-point\r\n"), old_binding);
  EXPECT_EQ(ask(old_client, "end-point\r\n"), old_binding);

  std::filesystem::remove(directory.file("a.key"));
  EXPECT_TRUE(context->reload_if_changed().has_error());  // names the file; what is loaded stays
  auto later = dial(port);
  EXPECT_TRUE(secure(later).has_value());
}

// Mounted Secrets of Kubernetes: FILE -> ..data/FILE, and ..data is swapped.
TEST_F(TlsTest, ReloadSeesTheSwapOfASymbolicLink) {
  namespace fs = std::filesystem;
  for (const char* version : {"v1", "v2"}) {
    fs::create_directory(directory.file(version));
    write_certificate(directory.file(version) + "/tls.crt", directory.file(version) + "/tls.key", "mail.example.test");
    fs::last_write_time(directory.file(version) + "/tls.crt", fs::file_time_type());  // only the inode tells
    fs::last_write_time(directory.file(version) + "/tls.key", fs::file_time_type());
  }
  fs::create_symlink("v1", directory.file("..data"));
  for (const char* file : {"tls.crt", "tls.key"}) fs::create_symlink(fs::path("..data") / file, directory.file(file));
  auto context = TlsContext::load({.certificates = {{directory.file("tls.crt"), directory.file("tls.key")}}}).value();
  const auto before = context->current();
  EXPECT_FALSE(context->reload_if_changed().value());
  fs::create_symlink("v2", directory.file("..next"));
  fs::rename(directory.file("..next"), directory.file("..data"));
  EXPECT_TRUE(context->reload_if_changed().value());
  EXPECT_NE(context->current(), before);
}

TEST_F(TlsTest, NameChoosesTheCertificate) {
  write_certificate(directory.file("b.crt"), directory.file("b.key"), "mail.example.net");
  auto context = TlsContext::load({.certificates = {{directory.file("a.crt"), directory.file("a.key")},
                                                    {directory.file("b.crt"), directory.file("b.key")}}})
                     .value();
  const auto port = listen(tell_tls, context);
  auto a = dial(port), b = dial(port);
  ASSERT_TRUE(secure(a).has_value());
  ASSERT_TRUE(secure(b, "mail.example.net", TlsClientContext::Verify::kNone).has_value());
  EXPECT_NE(ask(a, "end-point\r\n"), ask(b, "end-point\r\n"));
}

TEST_F(TlsTest, UpgradeDropsAndReportsWhatCameBeforeIt) {
  const auto context = tls();
  auto upgrade = [context](ScriptedSession& session) -> asio::awaitable<void> {
    auto& connection = session.connection();
    auto command = co_await connection.read_line(100, Deadline::after(10s));
    connection.write("go ahead\r\n");
    auto started = co_await connection.start_tls(*context, Deadline::after(10s));
    if (started.has_error()) co_return;
    connection.write("dropped " + std::to_string(started->dropped_bytes) + "\r\n");
    auto next = co_await connection.read_line(100, Deadline::after(10s));
    if (next.has_error()) co_return;
    connection.write("heard " + std::string(next->text) + "\r\n");
    auto flushed = co_await connection.flush(Deadline::after(10s));
  };
  auto client = dial(listen(upgrade, context, ListenerOptions::Tls::kOnDemand));
  send(client, "STARTTLS\r\ninjected\r\n");
  EXPECT_EQ(line_of(client), "go ahead");
  ASSERT_TRUE(secure(client).has_value());
  EXPECT_EQ(line_of(client), "dropped 10");
  EXPECT_EQ(ask(client, "honest\r\n"), "heard honest");
}

TEST_F(TlsTest, BrokenFilesAreNamed) {
  const auto missing = TlsContext::load({.certificates = {{directory.file("no.crt"), directory.file("a.key")}}});
  ASSERT_TRUE(missing.has_error());
  EXPECT_NE(missing.error().message().find("no.crt"), std::string::npos);
  EXPECT_NE(missing.error().message().find("No such file"), std::string::npos) << missing.error().message();
  write_certificate(directory.file("c.crt"), directory.file("c.key"), "c.example.test");
  EXPECT_TRUE(TlsContext::load({.certificates = {{directory.file("a.crt"), directory.file("c.key")}}}).has_error());
}

TEST_F(TlsTest, PlainTextOnATlsPortIsRefusedAndTheServerGoesOn) {
  const auto port = listen(tell_tls, tls());
  auto plain = dial(port);
  send(plain, "EHLO example.test\r\n");
  auto ignored = line_of(plain);
  auto client = dial(port);
  EXPECT_TRUE(secure(client).has_value());
  EXPECT_EQ(refusals.size(), 1U);
}

}  // namespace
}  // namespace merpati::net::testing
