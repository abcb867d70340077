#include "ctl/client.hpp"

#include <yaml-cpp/yaml.h>

#include <fstream>
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

}  // namespace

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
  admin_ = std::make_unique<admin::v1::AdminClient>(rpc::network_channel(std::move(options)));
}

rpc::CallOptions Client::call_options() const {
  rpc::CallOptions options;
  options.deadline = Deadline::after(std::chrono::seconds(60));
  options.token = target_.token;
  return options;
}

}  // namespace merpati::ctl
