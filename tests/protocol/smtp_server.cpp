// An SMTP edge in front of fakes in memory: runs the dialogs of tests/protocol/smtp without a database.
//   smtp_server PYTHON RUNNER DIALOGS CERTIFICATE KEY
#include <cstdlib>

#include "merpati/runtime/log.hpp"
#include "unit/service_smtp/fakes.hpp"

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  merpati::log::configure("smtp", merpati::log::Level::kError);
  merpati::config::v1::Smtp config;
  config.mutable_tls()->set_certificate_file(argv[4]);
  config.mutable_tls()->set_key_file(argv[5]);
  config.set_postmaster("bob@example.test");
  merpati::smtp::testing::Edge edge(config);
  const auto port = [&](const char* name, std::size_t listener) {
    return " --port " + std::string(name) + "=" + std::to_string(edge.port(listener));
  };
  const std::string command =
      std::string(argv[1]) + " " + argv[2] + port("mx", 0) + port("submission", 1) + port("submissions", 2) +
      " --var domain=example.test --var alice=alice@example.test --var password=secret " + argv[3];
  return std::system(command.c_str()) == 0 ? 0 : 1;
}
