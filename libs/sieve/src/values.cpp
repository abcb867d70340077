#include "values.hpp"

#include <algorithm>

#include "merpati/mime/address.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::sieve {

bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 &&
         std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7F && c != ':'; });
}

bool is_field_value(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\r' || c == '\n') {
      if (c == '\r' && i + 1 < value.size() && value[i + 1] == '\n') ++i;
      if (i + 1 >= value.size() || (value[i + 1] != ' ' && value[i + 1] != '\t')) return false;
    } else if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) {
      return false;
    }
  }
  return true;
}

bool is_script_name(std::string_view name) {
  if (name.empty() || name.size() > 512 || name == "." || name == "..") return false;
  return mime::is_valid_utf8(name) && std::ranges::all_of(name, [](char c) {
           return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '/';
         });
}

std::string addr_spec_of(std::string_view text) {
  if (text.empty() || text.size() > 998) return {};
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) return {};
  const auto addresses = mime::parse_addresses(text);
  if (addresses.size() != 1 || addresses[0].kind != mime::Address::Kind::kMailbox) return {};
  const mime::Address& address = addresses[0];
  if (address.mailbox.empty() || address.host.empty() || !address.route.empty()) return {};
  if (std::ranges::any_of(address.host, [](char c) { return c == ' ' || c == '@' || c == '<' || c == '>'; })) return {};
  return mime::to_addr_spec(address);
}

bool is_mail_address(std::string_view text) { return !addr_spec_of(text).empty(); }

bool is_dsn_notify(std::string_view text) {
  const std::string lower = mime::to_lower(text);
  if (lower == "never") return true;
  for (std::size_t at = 0; at <= lower.size();) {
    const std::size_t end = std::min(lower.find(',', at), lower.size());
    const std::string word = lower.substr(at, end - at);
    if (word != "success" && word != "failure" && word != "delay") return false;
    at = end + 1;
  }
  return true;
}

bool is_envelope_part(std::string_view name, bool dsn) {
  const std::string lower = mime::to_lower(name);
  if (lower == "from" || lower == "to" || lower == "auth") return true;
  // RFC 6009 2
  return dsn && (lower == "notify" || lower == "orcpt" || lower == "ret" || lower == "envid");
}

namespace {

std::optional<std::string> percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

bool add_recipients(std::string_view list, Mailto& out) {
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const auto address = percent_decoded(list.substr(at, end - at));
    const std::string spec = address ? addr_spec_of(*address) : std::string();
    if (spec.empty()) return false;
    out.recipients.push_back(spec);
    at = end + 1;
  }
  return true;
}

}  // namespace

std::optional<Mailto> parse_mailto(std::string_view uri) {
  if (!mime::iequals(uri.substr(0, 7), "mailto:")) return std::nullopt;
  uri.remove_prefix(7);
  const std::size_t question = std::min(uri.find('?'), uri.size());
  Mailto out;
  if (!add_recipients(uri.substr(0, question), out)) return std::nullopt;
  for (std::size_t at = question + 1; at < uri.size();) {
    const std::size_t end = std::min(uri.find('&', at), uri.size());
    const std::string_view field = uri.substr(at, end - at);
    at = end + 1;
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto name = percent_decoded(field.substr(0, equals)), value = percent_decoded(field.substr(equals + 1));
    if (!name || !value || !is_field_name(*name)) return std::nullopt;
    const std::string lower = mime::to_lower(*name);
    if (lower == "to" || lower == "cc" || lower == "bcc") {
      if (!add_recipients(field.substr(equals + 1), out)) return std::nullopt;
    } else if (lower == "body" || is_field_value(*value)) {
      out.headers.emplace_back(*name, *value);
    } else {
      return std::nullopt;
    }
  }
  if (out.recipients.empty()) return std::nullopt;
  return out;
}

}  // namespace merpati::sieve
