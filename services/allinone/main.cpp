// merpati: every service in one process, or one by name, or the migrations.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "allinone/config_check.hpp"
#include "allinone/migrate.hpp"
#include "allinone/ready.hpp"
#include "allinone/version.hpp"
#include "allinone/wiring.hpp"
#include "certs/command.hpp"
#include "merpati/otlp/exporter.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/machine_name.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::allinone {
namespace {

struct Options {
  std::string what;  ///< empty: all; a service; "migrate"; "certs"; "ready"
  std::string config;
  bool check = false;
  bool print = false;
  bool wait = false;
  std::string timeout;    ///< with migrate; empty: none, with --wait ten minutes
  std::string directory;  ///< with certs
  bool rotate = false;
};

constexpr int kBadConfiguration = 2;

int complain(const std::vector<std::string>& faults) {
  for (const auto& fault : faults) std::cerr << "merpati: configuration: " << fault << "\n";
  return kBadConfiguration;
}

runtime::ProcessOptions process_options(const config::v1::Config& config, const std::string& name) {
  runtime::ProcessOptions options;
  options.name = name;
  options.loops = config.process().loops();
  options.blocking_threads = std::max(1U, config.process().blocking_threads());
  options.grace_period = runtime::to_chrono(config.process().grace_period());
  options.endpoint_delay = runtime::to_chrono(config.process().endpoint_delay());
  options.http_address = config.http().address();
  options.http_port = static_cast<std::uint16_t>(config.http().port());
  return options;
}

int migrate(const config::v1::Config& config, bool wait, std::chrono::milliseconds timeout) {
  auto done = wait ? wait_all(config, timeout) : migrate_all(config, timeout);
  if (done.has_value()) return 0;
  log::error("migration_failed", done.error().message(), {{"error", done.error().describe()}});
  log::flush();
  return 1;
}

int ready(const config::v1::Config& config) {
  const auto answer = ask_ready(config.http(), std::chrono::seconds(5));
  if (answer.has_value()) return 0;
  std::cerr << "merpati: " << answer.error().message() << "\n";
  return 1;
}

/// Spans go to the exporter (null: nowhere) while this lives.
class RecordedSpans {
 public:
  explicit RecordedSpans(std::shared_ptr<otlp::Exporter> exporter) : exporter_(std::move(exporter)) {
    runtime::set_span_sink(exporter_);
  }
  ~RecordedSpans() {
    if (exporter_) exporter_->stop();
    runtime::set_span_sink(nullptr);
  }
  RecordedSpans(const RecordedSpans&) = delete;
  RecordedSpans& operator=(const RecordedSpans&) = delete;

 private:
  std::shared_ptr<otlp::Exporter> exporter_;
};

int serve(const config::v1::Config& config, const std::string& service) {
  if (service.empty()) {
    if (const int status = migrate(config, false, {}); status != 0) return status;
  }
  Wiring wiring;
  const std::string name = service.empty() ? "merpati" : service;
  runtime::Process process(process_options(config, name));
  auto exporter = otlp::Exporter::make(config.otlp(),
                                       {service.empty() ? name : "merpati-" + name, runtime::machine_name(), kVersion},
                                       process.metrics());
  if (exporter.has_error()) return complain({exporter.error().message()});
  const RecordedSpans recorded(*exporter);
  if (service.empty()) {
    wiring.wire_all(process, config);
  } else if (!wiring.wire_one(process, config, service)) {
    return complain({"there is no service \"" + service + "\""});
  }
  return process.run();
}

int run(const Options& options) {
  config::v1::Config config;
  auto loaded = runtime::load_config(options.config, config);
  if (loaded.has_error()) return complain({loaded.error().message()});
  complete(config);
  log::Level level = log::Level::kInfo;
  if (!log::parse_level(config.log().level(), level))
    return complain({"log.level is not debug, info, warning or error"});
  log::configure(options.what.empty() ? "merpati" : options.what, level);
  if (options.print) {
    std::cout << runtime::print_config(config);
    return 0;
  }
  if (options.what == "migrate") {
    const auto timeout =
        runtime::duration_from(options.timeout.empty() ? (options.wait ? "10m" : "0s") : options.timeout);
    if (timeout.has_error()) return complain({"--timeout: " + timeout.error().message()});
    return migrate(config, options.wait, std::chrono::duration_cast<std::chrono::milliseconds>(*timeout));
  }
  if (options.what == "certs") return certs::run_command(config, options.directory, options.rotate, Wiring::services());
  if (options.what == "ready") return ready(config);
  std::vector<std::string_view> services = Wiring::services();
  if (!options.what.empty()) services = {options.what};
  const auto faults = find_faults(config, services, !options.what.empty());
  if (!faults.empty()) return complain(faults);
  if (options.check) {
    std::cout << "the configuration can be used\n";
    return 0;
  }
  return serve(config, options.what);
}

}  // namespace
}  // namespace merpati::allinone

int main(int argc, char** argv) {
  using namespace merpati::allinone;
  Options options;
  CLI::App app{"Merpati: a mail platform. Without a service's name every service runs in this process."};
  std::vector<std::string> names{"migrate", "certs", "ready"};
  for (const auto service : Wiring::services()) names.emplace_back(service);
  app.add_option("what", options.what, fmt::format("one service, or a task: {}", fmt::join(names, " ")));
  app.add_option("-c,--config", options.config, "YAML; MERPATI_SECTION__KEY=value in the environment overrides it")
      ->envname("MERPATI_CONFIG");
  app.add_flag("--check-config", options.check, "say whether the configuration can be used, and end");
  app.add_flag("--print-config", options.print, "print the whole configuration, secrets redacted, and end");
  app.add_flag("--wait", options.wait, "with migrate: wait until the schemas are up to date");
  app.add_option("--timeout", options.timeout,
                 "with migrate: how long to wait for the database, or with --wait for the schemas (10m)");
  app.add_option("--directory", options.directory, "with certs: the folder to keep current");
  app.add_flag("--rotate", options.rotate, "with certs: begin to rotate the authority although it is not due");
  app.set_version_flag("--version", kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfiguration;
  }
  // Not CLI11's own check, which would take the value of a mistyped option for a wrong service.
  if (!options.what.empty() && std::find(names.begin(), names.end(), options.what) == names.end()) {
    std::cerr << fmt::format("merpati: there is no service \"{}\"; there are: {}\n", options.what,
                             fmt::join(names, " "));
    return kBadConfiguration;
  }
  return run(options);
}
