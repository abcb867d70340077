#include "filter/dmarc_mail.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "filter/gzip.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

/// RFC 5322 3.4: a name before an address.
std::string display_name(const std::string& name) {
  const bool ascii = std::ranges::all_of(name, [](unsigned char c) { return c >= 32 && c < 127; });
  return ascii ? mime::quoted_string(name) : mime::encode_encoded_words(name);
}

std::string time_text(std::int64_t seconds) { return mime::format_date({seconds, 0}); }

std::string annotation(const DmarcMail& mail, const DuePeriod& period, const DmarcReporter& reporter) {
  std::string out = fmt::format(
      "This is a DMARC aggregate report (RFC 9990) about mail in the name of\r\n{},\r\nas {} asks for it in "
      "DNS.\r\n\r\n"
      "From: {}\r\nTo: {}\r\nMessages: {}\r\n",
      period.domain, "_dmarc." + period.domain, time_text(period.begins), time_text(period.ends - 1), mail.messages);
  if (mail.left_out > 0)
    out +=
        fmt::format("Messages that were not counted, since there were too many kinds of them: {}\r\n", mail.left_out);
  out += fmt::format("Questions: {}\r\n", reporter.from);
  return out;
}

}  // namespace

Result<DmarcMail> make_dmarc_mail(const DuePeriod& period, std::vector<mailauth::DmarcReportRecord> records,
                                  const DmarcReporter& reporter) {
  MERPATI_TRY(auto request, request_from(period.request));
  DmarcMail out;
  out.left_out = period.left_out;
  for (const auto& record : records) out.messages += static_cast<std::int64_t>(record.count);
  // 3.5.1: a domain's periods do not overlap, so their beginnings tell them apart.
  out.report_id = fmt::format("{}-{}@{}", period.begins, period.domain, reporter.domain);
  // 3.5.2
  out.file_name = fmt::format("{}!{}!{}!{}.xml.gz", reporter.domain, period.domain, period.begins, period.ends - 1);
  mailauth::DmarcReport report;
  report.version = "1.0";
  report.org_name = reporter.organization;
  report.email = reporter.from;
  report.extra_contact = reporter.contact;
  report.report_id = out.report_id;
  report.generator = "Merpati";
  report.begin = period.begins;
  report.end = period.ends - 1;
  report.policy = std::move(request.policy);
  report.records = std::move(records);
  MERPATI_TRY(out.attachment, gzip(mailauth::write_dmarc_report(report)));
  return out;
}

std::string compose_dmarc_mail(const DmarcMail& mail, const DuePeriod& period, const DmarcReporter& reporter,
                               const std::string& to, std::int64_t now) {
  const std::string boundary = "report-" + to_hex(sha256(mail.report_id)).substr(0, 32);
  std::string out = "Date: " + time_text(now) + "\r\n";
  out += "From: " + display_name(reporter.organization) + "\r\n <" + reporter.from + ">\r\n";
  out += "To: <" + to + ">\r\n";
  out += "Subject: Report Domain: " + period.domain + "\r\n Submitter: " + reporter.domain + "\r\n Report-ID: <" +
         mail.report_id + ">\r\n";
  out += "Message-ID: <" + mail.report_id + ">\r\n";
  out += "Auto-Submitted: auto-generated\r\n";  // RFC 3834 5: nobody answers it
  out += "MIME-Version: 1.0\r\n";
  out += "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n";
  out += "--" + boundary + "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
  out += annotation(mail, period, reporter) + "\r\n";
  out += "--" + boundary + "\r\nContent-Type: application/gzip;\r\n name=\"" + mail.file_name + "\"\r\n";
  out += "Content-Disposition: attachment;\r\n filename=\"" + mail.file_name + "\"\r\n";
  out += "Content-Transfer-Encoding: base64\r\n\r\n" + mime::encode_base64_lines(mail.attachment);
  if (!out.ends_with("\r\n")) out += "\r\n";
  return out + "--" + boundary + "--\r\n";
}

std::string dmarc_delivery_id(const DuePeriod& period, const DmarcReporter& reporter, const std::string& to) {
  return derived_uuid(
      fmt::format("DMARC report\n{}\n{}\n{}\n{}\n{}", reporter.from, period.id, period.domain, period.begins, to));
}

}  // namespace merpati::filter
