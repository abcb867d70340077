#include "ctl/mail_dialog.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <memory>

#include "merpati/net/connect.hpp"
#include "merpati/net/tls.hpp"

namespace merpati::ctl {
namespace {

constexpr std::size_t kMaxLine = 64 << 10;

Result<std::vector<net::Endpoint>> addresses_of(const std::string& server) {
  const auto colon = server.rfind(':');
  if (colon == std::string::npos) return Error(ErrorCode::kInvalidArgument, server + " is not HOST:PORT");
  std::string host = server.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.c_str(), server.c_str() + colon + 1, &hints, &found);
  if (status != 0) return Error(ErrorCode::kUnavailable, server + ": " + gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
  std::vector<net::Endpoint> all;
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    net::Endpoint endpoint;
    endpoint.resize(each->ai_addrlen);
    std::copy_n(reinterpret_cast<const char*>(each->ai_addr), each->ai_addrlen,
                reinterpret_cast<char*>(endpoint.data()));
    all.push_back(endpoint);
  }
  return all;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\r\n";
  return text;
}

}  // namespace

Task<MailDialog> MailDialog::open(const std::string& server, Deadline deadline) {
  MERPATI_CO_TRY(const auto addresses, addresses_of(server));
  Error last(ErrorCode::kUnavailable, server + " has no address");
  for (const auto& address : addresses) {
    auto stream = co_await net::connect(address, deadline);
    if (stream.has_value()) {
      MailDialog dialog(server, *std::move(stream), deadline);
      co_return dialog;
    }
    last = std::move(stream).error().in(server);
  }
  co_return last;
}

Task<std::string> MailDialog::read() {
  auto line = co_await connection_.read_line(kMaxLine, deadline_);
  if (line.has_error()) co_return std::move(line).error().in(server_);
  co_return std::string(line->text);
}

Task<void> MailDialog::send(const std::string& line) {
  connection_.write(line);
  connection_.write("\r\n");
  co_return co_await connection_.flush(deadline_);
}

Task<std::string> MailDialog::expect(const std::string& wanted) {
  MERPATI_CO_TRY(std::string line, co_await read());
  if (!line.starts_with(wanted))
    co_return Error(ErrorCode::kFailedPrecondition,
                    fmt::format("{}: \"{}\" came instead of {}", server_, line, wanted));
  co_return line;
}

Task<std::string> MailDialog::ask(const std::string& line, const std::string& wanted) {
  MERPATI_CO_CHECK(co_await send(line));
  co_return co_await expect(wanted);
}

Task<std::vector<std::string>> MailDialog::read_to(const std::string& end) {
  std::vector<std::string> lines;
  do {
    MERPATI_CO_TRY(std::string line, co_await read());
    lines.push_back(std::move(line));
  } while (!lines.back().starts_with(end));
  co_return lines;
}

Task<void> MailDialog::start_tls() {
  net::TlsClientContext::Options options;
  options.verify = net::TlsClientContext::Verify::kNone;
  MERPATI_CO_TRY(const auto context, net::TlsClientContext::make(options));
  auto shaken = co_await connection_.stream().start_tls(*context, "", deadline_);
  if (shaken.has_error()) co_return std::move(shaken).error().in(server_ + ": TLS");
  co_return Result<void>();
}

Task<void> send_by_smtp(std::string server, std::string recipient, std::string message, Deadline deadline) {
  MERPATI_CO_TRY(auto dialog, co_await MailDialog::open(server, deadline));
  MERPATI_CO_CHECK(co_await dialog.read_to("220 "));
  MERPATI_CO_CHECK(co_await dialog.send("EHLO selftest.invalid"));
  MERPATI_CO_CHECK(co_await dialog.read_to("250 "));
  MERPATI_CO_CHECK(co_await dialog.ask("MAIL FROM:<>", "250"));
  MERPATI_CO_CHECK(co_await dialog.ask("RCPT TO:<" + recipient + ">", "250"));
  MERPATI_CO_CHECK(co_await dialog.ask("DATA", "354"));
  MERPATI_CO_CHECK(co_await dialog.ask(message + ".", "250"));
  co_return co_await dialog.send("QUIT");
}

Task<std::string> read_by_imap(std::string server, std::string user, std::string password, Deadline deadline) {
  MERPATI_CO_TRY(auto dialog, co_await MailDialog::open(server, deadline));
  MERPATI_CO_CHECK(co_await dialog.expect("* OK"));
  MERPATI_CO_CHECK(co_await dialog.ask("a STARTTLS", "a OK"));
  MERPATI_CO_CHECK(co_await dialog.start_tls());
  MERPATI_CO_CHECK(co_await dialog.send(fmt::format("b LOGIN \"{}\" \"{}\"", user, password)));
  MERPATI_CO_TRY(const auto login, co_await dialog.read_to("b "));
  if (!login.back().starts_with("b OK")) co_return Error(ErrorCode::kUnauthenticated, server + ": " + login.back());
  MERPATI_CO_CHECK(co_await dialog.send("c EXAMINE INBOX"));
  MERPATI_CO_CHECK(co_await dialog.read_to("c OK"));
  MERPATI_CO_CHECK(co_await dialog.send("d FETCH 1:* BODY.PEEK[]"));
  MERPATI_CO_TRY(const auto fetched, co_await dialog.read_to("d "));
  MERPATI_CO_CHECK(co_await dialog.send("e LOGOUT"));
  co_return joined(fetched);
}

Task<std::string> read_by_pop3(std::string server, std::string user, std::string password, Deadline deadline) {
  MERPATI_CO_TRY(auto dialog, co_await MailDialog::open(server, deadline));
  MERPATI_CO_CHECK(co_await dialog.expect("+OK"));
  MERPATI_CO_CHECK(co_await dialog.ask("STLS", "+OK"));
  MERPATI_CO_CHECK(co_await dialog.start_tls());
  MERPATI_CO_CHECK(co_await dialog.ask("USER " + user, "+OK"));
  MERPATI_CO_CHECK(co_await dialog.ask("PASS " + password, "+OK"));
  MERPATI_CO_CHECK(co_await dialog.ask("RETR 1", "+OK"));
  std::vector<std::string> lines;
  do {
    MERPATI_CO_TRY(std::string line, co_await dialog.read());
    lines.push_back(std::move(line));
  } while (lines.back() != ".");
  MERPATI_CO_CHECK(co_await dialog.ask("QUIT", "+OK"));
  co_return joined(lines);
}

}  // namespace merpati::ctl
