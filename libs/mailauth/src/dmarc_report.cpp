#include "merpati/mailauth/dmarc_report.hpp"

#include <expat.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {

constexpr std::size_t kPiece = 1 << 20;  // octets for one call of expat, which counts in int
constexpr int kDeepest = 32;             // elements within each other: reports have six
constexpr char kBetween = '|';           // between the name of a namespace and that of an element

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// Where the text of an element goes that stands once, by its path below the root.
struct Place {
  std::string_view path;
  std::string DmarcReport::*text;
};
constexpr Place kMetadata[] = {
    {"/version", &DmarcReport::version},
    {"/report_metadata/org_name", &DmarcReport::org_name},
    {"/report_metadata/email", &DmarcReport::email},
    {"/report_metadata/extra_contact_info", &DmarcReport::extra_contact},
    {"/report_metadata/report_id", &DmarcReport::report_id},
    {"/report_metadata/generator", &DmarcReport::generator},
};
struct PolicyPlace {
  std::string_view path;
  std::string DmarcReport::Policy::*text;
};
constexpr PolicyPlace kPolicy[] = {
    {"/policy_published/domain", &DmarcReport::Policy::domain},
    {"/policy_published/discovery_method", &DmarcReport::Policy::discovery_method},
    {"/policy_published/p", &DmarcReport::Policy::p},
    {"/policy_published/sp", &DmarcReport::Policy::sp},
    {"/policy_published/np", &DmarcReport::Policy::np},
    {"/policy_published/adkim", &DmarcReport::Policy::adkim},
    {"/policy_published/aspf", &DmarcReport::Policy::aspf},
    {"/policy_published/fo", &DmarcReport::Policy::fo},
    {"/policy_published/pct", &DmarcReport::Policy::pct},
    {"/policy_published/testing", &DmarcReport::Policy::testing},
};
struct RecordPlace {
  std::string_view path;
  std::string DmarcReportRecord::*text;
};
constexpr RecordPlace kRecord[] = {
    {"/record/row/source_ip", &DmarcReportRecord::source_ip},
    {"/record/row/policy_evaluated/disposition", &DmarcReportRecord::disposition},
    {"/record/row/policy_evaluated/dkim", &DmarcReportRecord::dkim},
    {"/record/row/policy_evaluated/spf", &DmarcReportRecord::spf},
    {"/record/identifiers/header_from", &DmarcReportRecord::header_from},
    {"/record/identifiers/envelope_from", &DmarcReportRecord::envelope_from},
    {"/record/identifiers/envelope_to", &DmarcReportRecord::envelope_to},
};

class Parser {
 public:
  explicit Parser(const DmarcReportLimits& limits)
      : limits_(limits), expat_(XML_ParserCreateNS(nullptr, kBetween), &XML_ParserFree) {
    XML_SetUserData(expat_.get(), this);
    XML_SetElementHandler(expat_.get(), &on_start, &on_end);
    XML_SetCharacterDataHandler(expat_.get(), &on_text);
    XML_SetStartDoctypeDeclHandler(expat_.get(), &on_doctype);
  }

  Result<DmarcReport> parse(std::string_view xml) {
    for (std::size_t at = 0; at == 0 || at < xml.size(); at += kPiece) {
      const auto piece = xml.substr(at, kPiece);
      const int last = at + kPiece >= xml.size();
      const auto status = XML_Parse(expat_.get(), piece.data(), static_cast<int>(piece.size()), last);
      if (status == XML_STATUS_OK) continue;
      return fault_.empty() ? wrong(XML_ErrorString(XML_GetErrorCode(expat_.get()))) : wrong(fault_);
    }
    if (report_.policy.domain.empty()) return wrong("the report names no domain (policy_published)");
    return std::move(report_);
  }

