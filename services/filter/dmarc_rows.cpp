#include "filter/dmarc_rows.hpp"

#include <nlohmann/json.hpp>

namespace merpati::filter {
namespace {

using Json = nlohmann::json;
using mailauth::DmarcReportRecord;
using Policy = mailauth::DmarcReport::Policy;

void put(Json& json, const char* key, const std::string& text) {
  if (!text.empty()) json[key] = text;
}

std::string written(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// `read` throws what nlohmann throws.
template <class T, class Read>
Result<T> parsed(std::string_view text, Read read) {
  try {
    return read(Json::parse(text));
  } catch (const Json::exception& error) {
    return Error(ErrorCode::kInternal, std::string("what was kept for a DMARC report cannot be read: ") + error.what());
  }
}

}  // namespace

std::string to_text(const DmarcRequest& request) {
  const Policy& policy = request.policy;
  Json out{{"domain", policy.domain}, {"rua", request.destinations}};
  put(out, "p", policy.p);
  put(out, "sp", policy.sp);
  put(out, "np", policy.np);
  put(out, "adkim", policy.adkim);
  put(out, "aspf", policy.aspf);
  put(out, "fo", policy.fo);
  put(out, "testing", policy.testing);
  return written(out);
}

std::string to_text(const DmarcReportRecord& record) {
  Json out{{"ip", record.source_ip}, {"disposition", record.disposition}, {"dkim", record.dkim}, {"spf", record.spf}};
  put(out, "from", record.header_from);
  put(out, "envelope_from", record.envelope_from);
  for (const auto& reason : record.reasons) out["reasons"].push_back({reason.type, reason.comment});
  for (const auto& dkim : record.dkim_results) out["dkim_results"].push_back({dkim.domain, dkim.selector, dkim.result});
  for (const auto& spf : record.spf_results) out["spf_results"].push_back({spf.domain, spf.result});
  return written(out);
}

Result<DmarcRequest> request_from(std::string_view text) {
  return parsed<DmarcRequest>(text, [](const Json& json) {
    DmarcRequest out;
    out.policy.domain = json.at("domain").get<std::string>();
    out.policy.discovery_method = "treewalk";
    out.policy.p = json.value("p", "");
    out.policy.sp = json.value("sp", "");
    out.policy.np = json.value("np", "");
    out.policy.adkim = json.value("adkim", "");
    out.policy.aspf = json.value("aspf", "");
    out.policy.fo = json.value("fo", "");
    out.policy.testing = json.value("testing", "");
    out.destinations = json.at("rua").get<std::vector<std::string>>();
    return out;
  });
}

Result<DmarcReportRecord> record_from(std::string_view text) {
  return parsed<DmarcReportRecord>(text, [](const Json& json) {
    DmarcReportRecord out;
    out.source_ip = json.at("ip").get<std::string>();
    out.disposition = json.at("disposition").get<std::string>();
    out.dkim = json.at("dkim").get<std::string>();
    out.spf = json.at("spf").get<std::string>();
    out.header_from = json.value("from", "");
    out.envelope_from = json.value("envelope_from", "");
    for (const auto& one : json.value("reasons", Json::array()))
      out.reasons.push_back({one.at(0).get<std::string>(), one.at(1).get<std::string>()});
    for (const auto& one : json.value("dkim_results", Json::array()))
      out.dkim_results.push_back(
          {one.at(0).get<std::string>(), one.at(1).get<std::string>(), one.at(2).get<std::string>(), {}});
    // RFC 9990 3.1.1.13: no other scope is valid.
    for (const auto& one : json.value("spf_results", Json::array()))
      out.spf_results.push_back({one.at(0).get<std::string>(), "mfrom", one.at(1).get<std::string>(), {}});
    return out;
  });
}

}  // namespace merpati::filter
