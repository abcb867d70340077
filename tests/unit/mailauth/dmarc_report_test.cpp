#include "merpati/mailauth/dmarc_report.hpp"

#include <gtest/gtest.h>

namespace merpati::mailauth {
namespace {

const std::string kHead =
    "<report_metadata><org_name>A &amp; B</org_name><email>d@r.test</email><report_id>1</report_id>"
    "<date_range><begin>1764374400</begin><end>1764460799</end></date_range><error>one</error><error>two</error>"
    "</report_metadata>";
const std::string kPolicy =
    "<policy_published><domain>a.test</domain><p>reject</p><np>none</np><testing>n</testing></policy_published>";
const std::string kRecord =
    "<record><row><source_ip>192.0.2.1</source_ip>\n<count> 12 </count>"
    "<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>"
    "<reason><type>local_policy</type><comment>arc=pass</comment></reason><reason><type>other</type></reason>"
    "</policy_evaluated></row>"
    "<identifiers><header_from>a.test</header_from><envelope_from>b.test</envelope_from></identifiers>"
    "<auth_results><dkim><domain>a.test</domain><selector>k</selector><result>pass</result></dkim>"
    "<dkim><domain>c.test</domain><result>fail</result><human_result>no key</human_result></dkim>"
    "<spf><domain>b.test</domain><scope>mfrom</scope><result>pass</result></spf></auth_results></record>";

std::string fault(const std::string& xml, const DmarcReportLimits& limits = {}) {
  const auto report = parse_dmarc_report(xml, limits);
  return report.has_error() ? report.error().message() : std::string();
}

TEST(DmarcReport, IsRead) {
  for (const std::string root : {"<feedback>", "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">"}) {
    const auto read =
        parse_dmarc_report("<?xml version=\"1.0\"?>\n" + root + kHead + kPolicy + kRecord + kRecord + "</feedback>");
    ASSERT_TRUE(read.has_value()) << read.error().describe();
    EXPECT_EQ(read->org_name, "A & B");
    EXPECT_EQ(read->begin, 1764374400);
    EXPECT_EQ(read->end, 1764460799);
    EXPECT_EQ(read->errors, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(read->policy.domain, "a.test");
    EXPECT_EQ(read->policy.p, "reject");
    EXPECT_EQ(read->policy.np, "none");
    EXPECT_EQ(read->policy.testing, "n");
    ASSERT_EQ(read->records.size(), 2U);
    const auto& record = read->records[1];
    EXPECT_EQ(record.source_ip, "192.0.2.1");
    EXPECT_EQ(record.count, 12U);
    EXPECT_EQ(record.disposition + record.dkim + record.spf, "nonepassfail");
    ASSERT_EQ(record.reasons.size(), 2U);
    EXPECT_EQ(record.reasons[0].comment, "arc=pass");
    EXPECT_EQ(record.header_from + " " + record.envelope_from, "a.test b.test");
    ASSERT_EQ(record.dkim_results.size(), 2U);
    EXPECT_EQ(record.dkim_results[0].selector, "k");
    EXPECT_EQ(record.dkim_results[1].human_result, "no key");
    ASSERT_EQ(record.spf_results.size(), 1U);
    EXPECT_EQ(record.spf_results[0].scope, "mfrom");
  }
}

DmarcReport sample() {
  DmarcReport report;
  report.version = "1.0";
  report.org_name = "A & B <Ltd>";
  report.email = "d@r.test";
  report.report_id = "1@r.test";
  report.begin = 1764374400;
  report.end = 1764460799;
  report.policy = {"a.test", "treewalk", "reject", "none", "none", "r", "s", "0", "", "n"};
  DmarcReportRecord record;
  record.source_ip = "2001:db8::1";
  record.count = 12;
  record.disposition = "quarantine";
  record.dkim = record.spf = "fail";
  record.reasons = {{"policy_test_mode", ""}, {"local_policy", "why"}};
  record.header_from = "a.test";
  record.envelope_from = "b.test";
  record.dkim_results = {{"a.test", "k", "fail", ""}};
  record.spf_results = {{"b.test", "mfrom", "softfail", ""}};
  report.records.push_back(record);
  record.reasons.clear();
  record.envelope_from.clear();
  record.dkim_results.clear();
  record.spf_results.clear();
  report.records.push_back(record);
  return report;
}

// RFC 9990 3.1.1 and appendix A: which elements, and in which order.
TEST(DmarcReport, IsWritten) {
  EXPECT_EQ(write_dmarc_report(sample()), R"(<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
  <version>1.0</version>
  <report_metadata>
    <org_name>A &amp; B &lt;Ltd&gt;</org_name>
    <email>d@r.test</email>
    <report_id>1@r.test</report_id>
    <date_range>
      <begin>1764374400</begin>
      <end>1764460799</end>
    </date_range>
  </report_metadata>
  <policy_published>
    <domain>a.test</domain>
    <discovery_method>treewalk</discovery_method>
    <p>reject</p>
    <sp>none</sp>
    <np>none</np>
    <fo>0</fo>
    <adkim>r</adkim>
    <aspf>s</aspf>
    <testing>n</testing>
  </policy_published>
  <record>
    <row>
      <source_ip>2001:db8::1</source_ip>
      <count>12</count>
      <policy_evaluated>
        <disposition>quarantine</disposition>
        <dkim>fail</dkim>
        <spf>fail</spf>
        <reason>
          <type>policy_test_mode</type>
        </reason>
        <reason>
          <type>local_policy</type>
          <comment>why</comment>
        </reason>
      </policy_evaluated>
    </row>
    <identifiers>
      <header_from>a.test</header_from>
      <envelope_from>b.test</envelope_from>
    </identifiers>
    <auth_results>
      <dkim>
        <domain>a.test</domain>
        <selector>k</selector>
        <result>fail</result>
      </dkim>
      <spf>
        <domain>b.test</domain>
        <scope>mfrom</scope>
        <result>softfail</result>
      </spf>
    </auth_results>
  </record>
  <record>
    <row>
      <source_ip>2001:db8::1</source_ip>
      <count>12</count>
      <policy_evaluated>
        <disposition>quarantine</disposition>
        <dkim>fail</dkim>
        <spf>fail</spf>
      </policy_evaluated>
    </row>
    <identifiers>
      <header_from>a.test</header_from>
    </identifiers>
    <auth_results>
    </auth_results>
  </record>
</feedback>
)");
}

TEST(DmarcReport, WhatIsWrittenIsReadBack) {
  auto report = sample();
  report.extra_contact = "\xc3\xa9 \x01 \xff";
  report.generator = "g";
  const auto read = parse_dmarc_report(write_dmarc_report(report));
  ASSERT_TRUE(read.has_value()) << read.error().describe();
  EXPECT_EQ(read->org_name, "A & B <Ltd>");
  EXPECT_EQ(read->extra_contact.substr(0, 4), "\xc3\xa9 ?") << "XML has no control characters";
  EXPECT_EQ(read->policy.testing, "n");
  ASSERT_EQ(read->records.size(), 2U);
  const auto& record = read->records[0];
  EXPECT_EQ(record.count, 12U);
  EXPECT_EQ(record.reasons.size(), 2U);
  EXPECT_EQ(record.reasons[1].type + record.reasons[1].comment, "local_policywhy");
  EXPECT_EQ(record.dkim_results.at(0).selector + record.spf_results.at(0).result, "ksoftfail");
  EXPECT_EQ(write_dmarc_report(*read), write_dmarc_report(*parse_dmarc_report(write_dmarc_report(*read))));
}

// RFC 9990 allows extensions, whose elements may be called anything.
TEST(DmarcReport, OtherNamespacesAreLeftOut) {
  const auto read = parse_dmarc_report(
      "<feedback xmlns:x=\"urn:x\">" + kPolicy +
      "<x:record><x:row><count>nonsense</count></x:row></x:record><record><row><source_ip>192.0.2.1</source_ip>"
      "<count>2</count><x:count>9</x:count></row></record></feedback>");
  ASSERT_TRUE(read.has_value()) << read.error().describe();
  ASSERT_EQ(read->records.size(), 1U);
  EXPECT_EQ(read->records[0].count, 2U);
}

TEST(DmarcReport, WhatIsNone) {
  EXPECT_NE(fault(""), "");
  EXPECT_NE(fault("<html/>").find("no DMARC aggregate report"), std::string::npos);
  EXPECT_NE(fault("<html><feedback/></html>").find("no DMARC aggregate report"), std::string::npos);
  EXPECT_NE(fault("<feedback>" + kHead + "</feedback>").find("names no domain"), std::string::npos);
  EXPECT_NE(fault("<feedback>" + kPolicy), "") << "cut off";
  for (const char* count : {"", "many", "-1", "99999999999999999999"})
    EXPECT_NE(fault("<feedback>" + kPolicy + "<record>\n<row><count>" + count + "</count></row></record></feedback>")
                  .find("line 2 of the report: a count is"),
              std::string::npos)
        << count;
  EXPECT_NE(
      fault("<feedback><report_metadata><date_range><begin>soon</begin></date_range></report_metadata></feedback>"),
      "");
}

TEST(DmarcReport, BombsAreRefused) {
  EXPECT_NE(fault("<!DOCTYPE feedback [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><feedback>&b;</feedback>")
                .find("document type"),
            std::string::npos);
  std::string deep = "<feedback>" + kPolicy;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_NE(fault(deep).find("too deeply"), std::string::npos);
  DmarcReportLimits limits;
  limits.records = 2;
  EXPECT_NE(
      fault("<feedback>" + kPolicy + kRecord + kRecord + kRecord + "</feedback>", limits).find("too many records"),
      std::string::npos);
  limits.text = 10;
  const auto cut = parse_dmarc_report(
      "<feedback><policy_published><domain>" + std::string(5000, 'a') + "</domain></policy_published></feedback>",
      limits);
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ(cut->policy.domain, "aaaaaaaaaa");
}

}  // namespace
}  // namespace merpati::mailauth
