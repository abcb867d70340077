#include <cstdint>

#include "merpati/mailauth/dmarc_report.hpp"
#include "merpati/mime/charset.hpp"

namespace merpati::mailauth {
namespace {

/// XML 1.0 2.2 and 2.4: what may stand in an element.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : mime::to_utf8("", text)) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

class Writer {
 public:
  std::string run(const DmarcReport& report) {
    out_ =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n";
    ++depth_;
    put("version", report.version);
    metadata(report);
    policy(report.policy);
    for (const auto& each : report.records) record(each);
    close("feedback");
    return std::move(out_);
  }

 private:
  void indent() { out_.append(2 * depth_, ' '); }
  void open(std::string_view name) {
    indent();
    out_.append("<").append(name).append(">\n");
    ++depth_;
  }
  void close(std::string_view name) {
    --depth_;
    indent();
    out_.append("</").append(name).append(">\n");
  }
  void put(std::string_view name, std::string_view text) {
    indent();
    out_.append("<").append(name).append(">").append(escaped(text)).append("</").append(name).append(">\n");
  }
  void put(std::string_view name, std::int64_t number) { put(name, std::to_string(number)); }
  void put_some(std::string_view name, std::string_view text) {
    if (!text.empty()) put(name, text);
  }

  void metadata(const DmarcReport& report) {
    open("report_metadata");
    put("org_name", report.org_name);
    put("email", report.email);
    put_some("extra_contact_info", report.extra_contact);
    put("report_id", report.report_id);
    open("date_range");
    put("begin", report.begin);
    put("end", report.end);
    close("date_range");
    if (!report.errors.empty()) put("error", report.errors.front());
    put_some("generator", report.generator);
    close("report_metadata");
  }

  void policy(const DmarcReport::Policy& policy) {
    open("policy_published");
    put("domain", policy.domain);
    put_some("discovery_method", policy.discovery_method);
    put("p", policy.p);
    put_some("sp", policy.sp);
    put_some("np", policy.np);
    put_some("fo", policy.fo);
    put_some("adkim", policy.adkim);
    put_some("aspf", policy.aspf);
    put_some("testing", policy.testing);
    close("policy_published");
  }

  void record(const DmarcReportRecord& record) {
    open("record");
    open("row");
    put("source_ip", record.source_ip);
    put("count", std::to_string(record.count));
    open("policy_evaluated");
    put("disposition", record.disposition);
    put("dkim", record.dkim);
    put("spf", record.spf);
    for (const auto& reason : record.reasons) {
      open("reason");
      put("type", reason.type);
      put_some("comment", reason.comment);
      close("reason");
    }
    close("policy_evaluated");
    close("row");
    open("identifiers");
    put("header_from", record.header_from);
    put_some("envelope_from", record.envelope_from);
    put_some("envelope_to", record.envelope_to);
    close("identifiers");
    results(record);
    close("record");
  }

  void results(const DmarcReportRecord& record) {
    open("auth_results");
    for (const auto& dkim : record.dkim_results) {
      open("dkim");
      put("domain", dkim.domain);
      put("selector", dkim.selector);
      put("result", dkim.result);
      put_some("human_result", dkim.human_result);
      close("dkim");
    }
    for (const auto& spf : record.spf_results) {
      open("spf");
      put("domain", spf.domain);
      put_some("scope", spf.scope);
      put("result", spf.result);
      put_some("human_result", spf.human_result);
      close("spf");
    }
    close("auth_results");
  }

  std::string out_;
  std::size_t depth_ = 0;
};

}  // namespace

std::string write_dmarc_report(const DmarcReport& report) { return Writer().run(report); }

}  // namespace merpati::mailauth