 private:
  static Parser& self(void* data) { return *static_cast<Parser*>(data); }
  static void on_start(void* data, const XML_Char* name, const XML_Char**) { self(data).start(name); }
  static void on_end(void* data, const XML_Char*) { self(data).end(); }
  static void on_text(void* data, const XML_Char* text, int size) {
    self(data).add({text, static_cast<std::size_t>(size)});
  }
  static void on_doctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    self(data).give_up("a report has no document type");
  }

  Error wrong(std::string_view what) const {
    return {ErrorCode::kInvalidArgument,
            "line " + std::to_string(XML_GetCurrentLineNumber(expat_.get())) + " of the report: " + std::string(what)};
  }
  void give_up(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
    XML_StopParser(expat_.get(), XML_FALSE);
  }

  void start(std::string_view full) {
    text_.clear();
    if (skipped_ > 0 || ends_.size() >= kDeepest) {
      if (++skipped_ > 1000) give_up("elements are nested too deeply");
      return;
    }
    const auto bar = full.rfind(kBetween);
    const auto space = bar == full.npos ? std::string_view() : full.substr(0, bar);
    const auto name = bar == full.npos ? full : full.substr(bar + 1);
    if (ends_.empty()) {
      if (name != "feedback") return give_up("this is no DMARC aggregate report: its root is not feedback");
      space_ = space;
    } else if (space != space_) {
      ++skipped_;
      return;
    }
    ends_.push_back(path_.size());
    if (ends_.size() == 1) return;
    path_.append("/").append(name);
    begin_list();
  }

  void begin_list() {
    if (path_ == "/record") {
      if (report_.records.size() >= limits_.records) return give_up("it has too many records");
      report_.records.emplace_back();
    }
    if (report_.records.empty()) return;
    auto& record = report_.records.back();
    if (path_ == "/record/row/policy_evaluated/reason") record.reasons.emplace_back();
    if (path_ == "/record/auth_results/dkim") record.dkim_results.emplace_back();
    if (path_ == "/record/auth_results/spf") record.spf_results.emplace_back();
  }

  void add(std::string_view text) {
    if (skipped_ > 0) return;
    text_.append(text.substr(0, limits_.text - std::min(limits_.text, text_.size())));
  }

  void end() {
    if (skipped_ > 0) {
      --skipped_;
      return;
    }
    if (ends_.empty()) return;  // expat tells the end of an element at whose begin it was stopped
    keep(mime::trim(text_));
    text_.clear();
    path_.resize(ends_.back());
    ends_.pop_back();
  }

  /// The text of the element that ends.
  void keep(std::string_view text) {
    if (text.empty()) {
      if (path_ == "/record/row/count") give_up("a count is empty");
      return;
    }
    for (const auto& place : kMetadata)
      if (place.path == path_) report_.*place.text = text;
    for (const auto& place : kPolicy)
      if (place.path == path_) report_.policy.*place.text = text;
    if (path_ == "/report_metadata/error" && report_.errors.size() < 100) report_.errors.emplace_back(text);
    if (path_ == "/report_metadata/date_range/begin") read_time(text, report_.begin);
    if (path_ == "/report_metadata/date_range/end") read_time(text, report_.end);
    if (path_.starts_with("/record/") && !report_.records.empty()) keep_of_record(text, report_.records.back());
  }

  void read_time(std::string_view text, std::int64_t& out) {
    // Some write "1700000000.0"; years beyond 9999 could not be shown.
    if (!read_number(text.substr(0, text.find('.')), out) || out < 0 || out > 253'402'300'799)
      give_up("a time is no number of seconds");
  }

  void keep_of_record(std::string_view text, DmarcReportRecord& record) {
    for (const auto& place : kRecord)
      if (place.path == path_) record.*place.text = text;
    if (path_ == "/record/row/count" && !read_number(text, record.count)) give_up("a count is no number");
    const auto below = [&](std::string_view list) {
      return path_.size() > list.size() && path_.starts_with(list) ? std::string_view(path_).substr(list.size())
                                                                   : std::string_view();
    };
    if (const auto name = below("/record/row/policy_evaluated/reason/"); !name.empty() && !record.reasons.empty()) {
      auto& reason = record.reasons.back();
      if (name == "type") reason.type = text;
      if (name == "comment") reason.comment = text;
    }
    if (const auto name = below("/record/auth_results/dkim/"); !name.empty() && !record.dkim_results.empty()) {
      auto& dkim = record.dkim_results.back();
      if (name == "domain") dkim.domain = text;
      if (name == "selector") dkim.selector = text;
      if (name == "result") dkim.result = text;
      if (name == "human_result") dkim.human_result = text;
    }
    if (const auto name = below("/record/auth_results/spf/"); !name.empty() && !record.spf_results.empty()) {
      auto& spf = record.spf_results.back();
      if (name == "domain") spf.domain = text;
      if (name == "scope") spf.scope = text;
      if (name == "result") spf.result = text;
      if (name == "human_result") spf.human_result = text;
    }
  }

  const DmarcReportLimits limits_;
  std::unique_ptr<XML_ParserStruct, void (*)(XML_Parser)> expat_;
  std::string fault_;
  std::string space_;              ///< the namespace of the root
  std::string path_;               ///< below the root: "/record/row"
  std::vector<std::size_t> ends_;  ///< for each open element the length of the path outside of it
  int skipped_ = 0;                ///< open elements that are not looked at
  std::string text_;
  DmarcReport report_;
};

}  // namespace

Result<DmarcReport> parse_dmarc_report(std::string_view xml, const DmarcReportLimits& limits) {
  return Parser(limits).parse(xml);
}

}  // namespace merpati::mailauth
