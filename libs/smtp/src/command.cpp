#include "merpati/smtp/command.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "merpati/base/encoding.hpp"

namespace merpati::smtp {
namespace {

struct VerbName {
  Verb verb;
  std::string_view name;
};
constexpr std::array kVerbs = {
    VerbName{Verb::kMail, "MAIL"},         VerbName{Verb::kRcpt, "RCPT"}, VerbName{Verb::kData, "DATA"},
    VerbName{Verb::kBdat, "BDAT"},         VerbName{Verb::kRset, "RSET"}, VerbName{Verb::kNoop, "NOOP"},
    VerbName{Verb::kEhlo, "EHLO"},         VerbName{Verb::kHelo, "HELO"}, VerbName{Verb::kQuit, "QUIT"},
    VerbName{Verb::kStartTls, "STARTTLS"}, VerbName{Verb::kAuth, "AUTH"}, VerbName{Verb::kVrfy, "VRFY"},
    VerbName{Verb::kExpn, "EXPN"},         VerbName{Verb::kHelp, "HELP"}};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return upper(c); });
  return out;
}
bool same(std::string_view a, std::string_view upper_case) {
  return a.size() == upper_case.size() &&
         std::equal(a.begin(), a.end(), upper_case.begin(), [](char x, char y) { return upper(x) == y; });
}

Reply syntax(std::string text) { return {501, "5.5.4", std::move(text)}; }
Reply not_offered(std::string_view name) {
  return {555, "5.5.4", "Parameter not supported: " + std::string(name.substr(0, 40))};
}

