#include "merpati/runtime/config_loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "merpati/config/v1/config.pb.h"
#include "merpati/runtime/duration.hpp"

namespace merpati::runtime {
namespace {

using config::v1::Config;
using testing::HasSubstr;
using testing::Not;

Result<Config> load(std::string_view yaml, const std::map<std::string, std::string>& environment = {}) {
  Config config;
  auto result = load_config_text(yaml, "merpati.yaml", environment, config);
  if (result.has_error()) return result.error();
  return config;
}

std::string error_of(std::string_view yaml, const std::map<std::string, std::string>& environment = {}) {
  auto result = load(yaml, environment);
  return result.has_error() ? result.error().message() : "no error";
}

TEST(ConfigLoader, ReadsEveryKindOfValue) {
  auto config = load(R"(
process: {grace_period: 1m30s, loops: 4}
smtp:
  max_message_size: 30MB
  filter_down: accept
  listeners:
    - {port: 2525, proxy_trusted: ["10.0.0.0/8", "fd00::/8"]}
    - port: 2465
      tls: IMPLICIT
      kind: submission
      plaintext_login_from_loopback: true
store: {inline_limit: 32KiB}
)")
                    .value();
  EXPECT_EQ(to_chrono(config.process().grace_period()), std::chrono::seconds(90));
  EXPECT_EQ(config.process().loops(), 4U);
  EXPECT_EQ(config.smtp().max_message_size(), 30'000'000U);
  EXPECT_EQ(config.smtp().filter_down(), config::v1::FILTER_DOWN_ACCEPT);
  ASSERT_EQ(config.smtp().listeners_size(), 2);
  EXPECT_EQ(config.smtp().listeners(0).proxy_trusted(1), "fd00::/8");
  EXPECT_EQ(config.smtp().listeners(0).tls(), config::v1::TLS_MODE_STARTTLS) << "the default of an element";
  EXPECT_EQ(config.smtp().listeners(1).tls(), config::v1::TLS_MODE_IMPLICIT);
  EXPECT_TRUE(config.smtp().listeners(1).plaintext_login_from_loopback());
  EXPECT_EQ(config.store().inline_limit(), 32768U);
}

TEST(ConfigLoader, DefaultsOfTheWholeTreeAreValid) {
  auto config = load("").value();
  EXPECT_EQ(config.store().inline_limit(), 65536U);
  EXPECT_EQ(to_chrono(config.imap().idle_timeout()), std::chrono::minutes(30));
  EXPECT_TRUE(config.peers().auth().mux());
  EXPECT_FALSE(config.smtp().listeners_size());
}

TEST(ConfigLoader, AnExplicitZeroIsNotReplacedByTheDefault) {
  auto config = load("auth: {scram_iterations: 0}\npeers: {auth: {mux: false}}\n").value();
  EXPECT_EQ(config.auth().scram_iterations(), 0U);
  EXPECT_FALSE(config.peers().auth().mux());
}

TEST(ConfigLoader, UnknownKeyNamesKeyLineAndTheNearestKnown) {
  const auto text = error_of("store:\n  databse:\n    dsn: x\n");
  EXPECT_THAT(text, HasSubstr("merpati.yaml:2"));
  EXPECT_THAT(text, HasSubstr("store.databse"));
  EXPECT_THAT(text, HasSubstr("\"database\""));
  EXPECT_THAT(error_of("zebra: 1\n"), Not(HasSubstr("did you mean")));
}

TEST(ConfigLoader, WrongValuesSayWhatIsWanted) {
  EXPECT_THAT(error_of("imap:\n  idle_timeout: soon\n"),
              HasSubstr("merpati.yaml:2: imap.idle_timeout: \"soon\" is not a duration"));
  EXPECT_THAT(error_of("imap: {idle_timeout: 30}"), HasSubstr("duration")) << "a number without unit is ambiguous";
  EXPECT_THAT(error_of("imap: {max_line: 64 potatoes}"), HasSubstr("size"));
  EXPECT_THAT(error_of("http: {port: -1}"), HasSubstr("number"));
  EXPECT_THAT(error_of("http: 7"), HasSubstr("section"));
  EXPECT_THAT(error_of("smtp: {listeners: {port: 1}}"), HasSubstr("list"));
  EXPECT_THAT(error_of("smtp: {listeners: [{tls: maybe}]}"), HasSubstr("STARTTLS, IMPLICIT, NONE"));
  EXPECT_THAT(error_of("log: {level: [a]}"), HasSubstr("single value"));
  EXPECT_THAT(error_of("http: {port: 1}\nhttp: {port: 2}\n"), HasSubstr("twice"));
  EXPECT_THAT(error_of("http: {port: 1"), HasSubstr("merpati.yaml:"));
}

TEST(ConfigLoader, EnvironmentOverridesTheFile) {
  auto config = load("store: {database: {dsn: a, connections: 3}}\nsmtp: {listeners: [{port: 1}]}\n",
                     {{"MERPATI_STORE__DATABASE__DSN", "host=db password='x: [y'"},
                      {"MERPATI_SMTP__LISTENERS__0__PORT", "25"},
                      {"MERPATI_SMTP__LISTENERS__1__PORT", "26"},
                      {"MERPATI_AUTH__TRUSTED_ADDRESSES", "[10.0.0.0/8]"},
                      {"MERPATI_REQUIRE", "chart"},
                      {"PATH", "/bin"}})
                    .value();
  EXPECT_EQ(config.store().database().dsn(), "host=db password='x: [y'");
  EXPECT_EQ(config.store().database().connections(), 3U);
  EXPECT_EQ(config.smtp().listeners(0).port(), 25U);
  EXPECT_EQ(config.smtp().listeners(1).port(), 26U);
  EXPECT_EQ(config.smtp().listeners(1).max_connections_per_address(), 50U);
  EXPECT_EQ(config.auth().trusted_addresses(0), "10.0.0.0/8");
  EXPECT_THAT(error_of("", {{"MERPATI_STORE__DATABASE__DNS", "x"}}),
              testing::AllOf(HasSubstr("MERPATI_STORE__DATABASE__DNS"), HasSubstr("\"dsn\"")));
  EXPECT_THAT(error_of("", {{"MERPATI_SMTP__LISTENERS__5__PORT", "25"}}), HasSubstr("index"));
  EXPECT_THAT(error_of("", {{"MERPATI_SMTP__LISTENERS", "[{port: 1"}}),
              testing::AllOf(HasSubstr("MERPATI_SMTP__LISTENERS"), Not(HasSubstr("merpati.yaml"))))
      << "the file has no fault";
  EXPECT_EQ(error_of("", {{"MERPATI_HTTP__PORT", "x"}}),
            "environment variable MERPATI_HTTP__PORT: \"x\" is not a number from 0 to 4294967295");
  EXPECT_THAT(error_of("", {{"MERPATI_SMTP__LISTENERS__0", "{port: 1"}}), HasSubstr("MERPATI_SMTP__LISTENERS__0"));
}

TEST(ConfigLoader, SecretsComeFromFilesAndAreNeverPrinted) {
  const std::string path = testing::TempDir() + "/merpati_secret";
  std::ofstream(path) << "hunter2\n";
  auto config =
      load("queue: {smart_host: {password_file: " + path + "}}\nstore: {database: {dsn: host=x password=pw}}\n")
          .value();
  EXPECT_EQ(config.queue().smart_host().password(), "hunter2");
  const auto printed = print_config(config);
  EXPECT_THAT(printed, Not(HasSubstr("hunter2")));
  EXPECT_THAT(printed, Not(HasSubstr("password=pw")));
  EXPECT_THAT(printed, HasSubstr("<redacted>"));
  EXPECT_THAT(error_of("queue: {smart_host: {password_file: /nowhere/at/all}}"), HasSubstr("/nowhere/at/all"));
  EXPECT_THAT(error_of("queue: {smart_host: {host_file: x}}"), HasSubstr("unknown key"))
      << "only secrets have a file form";
}

TEST(ConfigLoader, FilesThatCannotBeRead) {
  config::v1::Config config;
  EXPECT_THAT(load_config("/nowhere/at/all.yaml", config).error().message(), HasSubstr("/nowhere/at/all.yaml"));
  const auto folder = load_config(testing::TempDir(), config);
  ASSERT_TRUE(folder.has_error()) << "a folder is no empty file";
  EXPECT_THAT(folder.error().message(), HasSubstr(testing::TempDir()));
  EXPECT_THAT(error_of("queue: {smart_host: {password_file: " + testing::TempDir() + "}}"),
              HasSubstr("queue.smart_host.password_file: cannot read"));
}

TEST(ConfigLoader, WhatItPrintsItReads) {
  auto config =
      load("imap: {listeners: [{name: \"a: b\", port: 2143}], idle_timeout: 90s}\nlog: {level: debug}\n").value();
  auto again = load(print_config(config)).value();
  EXPECT_EQ(config.SerializeAsString(), again.SerializeAsString());
}

TEST(ConfigLoader, DurationsAndSizes) {
  EXPECT_EQ(parse_duration_nanos("1h30m").value(), 5'400'000'000'000);
  EXPECT_EQ(parse_duration_nanos("1.5s").value(), 1'500'000'000);
  EXPECT_EQ(parse_duration_nanos("250ms").value(), 250'000'000);
  EXPECT_TRUE(parse_duration_nanos("").has_error());
  EXPECT_TRUE(parse_duration_nanos("-5s").has_error());
  EXPECT_TRUE(parse_duration_nanos("5 weeks").has_error());
  EXPECT_TRUE(parse_duration_nanos("99999999999999d").has_error());
  EXPECT_EQ(parse_size("64KiB").value(), 65536U);
  EXPECT_EQ(parse_size("1 GiB").value(), 1073741824U);
  EXPECT_EQ(parse_size("10").value(), 10U);
  EXPECT_TRUE(parse_size("1.5").has_error());
  EXPECT_TRUE(parse_size("64KiB64").has_error());
}

}  // namespace
}  // namespace merpati::runtime
