#include "filter/rspamd_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>

namespace merpati::filter {
namespace {

namespace http = boost::beast::http;
using Json = nlohmann::json;

constexpr std::uint64_t kLargestReply = 1 << 20;  // octets
constexpr std::size_t kMostSymbols = 100;

/// What a peer of ours said may hold anything; a header field may not.
std::string field(std::string_view value) {
  std::string out(value.substr(0, 1000));
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return out;
}

std::string one_line(const Json& value, std::size_t most) {
  return value.is_string() ? field(std::string_view(value.get_ref<const std::string&>()).substr(0, most)) : "";
}

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

/// Rspamd's own symbols, which count nothing here unless they have a weight.
void add_symbols(const Json& symbols, Findings& findings) {
  if (!symbols.is_object()) return;
  for (const auto& [name, symbol] : symbols.items()) {
    if (findings.symbols.size() >= kMostSymbols) break;
    if (!symbol.is_object()) continue;
    std::string detail = fmt::format("{:.2f}", number(symbol, "score"));
    const auto options = symbol.find("options");
    if (options != symbol.end() && options->is_array()) {
      for (const auto& option : *options) {
        if (detail.size() > 200) break;
        detail += ' ';
        detail += one_line(option, 100);
      }
    }
    findings.symbols.push_back({"RSPAMD_" + field(std::string_view(name).substr(0, 80)), 0, std::move(detail)});
  }
}

void follow(std::string_view action, std::string text, Findings& findings) {
  if (text.empty()) text = action == "reject" ? "The message looks like spam" : "Try again later";
  if (action == "reject") {
    findings.refusals.push_back({"RSPAMD_REJECT", 554, "5.7.1", std::move(text), true, true});
  } else if (action == "soft reject") {
    findings.refusals.push_back({"RSPAMD_SOFT_REJECT", 451, "4.7.1", std::move(text), true, true});
  } else if (action == "add header" || action == "rewrite subject") {
    findings.symbols.push_back({"RSPAMD_SPAM", 0, std::string(action), false, true, {}, true});
  }
}

/// The body of the reply.
template <class Request>
Task<std::string> exchange(ScannerLink::Socket& socket, Request& request) {
  auto [write_error, written] = co_await http::async_write(socket, request, kAwait);
  static_cast<void>(written);
  if (write_error) co_return Error(ErrorCode::kUnavailable, "rspamd: " + write_error.message());
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLargestReply);
  auto [read_error, read] = co_await http::async_read(socket, buffer, parser, kAwait);
  static_cast<void>(read);
  if (read_error) co_return Error(ErrorCode::kUnavailable, "rspamd: " + read_error.message());
  if (parser.get().result() != http::status::ok) {
    co_return Error(ErrorCode::kUnavailable, "rspamd answered " + std::to_string(parser.get().result_int()) + " " +
                                                 field(parser.get().body().substr(0, 200)));
  }
  co_return std::move(parser.get().body());
}

}  // namespace

Result<Findings> findings_of(std::string_view text, const RspamdSettings& settings) {
  const Json reply = Json::parse(text, nullptr, false);
  if (!reply.is_object() || !reply.contains("action") || !reply["action"].is_string())
    return Error(ErrorCode::kUnavailable, "rspamd gave no verdict: " + field(text.substr(0, 200)));
  Findings findings;
  const std::string action = field(reply["action"].get<std::string>());
  // It also says "skipped" of what it refuses without looking further, such as GTUBE.
  if (action == "no action" && reply.contains("is_skipped") && reply["is_skipped"] == true) {
    findings.symbols.push_back({"RSPAMD", 0, "skipped by rspamd", true});
    return findings;
  }
  const double score = number(reply, "score");
  findings.symbols.push_back({"RSPAMD", settings.follow_action ? 0 : score * settings.score_factor,
                              fmt::format("{} at {:.2f}", action, score)});
  std::string said;
  if (const auto messages = reply.find("messages"); messages != reply.end() && messages->is_object())
    said = one_line(messages->value("smtp_message", Json()), 200);
  if (settings.follow_action) follow(action, std::move(said), findings);
  if (const auto symbols = reply.find("symbols"); symbols != reply.end()) add_symbols(*symbols, findings);
  return findings;
}

Task<std::string> RspamdEngine::ask(const MessageView& view) {
  // Beast's buffers are not const, and nothing is written into this one.
  auto* octets = const_cast<char*>(view.message.data());
  http::request<http::span_body<char>> request(http::verb::post, "/checkv2", 11);
  request.body() = boost::beast::span<char>(octets, view.message.size());
  request.set(http::field::host, "rspamd");
  request.set(http::field::connection, "close");
  if (!settings_.password.empty()) request.set("Password", settings_.password);
  if (!view.client.is_unspecified()) request.set("IP", view.client.to_string());
  if (!view.helo.empty()) request.set("Helo", field(view.helo));
  request.set(http::field::from, view.reverse_path.empty() ? "<>" : field(view.reverse_path));
  for (const auto recipient : view.recipients) request.insert("Rcpt", field(recipient));
  if (!view.from_outside()) request.set("User", field(view.authenticated_address));
  if (!view.delivery_id.empty()) request.set("Queue-Id", field(view.delivery_id));
  if (!view.receiving_host.empty()) request.set("MTA-Name", field(view.receiving_host));
  request.prepare_payload();

  MERPATI_CO_TRY(auto connection, co_await link_->connect());
  co_return co_await exchange(*connection.socket, request);
}

Task<void> RspamdEngine::ping() {
  co_await asio::this_coro::throw_if_cancelled(false);
  http::request<http::empty_body> request(http::verb::get, "/ping", 11);
  request.set(http::field::host, "rspamd");
  request.set(http::field::connection, "close");
  MERPATI_CO_TRY(const auto socket, co_await link_->open());
  MERPATI_CO_CHECK(co_await exchange(*socket, request));
  co_return Result<void>();
}

Task<Findings> RspamdEngine::wait_for(const MessageView& view) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Findings findings;
  if (!view.from_outside() && !settings_.check_submitted) co_return findings;
  if (!view.whole || view.message.size() > settings_.max_size) {
    findings.symbols.push_back({"RSPAMD", 0, "the message is too large", true});
    co_return findings;
  }
  MERPATI_CO_TRY(const auto reply, co_await ask(view));
  co_return findings_of(reply, settings_);
}

}  // namespace merpati::filter