std::optional<std::uint64_t> number(std::string_view digits, std::size_t most) {
  std::uint64_t value = 0;
  if (digits.empty() || digits.size() > most) return std::nullopt;
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (bad != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// RFC 1870 6: up to 20 digits, of which we count to 2^64 - 1.
std::optional<std::uint64_t> size_value(std::string_view digits) {
  const bool fits = !digits.empty() && digits.size() <= 20 &&
                    std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!fits) return std::nullopt;
  return number(digits, 20).value_or(std::numeric_limits<std::uint64_t>::max());
}

/// "FROM:" or "TO:", and the path behind it. A space after the colon is common and let through (RFC 5321 3.3 says
/// that it is wrong, and that many send it).
Parsed<std::string_view> after_keyword(std::string_view argument, std::string_view keyword) {
  if (!same(argument.substr(0, keyword.size()), keyword))
    return syntax("Syntax: " + std::string(keyword) + "<address>");
  argument.remove_prefix(keyword.size());
  while (argument.starts_with(' ')) argument.remove_prefix(1);
  return argument;
}

struct Parameter {
  std::string_view name, value;
  bool has_value = false;
};

/// Takes the next "name=value" off `rest`.
Parsed<Parameter> next_parameter(std::string_view& rest) {
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const auto word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  const auto equals = word.find('=');
  Parameter parameter{word.substr(0, equals), {}, equals != word.npos};
  if (parameter.has_value) parameter.value = word.substr(equals + 1);
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (parameter.name.empty() || !std::all_of(parameter.name.begin(), parameter.name.end(), fits) ||
      (parameter.has_value && parameter.value.empty()))
    return syntax("Malformed parameter");
  return parameter;
}

Parsed<BodyType> body_type(std::string_view value, const Offered& offered) {
  if (same(value, "7BIT")) return BodyType::k7Bit;
  if (same(value, "8BITMIME")) return BodyType::k8BitMime;
  if (same(value, "BINARYMIME") && offered.binarymime) return BodyType::kBinaryMime;
  return syntax("Unknown BODY");
}

std::optional<Reply> take_mail_parameter(const Parameter& p, const Offered& offered, MailCommand& out) {
  if (same(p.name, "SIZE")) {
    const auto size = size_value(p.value);
    if (!size) return syntax("Malformed SIZE");
    if (offered.max_size != 0 && *size > offered.max_size) return Reply{552, "5.3.4", "Message too large"};
    out.size = *size;
  } else if (same(p.name, "BODY")) {
    auto type = body_type(p.value, offered);
    if (type.has_error()) return type.error();
    out.body = *type;
  } else if (same(p.name, "SMTPUTF8") && offered.smtputf8) {
    if (p.has_value) return syntax("SMTPUTF8 takes no value");
    out.smtputf8 = true;
  } else if (same(p.name, "AUTH") && offered.auth) {
    auto mailbox = decode_xtext(p.value);
    if (!mailbox) return syntax("Malformed AUTH");
    out.auth = *mailbox == "<>" ? std::string() : *mailbox;
  } else if (same(p.name, "RET") && offered.dsn) {
    if (!same(p.value, "FULL") && !same(p.value, "HDRS")) return syntax("RET is FULL or HDRS");
    out.return_headers_only = same(p.value, "HDRS");
  } else if (same(p.name, "ENVID") && offered.dsn) {
    auto id = decode_xtext(p.value);
    if (!id || p.value.size() > 100) return syntax("Malformed ENVID");
    out.envelope_id = *id;
  } else {
    return not_offered(p.name);
  }
  return std::nullopt;
}

bool is_notify(std::string_view upper_case) {
  if (upper_case == "NEVER") return true;
  for (std::size_t at = 0;;) {
    const auto comma = upper_case.find(',', at);
    const auto word = upper_case.substr(at, comma - at);
    if (word != "SUCCESS" && word != "FAILURE" && word != "DELAY") return false;
    if (comma == upper_case.npos) return true;
    at = comma + 1;
  }
}

std::optional<Reply> take_rcpt_parameter(const Parameter& p, const Offered& offered, RcptCommand& out) {
  if (same(p.name, "NOTIFY") && offered.dsn) {
    out.notify = upper(p.value);
    if (!is_notify(out.notify)) return syntax("Malformed NOTIFY");
  } else if (same(p.name, "ORCPT") && offered.dsn) {
    const auto semicolon = p.value.find(';');
    if (semicolon == p.value.npos || p.value.size() > 500 || !decode_xtext(p.value.substr(semicolon + 1)))
      return syntax("Malformed ORCPT");
    out.original_recipient = p.value;
  } else {
    return not_offered(p.name);
  }
  return std::nullopt;
}

/// Runs `take` over all parameters, each name once (RFC 5321 4.1.1.11).
template <class Out, class Take>
std::optional<Reply> take_all(std::string_view rest, const Offered& offered, Out& out, Take take) {
  if (!rest.empty() && rest.front() != ' ') return syntax("Syntax error behind the address");
  std::string seen = " ";
  for (int count = 0; rest.find_first_not_of(' ') != rest.npos; ++count) {
    auto parameter = next_parameter(rest);
    if (parameter.has_error()) return parameter.error();
    const auto key = " " + upper(parameter->name) + " ";
    if (seen.find(key) != seen.npos || count == 16) return syntax("Parameter given twice");
    seen.append(upper(parameter->name)).append(" ");
    if (auto wrong = take(*parameter, offered, out)) return wrong;
  }
  return std::nullopt;
}

int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/// UTF-8 in a path before we know whether SMTPUTF8 follows is taken and then judged.
Reply needs_smtputf8() { return {553, "5.6.7", "Address needs SMTPUTF8"}; }

}  // namespace

CommandLine split_command(std::string_view line) {
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  const auto space = line.find(' ');
  const auto word = line.substr(0, space);
  auto argument = space == line.npos ? std::string_view() : line.substr(space + 1);
  while (argument.starts_with(' ')) argument.remove_prefix(1);
  for (const auto& [verb, name] : kVerbs)
    if (same(word, name)) return {verb, argument};
  return {Verb::kUnknown, argument};
}

std::string_view to_string(Verb verb) {
  for (const auto& [candidate, name] : kVerbs)
    if (candidate == verb) return name;
  return "unknown";
}

