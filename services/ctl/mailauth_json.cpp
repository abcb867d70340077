#include "ctl/mailauth_json.hpp"

namespace merpati::ctl {
namespace {
Json steps_of(const mailauth::Steps& steps) {
  Json out = Json::array();
  for (const auto& step : steps) out.push_back({{"what", step.what}, {"result", step.result}});
  return out;
}
void put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
}  // namespace

Json to_json(const mailauth::SpfOutcome& outcome) {
  Json out;
  out["result"] = to_string(outcome.result);
  out["identity"] = outcome.identity == mailauth::SpfIdentity::kHelo ? "helo" : "mailfrom";
  put(out, "domain", outcome.domain);
  put(out, "mechanism", outcome.mechanism);
  put(out, "explanation", outcome.explanation);
  put(out, "problem", outcome.problem);
  out["lookups"] = outcome.lookups;
  out["void_lookups"] = outcome.void_lookups;
  out["steps"] = steps_of(outcome.steps);
  return out;
}

Json to_json(const mailauth::DkimOutcome& outcome) {
  Json out;
  out["result"] = to_string(outcome.best());
  out["signatures"] = Json::array();
  for (const auto& signature : outcome.signatures) {
    Json one;
    one["result"] = to_string(signature.result);
    put(one, "problem", signature.problem);
    put(one, "domain", signature.domain);
    put(one, "selector", signature.selector);
    put(one, "identity", signature.identity);
    put(one, "algorithm", signature.algorithm);
    put(one, "signature", signature.signature);
    if (signature.key_bits > 0) one["key_bits"] = signature.key_bits;
    if (signature.testing) one["testing"] = true;
    if (signature.partial) one["partial"] = true;
    one["steps"] = steps_of(signature.steps);
    out["signatures"].push_back(std::move(one));
  }
  out["ignored"] = outcome.ignored;
  return out;
}

Json to_json(const mailauth::DmarcOutcome& outcome) {
  Json out;
  out["result"] = to_string(outcome.result);
  out["policy"] = to_string(outcome.policy);
  out["authors"] = Json::array();
  for (const auto& evaluation : outcome.evaluations) {
    Json one;
    one["domain"] = evaluation.author_domain;
    one["result"] = to_string(evaluation.result);
    put(one, "problem", evaluation.problem);
    put(one, "aligned_by", evaluation.aligned_by);
    put(one, "record_domain", evaluation.record_domain);
    put(one, "organizational_domain", evaluation.organizational_domain);
    if (evaluation.record) {
      one["published"] = to_string(evaluation.published);
      one["policy"] = to_string(evaluation.policy);
      one["testing"] = evaluation.record->testing;
      one["aggregate_reports"] = evaluation.record->aggregate_reports;
    }
    out["authors"].push_back(std::move(one));
  }
  out["steps"] = steps_of(outcome.steps);
  return out;
}

Json to_json(const mailauth::ArcOutcome& outcome) {
  Json out;
  out["result"] = to_string(outcome.result);
  put(out, "problem", outcome.problem);
  out["sealable"] = outcome.sealable;
  out["sets"] = Json::array();
  for (const auto& set : outcome.sets) {
    Json one;
    one["instance"] = set.instance;
    put(one, "domain", set.domain);
    put(one, "selector", set.selector);
    put(one, "cv", set.cv);
    put(one, "results", set.results);
    put(one, "problem", set.problem);
    out["sets"].push_back(std::move(one));
  }
  out["steps"] = steps_of(outcome.steps);
  return out;
}

Json to_json(const mailauth::IprevOutcome& outcome) {
  Json out;
  out["result"] = to_string(outcome.result);
  put(out, "name", outcome.name);
  out["steps"] = steps_of(outcome.steps);
  return out;
}

Json to_json(const mailauth::Authentication& found) {
  Json json = to_json(*found.dmarc);
  if (found.iprev) json["iprev"] = to_json(*found.iprev);
  if (found.spf) json["spf"] = to_json(*found.spf);
  if (found.spf_helo) json["spf_helo"] = to_json(*found.spf_helo);
  json["dkim"] = to_json(*found.dkim);
  json["arc"] = to_json(*found.arc);
  return json;
}

}  // namespace merpati::ctl
