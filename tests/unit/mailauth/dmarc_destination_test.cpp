#include "merpati/mailauth/dmarc_destination.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"

namespace merpati::mailauth {
namespace {

TEST(DmarcReportUri, OnlyPlainAddressesByMail) {
  const auto address = [](const char* uri) {
    const auto parsed = parse_report_uri(uri);
    return parsed ? parsed->address : std::string();
  };
  EXPECT_EQ(address("mailto:dmarc-feedback@example.com"), "dmarc-feedback@example.com");
  EXPECT_EQ(address("MailTo:A.b+c@Example.COM"), "A.b+c@example.com");
  EXPECT_EQ(address("mailto:a%21b%2Cc@example.com"), "") << "a comma needs quotes";
  EXPECT_EQ(address("mailto:a%21b@example.com"), "a!b@example.com");
  EXPECT_EQ(address("mailto:a@example.com?subject=x"), "a@example.com");
  for (const char* bad : {"", "mailto:", "mailto:@example.com", "mailto:a", "mailto:a@", "https://example.com/report",
                          "mailto:a b@x.test", "mailto:a%0d%0aBcc:%20v@x.test", "mailto:a@x.test%0d%0a",
                          "mailto:a%2@x.test", "mailto:.a@x.test", "mailto:a..b@x.test", "mailto:%22a%22@x.test",
                          "mailto:a@[192.0.2.1]", "mailto:a@b@c@", "mailto:a%00@x.test"})
    EXPECT_EQ(address(bad), "") << bad;
  EXPECT_EQ(address(("mailto:" + std::string(65, 'a') + "@x.test").c_str()), "");
}

class DmarcDestination : public ::testing::Test {
 protected:
  DmarcDestination() { dns_.set_txt("_dmarc.blue.example.com", {"v=DMARC1; p=none; psd=n"}); }
  /// "confirmed a@b.test c@d.test"
  std::string look(const std::string& domain, const std::string& to) {
    const auto out = loop_
                         .run(verify_destination(dns_, domain, parse_report_uri("mailto:" + to).value(),
                                                 Deadline::after(std::chrono::seconds(20))))
                         .value();
    std::string text(to_string(out.state));
    for (const auto& destination : out.to) text += " " + destination.address;
    EXPECT_EQ(out.reason.empty(), !out.to.empty()) << out.reason;
    return text;
  }
  dns::StaticResolver dns_;
  test::Loop loop_;
};

TEST_F(DmarcDestination, WithinTheOrganizationNobodyIsAsked) {
  dns_.set_txt("_dmarc.example.org", {"v=DMARC1; p=none"});
  EXPECT_EQ(look("example.org", "a@example.org"), "own a@example.org");
  EXPECT_EQ(look("example.org", "a@reports.example.org"), "own a@reports.example.org");
  EXPECT_EQ(look("mail.example.org", "a@example.org"), "own a@example.org") << "a record of the organization's";
  // A boundary in between.
  dns_.set_txt("_dmarc.customer.example.org", {"v=DMARC1; p=none; psd=n"});
  EXPECT_EQ(look("example.org", "a@customer.example.org"), "refused");
  EXPECT_EQ(look("customer.example.org", "a@example.org"), "refused");
}

// RFC 9990 4: the example.
TEST_F(DmarcDestination, AnotherOrganizationMustConfirm) {
  EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "refused");
  dns_.set_txt("blue.example.com._report._dmarc.red.example.net", {"v=DMARC1"});
  EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "confirmed reports@red.example.net");
  EXPECT_EQ(look("green.example.com", "reports@red.example.net"), "refused");
  for (const char* text : {"v=DMARC1;", "v=DMARC1; rua=https://red.example.net/", "v=DMARC1; rua="}) {
    dns_.set_txt("blue.example.com._report._dmarc.red.example.net", {"unrelated", text});
    EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "confirmed reports@red.example.net") << text;
  }
  for (const char* text : {"", "v=DMARC2", "rua=mailto:a@red.example.net; v=DMARC1", "v=dmarc1"}) {
    dns_.set_txt("blue.example.com._report._dmarc.red.example.net", {text});
    EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "refused") << text;
  }
}

TEST_F(DmarcDestination, ItMayNameAnotherAddressOfItsOwn) {
  const std::string name = "blue.example.com._report._dmarc.red.example.net";
  dns_.set_txt(name, {"v=DMARC1; rua=mailto:x@red.example.net,mailto:y@red.example.net,mailto:x@red.example.net"});
  EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "confirmed x@red.example.net y@red.example.net");
  for (const char* uri : {"mailto:victim@other.test", "mailto:x@red.example.net,mailto:victim@sub.red.example.net"}) {
    dns_.set_txt(name, {std::string("v=DMARC1; rua=") + uri});
    EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "refused") << uri;
  }
}

TEST_F(DmarcDestination, WhatDnsDoesNotSayIsNoRefusal) {
  dns_.set_txt_status("blue.example.com._report._dmarc.red.example.net", dns::Status::kTemporary);
  EXPECT_EQ(look("blue.example.com", "reports@red.example.net"), "unknown");
  dns_.set_txt_status("_dmarc.example.org", dns::Status::kTemporary);
  EXPECT_EQ(look("example.org", "a@mail.example.org"), "unknown");
  const std::string label(60, 'x');
  const std::string longest = label + "." + label + "." + label + ".test";
  dns_.set_txt("_dmarc." + longest, {"v=DMARC1; p=none; psd=n"});
  EXPECT_EQ(look(longest, "a@" + label + ".example"), "refused") << "too long a name";
}

}  // namespace
}  // namespace merpati::mailauth