std::string_view to_string(BodyType type) {
  switch (type) {
    case BodyType::k7Bit:
      return "7BIT";
    case BodyType::k8BitMime:
      return "8BITMIME";
    case BodyType::kBinaryMime:
      return "BINARYMIME";
  }
  return "7BIT";
}

Parsed<MailCommand> parse_mail(std::string_view argument, const Offered& offered) {
  auto rest = after_keyword(argument, "FROM:");
  if (rest.has_error()) return rest.error();
  const auto path = parse_path(*rest, Utf8::kYes);
  if (!path) return Reply{501, "5.1.7", "Malformed reverse-path"};
  if (path->address && path->address->domain.empty()) return Reply{501, "5.1.7", "Address without a domain"};
  MailCommand out;
  out.reverse_path = path->address;
  if (auto wrong = take_all(rest->substr(path->length), offered, out, take_mail_parameter)) return *wrong;
  if (out.reverse_path && out.reverse_path->needs_utf8() && !out.smtputf8) return needs_smtputf8();
  return out;
}

Parsed<RcptCommand> parse_rcpt(std::string_view argument, const Offered& offered, Utf8 utf8) {
  auto rest = after_keyword(argument, "TO:");
  if (rest.has_error()) return rest.error();
  const auto path = parse_path(*rest, Utf8::kYes);
  if (!path || !path->address) return Reply{501, "5.1.3", "Malformed recipient address"};
  RcptCommand out{*path->address, {}, {}};
  if (auto wrong = take_all(rest->substr(path->length), offered, out, take_rcpt_parameter)) return *wrong;
  if (out.forward_path.needs_utf8() && utf8 == Utf8::kNo) return needs_smtputf8();
  return out;
}

Parsed<BdatCommand> parse_bdat(std::string_view argument) {
  const auto space = argument.find(' ');
  const auto size = number(argument.substr(0, space), 20);
  if (!size) return syntax("Syntax: BDAT size [LAST]");
  if (space == argument.npos) return BdatCommand{*size, false};
  auto word = argument.substr(space + 1);
  while (word.starts_with(' ')) word.remove_prefix(1);
  if (!same(word, "LAST")) return syntax("Syntax: BDAT size [LAST]");
  return BdatCommand{*size, true};
}

Parsed<AuthCommand> parse_auth(std::string_view argument) {
  const auto space = argument.find(' ');
  AuthCommand out{upper(argument.substr(0, space)), std::nullopt};
  const auto fits = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  // RFC 4422 3.1
  if (out.mechanism.empty() || out.mechanism.size() > 20 ||
      !std::all_of(out.mechanism.begin(), out.mechanism.end(), fits))
    return syntax("Syntax: AUTH mechanism [initial-response]");
  if (space == argument.npos) return out;
  auto initial = argument.substr(space + 1);
  while (initial.starts_with(' ')) initial.remove_prefix(1);
  out.initial_response = initial == "=" ? std::optional<std::string>("") : from_base64(initial);
  if (!out.initial_response) return Reply{501, "5.5.2", "Initial response is not base64"};
  return out;
}

Parsed<std::string> parse_hello(std::string_view argument) {
  const auto name = argument.substr(0, argument.find(' '));
  if (name.empty() || name.size() > 255) return syntax("A name is required");
  for (const char c : name) {
    // RFC 6531 3.7.1: names are A-labels here. The others would end or forge what Received has them in.
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F || c == '(' || c == ')' ||
        c == '<' || c == '>' || c == ';' || c == '"' || c == '\\')
      return syntax("Malformed name");
  }
  return std::string(name);
}

std::optional<std::string> decode_xtext(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c < '!' || c > '~' || c == '=') return std::nullopt;
    if (c != '+') {
      out.push_back(c);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::string encode_xtext(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (c >= '!' && c <= '~' && c != '+' && c != '=') {
      out.push_back(c);
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out.push_back('+');
      out.push_back(kHex[octet >> 4]);
      out.push_back(kHex[octet & 15]);
    }
  }
  return out;
}

}  // namespace merpati::smtp
