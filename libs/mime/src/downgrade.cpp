#include "merpati/mime/downgrade.hpp"

#include <algorithm>
#include <array>

#include "merpati/mime/address.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/content_type.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {

constexpr std::array<std::string_view, 12> kAddressFields = {
    "From",        "Sender",        "Reply-To",  "To",        "Cc",         "Bcc",
    "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Bcc", "Resent-Reply-To"};
constexpr std::array<std::string_view, 5> kTraceFields = {"Received", "Return-Path", "Message-ID", "In-Reply-To",
                                                          "References"};
// RFC 6858 3.1: it cannot be replied to, and does not look as if it could.
constexpr std::string_view kNoAddress = "invalid@internationalized-address.invalid";

template <class Names>
bool is_one_of(std::string_view name, const Names& names) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view n) { return iequals(n, name); });
}

std::string phrase(std::string_view name) {
  const std::string text = decode_encoded_words(name);
  return is_ascii(text) ? quoted_string(text) : encode_encoded_words(text);
}

std::string addresses(std::string_view value) {
  std::string out;
  bool first = true;
  for (const Address& a : parse_addresses(value)) {
    if (a.kind == Address::Kind::kGroupEnd) {
      out += ';';
      first = false;
      continue;
    }
    if (!first) out += ",\r\n ";
    if (a.kind == Address::Kind::kGroupStart) {
      out += phrase(a.name) + ": ";
      first = true;
      continue;
    }
    first = false;
    const std::string spec = to_addr_spec(a);
    const bool writable = is_ascii(spec);
    const std::string& name = a.name.empty() && !writable ? spec : a.name;
    if (name.empty()) {
      out += spec;
    } else {
      out += phrase(name) + " <" + (writable ? spec : std::string(kNoAddress)) + ">";
    }
  }
  return out;
}

std::string parameters(const Parameters& given) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const Parameter& p : given) {
    out += ";\r\n " + p.name + "=";
    if (p.name.ends_with('*')) {
      out += p.value;  // in RFC 2231's form already
    } else if (is_ascii(p.value)) {
      out += quoted_string(p.value);
    } else {
      out.insert(out.size() - 1, 1, '*');
      out += "utf-8''";
      for (const char c : p.value) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '.' ||
            byte == '-' || byte == '_')
          out += c;
        else
          (((out += '%') += kHex[byte >> 4]) += kHex[byte & 15]);
      }
    }
  }
  return out;
}

std::string downgraded_value(std::string_view name, std::string_view value) {
  if (is_one_of(name, kAddressFields)) return addresses(value);
  if (iequals(name, "Content-Type")) {
    if (auto type = parse_content_type(value); type && is_ascii(type->type) && is_ascii(type->subtype))
      return type->type + "/" + type->subtype + parameters(type->parameters);
  } else if (iequals(name, "Content-Disposition")) {
    if (auto disposition = parse_disposition(value); disposition && is_ascii(disposition->type))
      return disposition->type + parameters(disposition->parameters);
  }
  return encode_encoded_words(decode_encoded_words(unfold(value)));
}

}  // namespace

std::string downgrade_header(std::string_view block) {
  if (is_ascii(block)) return std::string(block);
  std::string out;
  std::size_t end = 0;
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    end = static_cast<std::size_t>(field.raw.data() - block.data()) + field.raw.size();
    if (is_ascii(field.raw) || !is_valid_utf8(field.raw)) {
      out += field.raw;
    } else if (!field.name.empty() && is_ascii(field.name) && !is_one_of(field.name, kTraceFields)) {
      out.append(field.name).append(": ").append(downgraded_value(field.name, field.value)).append("\r\n");
    }
  }
  return out.append(block.substr(end));
}

}  // namespace merpati::mime
