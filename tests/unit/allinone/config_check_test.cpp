#include "allinone/config_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allinone/wiring.hpp"
#include "merpati/runtime/config_loader.hpp"
#include "support/certificates.hpp"

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

TEST(ConfigCheck, MiltersThatCannotBeAsked) {
  const std::string database = "filter: {database: {dsn: x}, milters: [";
  EXPECT_THAT(faults(database + "{name: m, address: \"inet:8891@localhost\", listeners: [MX, SUBMISSION]}]}\n",
                     {"filter"}, false),
              Not(Contains(HasSubstr("filter.milters"))));
  EXPECT_THAT(faults(database + "{name: m, address: localhost}]}\n", {"filter"}, false),
              Contains(HasSubstr("filter.milters[0].address: \"localhost\" is not unix:/PATH")));
  EXPECT_THAT(faults(database + "{address: \"m:1\"}]}\n", {"filter"}, false),
              Contains(HasSubstr("filter.milters[0].name")));
}

TEST(ConfigCheck, ValuesThatAreReadButCannotWork) {
  const std::string imap = "imap: {listeners: [{port: 2143, tls: NONE, ";
  EXPECT_THAT(faults(imap + "address: localhost}]}\n", {"imap"}, false),
              Contains(HasSubstr("imap.listeners[0].address \"localhost\"")));
  EXPECT_THAT(faults(imap + "proxy_trusted: [10.0.0.0/99]}]}\n", {"imap"}, false),
              Contains(HasSubstr("imap.listeners[0].proxy_trusted: not an address range: 10.0.0.0/99")));
  EXPECT_THAT(faults("auth: {database: {dsn: x}, master_key: c2hvcnQ=}\n", {"auth"}, false),
              Contains(HasSubstr("auth.master_key is not 32 octets")));
  EXPECT_THAT(faults("auth: {trusted_addresses: [nonsense]}\n", {"auth"}, false),
              Contains(HasSubstr("auth.trusted_addresses")));
  EXPECT_THAT(
      faults("queue: {parallel: 0, routes: [somewhere]}\n", {"queue"}, false),
      testing::IsSupersetOf({HasSubstr("queue.parallel is 0"), HasSubstr("\"somewhere\" is not domain=host:port")}));
  EXPECT_THAT(faults("smtp: {max_message_size: 0}\n", {"smtp"}, false),
              Contains(HasSubstr("smtp.max_message_size is 0")));
  EXPECT_THAT(faults("peers: {auth: {target: \"auth:1, nowhere\"}}\n", {"store"}, true),
              Contains(HasSubstr("\" nowhere\" is not host:port")));
  EXPECT_THAT(faults("peers: {auth: {target: \"auth-0.auth:50051,[::1]:50051\"}}\n", {"store"}, true),
              Not(Contains(HasSubstr("peers"))));
}

TEST(ConfigCheck, ScoresOfTheFilter) {
  const auto found = [](const std::string& filter) {
    return faults("filter: {database: {dsn: x}, " + filter + "}\n", {"filter"}, false);
  };
  EXPECT_THAT(found("weights: [{symbol: NO_FROM, score: 6}, {symbol: LOOP, score: -1}]"), IsEmpty());
  EXPECT_THAT(found("thresholds: {refuse: 0}"), IsEmpty());
  EXPECT_THAT(found("weights: [{symbol: A, score: 1}, {symbol: A, score: 2}]"), Contains(HasSubstr("A twice")));
  EXPECT_THAT(found("weights: [{score: 1}]"), Contains(HasSubstr("without a symbol")));
  EXPECT_THAT(found("thresholds: {junk: -1}"), Contains(HasSubstr("negative")));
  EXPECT_THAT(found("thresholds: {junk: 20}"), Contains(HasSubstr("never reached")));
  EXPECT_THAT(found("thresholds: {discard: 30}"), IsEmpty());
  EXPECT_THAT(found("thresholds: {discard: 10}"), Contains(HasSubstr("filter.thresholds.discard")));
}

