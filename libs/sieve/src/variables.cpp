// Variables (RFC 5229) and global ones (RFC 6609 3.4).
#include <algorithm>

#include "machine.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

/// At most `size` octets, cut between characters.
void cut(std::string& text, std::size_t size) {
  if (text.size() <= size) return;
  while (size > 0 && (text[size] & 0xC0) == 0x80) --size;
  text.resize(size);
}

std::string quoted(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// RFC 5435 6: what is not unreserved of URIs becomes %XX.
std::string url_encoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kDigits[static_cast<unsigned char>(c) >> 4], kDigits[static_cast<unsigned char>(c) & 15]};
    }
  }
  return out;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string& Machine::variable(std::uint32_t index) {
  Frame& frame = frames_.back();
  return frame.global[index] ? globals_[frame.program->variables[index]] : frame.variables[index];
}

std::string Machine::expand(const Text& text) {
  if (text.constant()) return text.literal;
  std::string out;
  for (const TextPiece& piece : text.pieces) {
    switch (piece.kind) {
      case TextPiece::Kind::kLiteral:
        out += piece.text;
        break;
      case TextPiece::Kind::kVariable:
        out += variable(piece.index);
        break;
      case TextPiece::Kind::kMatch:
        if (piece.index < match_values_.size()) out += match_values_[piece.index];
        break;
      case TextPiece::Kind::kGlobal:
        if (const auto found = globals_.find(piece.text); found != globals_.end()) out += found->second;
        break;
      case TextPiece::Kind::kEnvironment:
        out += env_.variable(piece.text).value_or("");
        break;
    }
    if (out.size() > options_.limits.max_memory) break;
  }
  Node here;
  here.at = text.at;
  use_memory(here, out.size() / 16);
  return out;
}

std::string_view Machine::view(const Text& text, std::string& space) {
  if (text.constant()) return text.literal;
  space = expand(text);
  return space;
}

std::vector<std::string> Machine::expand(const Value& value) {
  std::vector<std::string> out;
  out.reserve(value.texts.size());
  for (const Text& text : value.texts) out.push_back(expand(text));
  return out;
}

bool Machine::use_memory(const Node& node, std::size_t octets) {
  memory_ += octets;
  if (memory_ <= options_.limits.max_memory) return true;
  fail(node, "the script used more than " + std::to_string(options_.limits.max_memory) + " octets of memory");
  return false;
}

std::string& Machine::target(const Text& name) {
  const TextPiece& piece = name.pieces[0];
  return piece.kind == TextPiece::Kind::kGlobal ? globals_[piece.text] : variable(piece.index);
}

void Machine::assign(const Node& node, const Text& name, std::string value) {
  cut(value, options_.limits.max_variable);
  std::string& place = target(name);
  memory_ -= std::min(memory_, place.size());
  if (!use_memory(node, value.size())) return;
  trace(node, "set ${" + name.pieces[0].text + "} to \"" + value + "\"");
  place = std::move(value);
}

void Machine::modify(const Node& node, std::string& value) const {
  // RFC 5229 4.1: by precedence, largest first
  if (node.has(Tag::kLower)) std::ranges::transform(value, value.begin(), lower);
  if (node.has(Tag::kUpper)) std::ranges::transform(value, value.begin(), upper);
  if (node.has(Tag::kLowerfirst) && !value.empty()) value[0] = lower(value[0]);
  if (node.has(Tag::kUpperfirst) && !value.empty()) value[0] = upper(value[0]);
  if (node.has(Tag::kQuotewildcard)) value = quoted(value, "*?\\");
  if (node.has(Tag::kQuoteregex)) value = quoted(value, "\\^$.[]|()?*+{}");
  if (node.has(Tag::kEncodeurl)) value = url_encoded(value);
  if (node.has(Tag::kLength)) value = std::to_string(characters(value));
}

Machine::Flow Machine::set(const Node& node) {
  std::string value = expand(node.args[1].texts[0]);
  modify(node, value);
  assign(node, node.args[0].texts[0], std::move(value));
  return Flow::kNext;
}

Machine::Flow Machine::global(const Node& node) {
  Frame& frame = frames_.back();
  for (const Text& name : node.args[0].texts) {
    const auto found = std::ranges::find(frame.program->variables, mime::to_lower(name.literal));
    frame.global[static_cast<std::size_t>(found - frame.program->variables.begin())] = true;
  }
  return Flow::kNext;
}

}  // namespace merpati::sieve
