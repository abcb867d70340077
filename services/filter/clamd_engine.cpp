#include "filter/clamd_engine.hpp"

#include <algorithm>
#include <array>

namespace merpati::filter {
namespace {

constexpr std::size_t kChunk = 128 * 1024;       // octets
constexpr std::size_t kLongestReply = 4 * 1024;  // octets

/// clamd(8) INSTREAM: 4 octets in network byte order, then the data; a chunk of none ends the stream.
std::string chunk_head(std::size_t size) {
  const auto n = static_cast<std::uint32_t>(size);
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}

Task<void> send_stream(ScannerLink::Socket& socket, std::string_view message) {
  MERPATI_CO_CHECK(co_await write_all(socket, std::string_view("zINSTREAM\0", 10)));
  while (!message.empty()) {
    const auto piece = message.substr(0, kChunk);
    const std::string head = chunk_head(piece.size());
    MERPATI_CO_CHECK(co_await write_all(socket, head));
    MERPATI_CO_CHECK(co_await write_all(socket, piece));
    message.remove_prefix(piece.size());
  }
  const std::string end = chunk_head(0);
  co_return co_await write_all(socket, end);
}

Task<std::string> read_reply(ScannerLink::Socket& socket) {
  std::string reply;
  std::array<char, 512> piece{};
  while (reply.size() < kLongestReply) {
    MERPATI_CO_TRY(const auto count, co_await read_some(socket, piece.data(), piece.size()));
    if (count == 0) break;
    reply.append(piece.data(), count);
    if (const auto end = reply.find('\0'); end != std::string::npos) {
      reply.resize(end);
      co_return reply;
    }
  }
  co_return Error(ErrorCode::kUnavailable, "clamd gave no whole reply");
}

/// Signatures' names are shown to the sender.
std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 100)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == '-' || c == '_' || c == '/';
    out += good ? c : '_';
  }
  return out;
}

}  // namespace

ClamdReply parse_clamd_reply(std::string_view reply) {
  constexpr std::string_view kFound = " FOUND";
  if (reply.starts_with("INSTREAM size limit exceeded")) return {ClamdReply::Kind::kTooLarge, std::string(reply)};
  if (!reply.starts_with("stream: ")) return {ClamdReply::Kind::kFailed, std::string(reply)};
  const auto said = reply.substr(8);
  if (said == "OK") return {ClamdReply::Kind::kClean, {}};
  if (said.ends_with(kFound))
    return {ClamdReply::Kind::kFound, std::string(said.substr(0, said.size() - kFound.size()))};
  return {ClamdReply::Kind::kFailed, std::string(said)};
}

Task<std::string> ClamdEngine::scan(std::string_view message) {
  MERPATI_CO_TRY(auto connection, co_await link_->connect());
  auto sent = co_await send_stream(*connection.socket, message);
  if (sent.has_error() && sent.error().code() == ErrorCode::kCancelled) co_return std::move(sent).error();
  // A stream that is too long is answered before its end: what clamd said is there although it has hung up.
  co_return co_await read_reply(*connection.socket);
}

Task<void> ClamdEngine::ping() {
  co_await asio::this_coro::throw_if_cancelled(false);
  MERPATI_CO_TRY(const auto socket, co_await link_->open());
  MERPATI_CO_CHECK(co_await write_all(*socket, std::string_view("zPING\0", 6)));
  MERPATI_CO_TRY(const auto reply, co_await read_reply(*socket));
  if (reply != "PONG") co_return Error(ErrorCode::kUnavailable, "clamd: " + reply);
  co_return Result<void>();
}

Task<Findings> ClamdEngine::wait_for(const MessageView& view) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Findings findings;
  if (!view.from_outside() && !settings_.check_submitted) co_return findings;
  if (!view.whole || view.message.size() > settings_.max_size) {
    findings.symbols.push_back({"CLAMD", 0, "the message is too large", true});
    co_return findings;
  }
  MERPATI_CO_TRY(const auto said, co_await scan(view.message));
  auto reply = parse_clamd_reply(said);
  switch (reply.kind) {
    case ClamdReply::Kind::kClean:
      break;
    case ClamdReply::Kind::kFound: {
      const std::string virus = plain(reply.text);
      if (settings_.refuse) {
        findings.refusals.push_back({"VIRUS", 554, "5.7.1", "The message carries a virus: " + virus, true});
      } else {
        findings.symbols.push_back({"VIRUS", 0, virus, false, true});
      }
      break;
    }
    case ClamdReply::Kind::kTooLarge:
      findings.symbols.push_back({"CLAMD", 0, "the message is too large for clamd", true});
      break;
    case ClamdReply::Kind::kFailed:
      co_return Error(ErrorCode::kUnavailable, "clamd: " + reply.text);
  }
  co_return findings;
}

}  // namespace merpati::filter