TEST(ConfigCheck, Greylisting) {
  const auto found = [](const std::string& section) {
    return faults("filter: {database: {dsn: x}, greylist: {enabled: true, " + section + "}}\n", {"filter"}, false);
  };
  EXPECT_THAT(found("threshold: 0, own_networks: [none]"), IsEmpty());
  EXPECT_THAT(found("threshold: 15"), Contains(HasSubstr("nothing is ever greylisted")));
  EXPECT_THAT(found("delay: 1h, retry_window: 30m"), Contains(HasSubstr("filter.greylist.retry_window")));
  EXPECT_THAT(found("keep: 1m"), Contains(HasSubstr("filter.greylist.keep")));
  EXPECT_THAT(found("own_networks: [10.0.0.0/99]"), Contains(HasSubstr("filter.greylist.own_networks")));
}

TEST(ConfigCheck, Reputation) {
  const auto found = [](const std::string& section) {
    return faults("filter: {database: {dsn: x}, reputation: {" + section + "}}\n", {"filter"}, false);
  };
  EXPECT_THAT(found("enabled: true, min_messages: 0, own_networks: [none]"), IsEmpty());
  EXPECT_THAT(found("half_life: 1s"), Contains(HasSubstr("filter.reputation.half_life")));
  EXPECT_THAT(found("sender_points: -1"), Contains(HasSubstr("negative points")));
  EXPECT_THAT(found("own_networks: [x]"), Contains(HasSubstr("filter.reputation.own_networks")));
}

TEST(ConfigCheck, TheFilterKeepsScriptsInADatabase) {
  EXPECT_THAT(faults("", {"filter"}, false), Contains(HasSubstr("filter.database.dsn")));
  EXPECT_THAT(faults("filter: {database: {dsn: x}, sieve: {max_script_size: 2MiB}}\n", {"filter"}, false),
              Contains(HasSubstr("filter.sieve.max_script_size")));
}

TEST(ConfigCheck, MailAuthentication) {
  const auto found = [](const std::string& section) {
    return faults("filter: {database: {dsn: x}, mail_authentication: {" + section + "}}\n", {"filter"}, false);
  };
  EXPECT_THAT(found("own_networks: [\"none\"]"), IsEmpty());
  EXPECT_THAT(found("own_networks: [\"192.0.2.0/24\", \"::1\"]"), IsEmpty());
  EXPECT_THAT(found("own_networks: [\"none\", \"10.0.0.0/8\"]"), Contains(HasSubstr("own_networks")));
  EXPECT_THAT(found("lookup_time: 0s"), Contains(HasSubstr("lookup_time is 0")));
  EXPECT_THAT(found("enabled: false, lookup_time: 0s"), IsEmpty());
}

TEST(ConfigCheck, ListsOfAttachmentsAndSenders) {
  const auto found = [](const std::string& section) {
    return faults("filter: {database: {dsn: x}, " + section + "}\n", {"filter"}, false);
  };
  EXPECT_THAT(found("attachments: {refuse: [none], junk: [macros, .iso]}, senders: {accept: [\"*.example.com\"]}"),
              IsEmpty());
  EXPECT_THAT(found("attachments: {refuse: [exe]}"), Contains(HasSubstr("filter.attachments.refuse: exe is neither")));
  EXPECT_THAT(found("attachments: {archives: {max_ratio: 0}}"), Contains(HasSubstr("archives.max_ratio")));
  EXPECT_THAT(found("senders: {junk: [\"@\"]}"), Contains(HasSubstr("filter.senders.junk")));
}

TEST(ConfigCheck, TwoListenersOnOnePort) {
  const auto found = faults(
      "http: {port: 2143}\nimap: {listeners: [{port: 2143, tls: NONE}]}\n"
      "smtp: {listeners: [{port: 2525, tls: NONE}, {port: 2525, kind: SUBMISSION, tls: NONE}]}\n",
      {"imap", "smtp"}, false);
  EXPECT_THAT(found, Contains(HasSubstr("http.port and imap.listeners[0].port are both 2143")));
  EXPECT_THAT(found, Contains(HasSubstr("smtp.listeners[0].port and smtp.listeners[1].port are both 2525")));
}

