#include "filter/dmarc_mail.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <random>

#include "filter/gzip.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

std::string unzipped(std::string_view octets) {
  archive* from = archive_read_new();
  archive_read_support_filter_gzip(from);
  archive_read_support_format_raw(from);
  EXPECT_EQ(archive_read_open_memory(from, octets.data(), octets.size()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  EXPECT_EQ(archive_read_next_header(from, &entry), ARCHIVE_OK);
  std::string out;
  char piece[4096];
  for (la_ssize_t got = 0; (got = archive_read_data(from, piece, sizeof piece)) > 0;)
    out.append(piece, static_cast<std::size_t>(got));
  archive_read_free(from);
  return out;
}

DuePeriod period() {
  DuePeriod out;
  out.id = 7;
  out.domain = "example.com";
  out.begins = 1013662812;
  out.ends = 1013749131;
  out.request = R"({"domain":"example.com","p":"reject","rua":["mailto:d@example.com"]})";
  return out;
}
std::vector<mailauth::DmarcReportRecord> records() {
  mailauth::DmarcReportRecord one;
  one.source_ip = "192.0.2.1";
  one.count = 3;
  one.disposition = "none";
  one.dkim = one.spf = "fail";
  one.header_from = "example.com";
  auto other = one;
  other.source_ip = "192.0.2.2";
  other.count = 4;
  return {one, other};
}
const DmarcReporter kReporter{"Receiver, \"Inc\"", "dmarc@mail.receiver.example", "mail.receiver.example",
                              "https://x/"};

TEST(DmarcMail, IsWhatReceiversLookFor) {
  const auto mail = make_dmarc_mail(period(), records(), kReporter);
  ASSERT_TRUE(mail.has_value()) << mail.error().describe();
  // RFC 9990 3.5.2: the example.
  EXPECT_EQ(mail->file_name, "mail.receiver.example!example.com!1013662812!1013749130.xml.gz");
  EXPECT_EQ(mail->messages, 7);
  const std::string text = compose_dmarc_mail(*mail, period(), kReporter, "d@example.com", 1013749200);
  EXPECT_NE(text.find("Subject: Report Domain: example.com\r\n Submitter: mail.receiver.example\r\n Report-ID: "
                      "<1013662812-example.com@mail.receiver.example>\r\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("From: \"Receiver, \\\"Inc\\\"\"\r\n <dmarc@mail.receiver.example>\r\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("To: <d@example.com>\r\n"), std::string::npos);
  const auto summary = mime::summarize(text);
  ASSERT_EQ(summary.root.children.size(), 2u);
  const auto& part = summary.root.children[1];
  EXPECT_EQ(part.type + "/" + part.subtype, "application/gzip");
  const auto xml = unzipped(mime::decode_transfer(mime::Encoding::kBase64, part.body.of(text)));
  const auto report = mailauth::parse_dmarc_report(xml);
  ASSERT_TRUE(report.has_value()) << report.error().describe() << xml;
  EXPECT_EQ(report->org_name, "Receiver, \"Inc\"");
  EXPECT_EQ(report->report_id, "1013662812-example.com@mail.receiver.example");
  EXPECT_EQ(report->begin, 1013662812);
  EXPECT_EQ(report->end, 1013749130);
  EXPECT_EQ(report->records.size(), 2u);
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - at, 998u);
    at = end + 2;
  }
}

TEST(DmarcMail, ARepetitionIsTheSame) {
  const auto one = make_dmarc_mail(period(), records(), kReporter),
             other = make_dmarc_mail(period(), records(), kReporter);
  ASSERT_TRUE(one.has_value() && other.has_value());
  EXPECT_EQ(one->attachment, other->attachment);
  const auto id = dmarc_delivery_id(period(), kReporter, "d@example.com");
  EXPECT_TRUE(is_uuid(id)) << id;
  EXPECT_EQ(id, dmarc_delivery_id(period(), kReporter, "d@example.com"));
  EXPECT_NE(id, dmarc_delivery_id(period(), kReporter, "e@example.com"));
  auto later = period();
  later.begins += 86400;
  EXPECT_NE(id, dmarc_delivery_id(later, kReporter, "d@example.com"));
}

TEST(DmarcMail, NamesInOtherLettersAreEncoded) {
  auto reporter = kReporter;
  reporter.organization = "Caf\xc3\xa9";
  const auto mail = make_dmarc_mail(period(), records(), reporter);
  ASSERT_TRUE(mail.has_value());
  const auto text = compose_dmarc_mail(*mail, period(), reporter, "d@example.com", 0);
  EXPECT_NE(text.find("From: =?"), std::string::npos) << text;
  EXPECT_TRUE(std::ranges::all_of(text, [](unsigned char c) { return c < 128; }));
}

TEST(Gzip, GivesBackWhatItTook) {
  std::mt19937 random(1);
  for (const std::size_t size : {1u, 1000u, 300'000u}) {
    std::string octets(size, 'x');
    for (char& c : octets) c = static_cast<char>(random());
    const auto packed = gzip(octets);
    ASSERT_TRUE(packed.has_value()) << packed.error().describe();
    EXPECT_TRUE(packed->starts_with("\x1f\x8b"));
    EXPECT_EQ(unzipped(*packed), octets) << size;
    EXPECT_EQ(*packed, *gzip(octets));
  }
}

}  // namespace
}  // namespace merpati::filter
