#include "allinone/config_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allinone/wiring.hpp"
#include "merpati/runtime/config_loader.hpp"

namespace merpati::allinone {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

config::v1::Config load(std::string_view yaml) {
  config::v1::Config config;
  runtime::load_config_text(yaml, "test.yaml", {}, config).value();
  complete(config);
  return config;
}

std::vector<std::string> faults(std::string_view yaml, std::vector<std::string_view> services, bool network) {
  return find_faults(load(yaml), services, network);
}

TEST(ConfigCheck, AnEmptyConfigurationNamesWhatEachServiceMisses) {
  const auto found = faults("", Wiring::services(), false);
  EXPECT_THAT(found, Contains(HasSubstr("smtp.listeners")));
  EXPECT_THAT(found, Contains(HasSubstr("auth.master_key")));
  EXPECT_THAT(found, Contains(HasSubstr("store.database.dsn")));
  EXPECT_THAT(found, Contains(HasSubstr("store.objects")));
  EXPECT_THAT(found, Contains(HasSubstr("trust.ca_file")));
  EXPECT_THAT(found, Not(Contains(HasSubstr("peers")))) << "in one process nobody needs an address";
}

TEST(ConfigCheck, AServiceAloneNeedsOnlyItsOwn) {
  EXPECT_THAT(faults("store: {database: {dsn: x}, objects: {directory: /tmp}}\n", {"store"}, false), IsEmpty());
  const auto found = faults("store: {database: {dsn: x}, objects: {directory: /tmp}}\n", {"store"}, true);
  EXPECT_THAT(found, Contains(HasSubstr("peers.auth.target")));
  EXPECT_THAT(found, Not(Contains(HasSubstr("smtp"))));
}

TEST(ConfigCheck, PortsAndCertificates) {
  EXPECT_THAT(faults("imap: {listeners: [{port: 70000, tls: NONE}]}\n", {"imap"}, false),
              Contains(HasSubstr("imap.listeners[0].port")));
  EXPECT_THAT(faults("imap: {listeners: [{port: 993, tls: IMPLICIT}]}\n", {"imap"}, false),
              Contains(HasSubstr("certificate_file")));
  EXPECT_THAT(faults("imap: {tls: {certificate_file: /no/such, key_file: /no/such}, listeners: [{port: 993}]}\n",
                     {"imap"}, false),
              Contains(HasSubstr("cannot read /no/such")));
  EXPECT_THAT(faults("store: {objects: {directory: /a, s3: {endpoint: \"http://b\", bucket: c}}, database: {dsn: x}}\n",
                     {"store"}, false),
              Contains(HasSubstr("either")));
}

TEST(ConfigCheck, HostNamesDefaultToTheMachine) {
  EXPECT_FALSE(load("").smtp().hostname().empty());
  EXPECT_EQ(load("smtp: {hostname: mx.example.org}\n").filter().authserv_id(), "mx.example.org");
}

}  // namespace
}  // namespace merpati::allinone
