#include "ctl/client.hpp"

#include <yaml-cpp/yaml.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>
#include <list>
#include <sstream>

#include "merpati/rpc/network_channel.hpp"

namespace merpati::ctl {
namespace {

[[noreturn]] void fail(std::string text, std::string hint) {
  throw Failure{Error(ErrorCode::kInvalidArgument, std::move(text)), std::move(hint)};
}

void read_config(Target& target) {
  if (target.config_file.empty()) return;
  try {
    const auto file = YAML::LoadFile(target.config_file);
    for (const auto& entry : file) {
      const auto key = entry.first.as<std::string>();
      std::string* field = key == "server"         ? &target.server
                           : key == "ca_file"      ? &target.ca_file
                           : key == "trust_domain" ? &target.trust_domain
                           : key == "token_file"   ? &target.token_file
                                                   : nullptr;
      if (field == nullptr)
        fail(target.config_file + ": unknown key \"" + key + "\"",
             "it may hold server, ca_file, trust_domain and token_file");
      if (field->empty()) *field = entry.second.as<std::string>();
    }
  } catch (const YAML::Exception& error) {
    fail("cannot read " + target.config_file + ": " + error.what(), "");
  }
}

std::string read_token(const std::string& path) {
  std::ifstream in(path);
  std::string token;
  if (!in || !std::getline(in, token)) fail("cannot read the token in " + path, "");
  return token;
}

/// For one of the server's addresses to take a connection.
constexpr auto kConnect = std::chrono::milliseconds(700);
/// For a server that has taken a call: silence until it is asked whether it is there, and until it is given up then.
constexpr auto kQuiet = std::chrono::milliseconds(250);
constexpr auto kPing = std::chrono::milliseconds(700);

/// Whether no address of `server` ("host:port") says anything. False when one takes or refuses a connection, and for a
/// name that is not found: gRPC then tells what is wrong.
bool is_silent(const std::string& server) {
  const auto colon = server.rfind(':');
  if (colon == std::string::npos) return false;
  std::string host = server.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  asio::io_context loop;
  boost::system::error_code failed;
  const auto found = asio::ip::tcp::resolver(loop).resolve(host, server.substr(colon + 1), failed);
  bool heard = failed.failed() || found.empty();
  std::size_t refusals = 0;
  std::list<asio::ip::tcp::socket> sockets;
  for (const auto& entry : found)
    sockets.emplace_back(loop).async_connect(entry.endpoint(), [&](boost::system::error_code error) {
      heard = heard || !error || ++refusals == found.size();
      if (heard) loop.stop();
    });
  if (!heard) loop.run_for(kConnect);
  return !heard;
}

}  // namespace

Result<void> Client::reach() {
  if (!reached_ && is_silent(target_.server))
    return Error(ErrorCode::kUnavailable, target_.server + " does not answer: nothing takes a connection there");
  reached_ = true;
  return {};
}

Client::Client(Target target) : target_(std::move(target)) {
  read_config(target_);
  if (target_.server.empty()) {
    fail("no server", "give --server HOST:PORT, or --config FILE with server, ca_file and token_file");
  }
  if (target_.ca_file.empty()) fail("no authority to check the server's certificate", "give --ca-file FILE");
  if (!std::ifstream(target_.ca_file)) fail("cannot read " + target_.ca_file, "");
  if (target_.token.empty() && !target_.token_file.empty()) target_.token = read_token(target_.token_file);
  if (target_.token.empty()) fail("no API token", "give --token-file FILE or set MERPATI_TOKEN");
  loops_.start();
  rpc::NetworkChannelOptions options;
  options.target = target_.server;
  if (target_.trust_domain.empty()) target_.trust_domain = "merpati";
  options.credentials = rpc::Credentials{target_.ca_file, {}, {}, target_.trust_domain};
  options.server_role = rpc::Role::kAdmin;
  options.balance = false;
  options.mux = false;  // one call after another, and a proxy may stand between
  options.ping_after = kQuiet;
  options.ping_timeout = kPing;
  admin_ = std::make_unique<admin::v1::AdminClient>(rpc::network_channel(std::move(options)));
}

void Client::wait_for(asio::awaitable<void> body) {
  asio::co_spawn(loops_.main(), std::move(body), asio::use_future).get();
}

rpc::CallOptions Client::call_options() const {
  rpc::CallOptions options;
  options.deadline = Deadline::after(std::chrono::seconds(60));
  options.token = target_.token;
  return options;
}

}  // namespace merpati::ctl