TEST(ConfigCheck, CertificatesThatAreNone) {
  test::Authority authority;
  const auto one = authority.issue("imap"), other = authority.issue("auth");
  const auto edge = [](const std::string& certificate, const std::string& key, const std::string& more = "") {
    return "imap: {tls: {certificate_file: " + certificate + ", key_file: " + key + more +
           "}, listeners: [{port: 2993, tls: IMPLICIT}]}\n";
  };
  EXPECT_THAT(faults(edge(one.certificate_file, one.key_file), {"imap"}, false), IsEmpty());
  EXPECT_THAT(faults(edge(one.certificate_file, other.key_file), {"imap"}, false), Contains(HasSubstr("imap.tls: ")));
  EXPECT_THAT(faults(edge(one.key_file, one.key_file), {"imap"}, false),
              Contains(HasSubstr("cannot use certificate " + one.key_file)));
  EXPECT_THAT(faults(edge(one.certificate_file, one.key_file, ", min_version: \"1.1\""), {"imap"}, false),
              Contains(HasSubstr("neither 1.2 nor 1.3")));
  const auto trust = "trust: {ca_file: " + one.key_file + ", certificate_file: " + one.certificate_file +
                     ", key_file: " + one.key_file + "}\n";
  EXPECT_THAT(faults(trust, {"admin"}, false), Contains(HasSubstr("trust.ca_file: cannot read authorities")));
}

TEST(ConfigCheck, HostNamesDefaultToTheMachine) {
  EXPECT_FALSE(load("").smtp().hostname().empty());
  EXPECT_EQ(load("smtp: {hostname: mx.example.org}\n").filter().authserv_id(), "mx.example.org");
}

TEST(ConfigCheck, DmarcReportsNeedToSayWhoSendsThem) {
  const std::string base = "filter: {database: {dsn: x}, dmarc_reports: {enabled: true";
  EXPECT_THAT(faults(base + ", organization: A, from: d@a.test}}\n", {"filter"}, false), IsEmpty());
  EXPECT_THAT(faults("filter: {database: {dsn: x}, dmarc_reports: {from: nonsense}}\n", {"filter"}, false), IsEmpty())
      << "off";
  const auto fault = [&](const std::string& more) {
    const auto all = faults(base + more + "}}\n", {"filter"}, false);
    return all.size() == 1 ? all[0].substr(0, all[0].find(':')) : std::to_string(all.size()) + " faults";
  };
  EXPECT_EQ(fault(", from: d@a.test"), "filter.dmarc_reports.organization");
  EXPECT_EQ(fault(", organization: A, from: nonsense"), "filter.dmarc_reports.from");
  const std::string who = ", organization: A, from: d@a.test";
  EXPECT_EQ(fault(who + ", exclude_domains: [\"a b\"]"), "filter.dmarc_reports.exclude_domains");
  EXPECT_EQ(fault(who + ", exclude_recipients: [x]"), "filter.dmarc_reports.exclude_recipients");
  EXPECT_EQ(fault(who + ", max_records: 0"), "filter.dmarc_reports.max_records");
  EXPECT_EQ(fault(who + ", max_domains: 1000000"), "filter.dmarc_reports.max_domains");
  EXPECT_EQ(fault(who + ", spread: 30h"), "filter.dmarc_reports.spread");
  EXPECT_EQ(fault(who + ", keep: 1h"), "filter.dmarc_reports.keep");
  EXPECT_EQ(fault(who + "}, mail_authentication: {enabled: false"), "filter.dmarc_reports.enabled");
  EXPECT_THAT(faults(base + who + "}}\n", {"filter"}, true), Contains(HasSubstr("peers.queue.target")));
  EXPECT_THAT(faults("filter: {database: {dsn: x}}\n", {"filter"}, true), Not(Contains(HasSubstr("peers.queue"))));
}

}  // namespace
}  // namespace merpati::allinone
