#include "merpati/mailauth/authentication_results.hpp"

#include <algorithm>

#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
// RFC 8601 2.2: a value is a token or a quoted string.
bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 32 && byte != 127 && std::string_view("()<>,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

// A stranger's words within quotes: no controls (they would end the line), no more than a line's worth.
std::string quotable(std::string_view value, std::size_t most = 400) {
  std::string out;
  for (const char c : value.substr(0, most)) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) continue;
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::string pvalue(std::string_view value) {
  // RFC 8601 2.2: addresses stand as they are when both halves are plain.
  if (!value.empty() && value.size() <= 400 && std::all_of(value.begin(), value.end(), is_plain))
    return std::string(value);
  return "\"" + quotable(value) + "\"";
}

// DNS records hold any octets, and a reason may quote them.
std::string in_ascii(std::string_view reason) {
  std::string out(reason);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) > 126; }, '?');
  return out;
}

std::string authserv_id_of(std::string_view value) {
  std::size_t at = 0;
  mime::skip_cfws(value, at);
  std::string id;
  if (at < value.size() && value[at] == '"') {
    for (++at; at < value.size() && value[at] != '"'; ++at) {
      if (value[at] == '\\' && at + 1 < value.size()) ++at;
      if (value[at] != '\r' && value[at] != '\n') id.push_back(value[at]);
    }
    return id;
  }
  while (at < value.size() && value[at] != ';' && value[at] != '(' && static_cast<unsigned char>(value[at]) > 32) {
    id.push_back(value[at++]);
  }
  return id;
}
}  // namespace

MethodResult method_result(const SpfOutcome& outcome, const SpfQuery& query) {
  MethodResult out{"spf", std::string(to_string(outcome.result)), {}, outcome.problem};
  if (outcome.identity == SpfIdentity::kHelo)
    out.properties.emplace_back("smtp.helo", query.helo);
  else
    out.properties.emplace_back("smtp.mailfrom", query.mail_from);
  return out;
}

std::vector<MethodResult> method_results(const DkimOutcome& outcome) {
  std::vector<MethodResult> out;
  for (const auto& signature : outcome.signatures) {
    MethodResult one{"dkim", std::string(to_string(signature.result)), {}, signature.problem};
    if (!signature.domain.empty()) {
      one.properties.emplace_back("header.d", signature.domain);
      one.properties.emplace_back("header.s", signature.selector);
      one.properties.emplace_back("header.a", signature.algorithm);
      one.properties.emplace_back("header.b", signature.signature);  // RFC 6008
    }
    out.push_back(std::move(one));
  }
  if (out.empty()) out.push_back({"dkim", "none", {}, {}});
  return out;
}

MethodResult method_result(const DmarcOutcome& outcome) {
  MethodResult out{"dmarc", std::string(to_string(outcome.result)), {}, {}};
  for (const auto& evaluation : outcome.evaluations) {
    if (evaluation.result != outcome.result) continue;  // the one that decided
    out.properties.emplace_back("header.from", evaluation.author_domain);
    if (evaluation.record) out.properties.emplace_back("policy.dmarc", to_string(evaluation.policy));
    out.reason = evaluation.problem;
    break;
  }
  return out;
}

MethodResult method_result(const ArcOutcome& outcome) {
  MethodResult out{"arc", std::string(to_string(outcome.result)), {}, outcome.problem};
  if (!outcome.sets.empty() && !outcome.sets.back().domain.empty()) {
    out.properties.emplace_back("header.d", outcome.sets.back().domain);
  }
  return out;
}

MethodResult method_result(const IprevOutcome& outcome, const dns::IpAddress& client) {
  return {"iprev", std::string(to_string(outcome.result)), {{"policy.iprev", client.to_string()}}, {}};
}

std::string write_methods(std::span<const MethodResult> results) {
  if (results.empty()) return "none";
  std::string out;
  for (const auto& one : results) {
    if (!out.empty()) out += ";\r\n ";
    out += one.method + "=" + one.result;
    if (!one.reason.empty()) out += " reason=\"" + quotable(in_ascii(one.reason), 150) + "\"";
    for (const auto& [property, value] : one.properties) {
      out += (value.size() > 30 ? "\r\n  " : " ") + property + "=" + pvalue(value);
    }
  }
  return out;
}

std::string write_authentication_results(std::string_view authserv_id, std::span<const MethodResult> results) {
  return pvalue(authserv_id) + (results.empty() ? "; " : ";\r\n ") + write_methods(results);
}

std::vector<std::pair<std::string, std::string>> read_methods(std::string_view value) {
  std::vector<std::pair<std::string, std::string>> out;
  std::size_t at = 0;
  const auto word = [&] {
    mime::skip_cfws(value, at);
    const auto begin = at;
    while (at < value.size() && is_plain(value[at])) ++at;
    return mime::to_lower(value.substr(begin, at - begin));
  };
  const auto take = [&](char wanted) {
    mime::skip_cfws(value, at);
    if (at == value.size() || value[at] != wanted) return false;
    ++at;
    return true;
  };
  // What stands between semicolons, quoted strings and comments as a whole.
  const auto skip_to_semicolon = [&] {
    for (;;) {
      mime::skip_cfws(value, at);
      if (at == value.size() || value[at] == ';') return;
      if (value[at++] != '"') continue;
      while (at < value.size() && value[at] != '"') at += value[at] == '\\' ? 2 : 1;
      at = std::min(at + 1, value.size());
    }
  };
  skip_to_semicolon();
  while (take(';')) {
    std::string method = word();
    if (take('/')) word();
    if (!method.empty() && take('=')) {
      std::string result = word();
      if (!result.empty()) out.emplace_back(std::move(method), std::move(result));
    }
    skip_to_semicolon();
  }
  return out;
}

std::vector<std::size_t> forged_results(std::string_view header_block, std::span<const std::string> own_names) {
  std::vector<std::size_t> out;
  std::size_t index = 0;
  mime::FieldReader reader(header_block);
  for (mime::Field field; reader.next(field);) {
    if (!mime::iequals(field.name, "Authentication-Results")) continue;
    ++index;
    const std::string id = authserv_id_of(field.value);
    const bool own = std::any_of(own_names.begin(), own_names.end(),
                                 [&](const std::string& name) { return mime::iequals(name, id); });
    if (own) out.push_back(index);
  }
  return out;
}

}  // namespace merpati::mailauth
