#include "filter/authentication_results.hpp"

#include <algorithm>

#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {
// RFC 8601 2.2: a value is a token or a quoted string.
bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 32 && byte != 127 && std::string_view("()<>,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

std::string pvalue(std::string_view value) {
  if (!value.empty() && std::all_of(value.begin(), value.end(), is_plain)) return std::string(value);
  std::string out = "\"";
  for (char c : value) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) continue;
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
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

std::string authentication_results(std::string_view authserv_id, const AuthenticationFacts& facts) {
  std::string out = pvalue(authserv_id);
  if (facts.authenticated_address.empty()) return out + "; none";
  return out + ";\r\n auth=pass smtp.auth=" + pvalue(facts.authenticated_address);
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

}  // namespace merpati::filter
