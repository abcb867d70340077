#include "merpati/mime/message_id.hpp"

#include <unordered_set>

#include "merpati/mime/address.hpp"

namespace merpati::mime {
namespace {
// From '<' to '>'. An unterminated one is cut at white space followed by '<', or the end.
std::string read_id(std::string_view text, std::size_t& at) {
  std::string out = "<";
  for (++at; at < text.size() && text[at] != '>';) {
    const char c = text[at];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"' && text[at] != '>'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        if (static_cast<unsigned char>(text[at]) > 32) out.push_back(text[at]);
      }
      if (at < text.size() && text[at] == '"') ++at;
    } else if (c == '<') {
      return {};
    } else {
      if (static_cast<unsigned char>(c) > 32) out.push_back(c);
      ++at;
    }
  }
  if (at < text.size()) ++at;
  if (out.size() == 1) return {};
  out.push_back('>');
  return out;
}
}  // namespace

std::vector<std::string> parse_message_ids(std::string_view value, std::size_t max) {
  std::vector<std::string> out;
  std::unordered_set<std::string> seen;
  std::size_t at = 0;
  while (at < value.size() && out.size() < max) {
    skip_cfws(value, at);
    if (at >= value.size()) break;
    if (value[at] != '<') {
      ++at;
      continue;
    }
    std::string id = read_id(value, at);
    if (!id.empty() && seen.insert(id).second) out.push_back(std::move(id));
  }
  return out;
}

}  // namespace merpati::mime
