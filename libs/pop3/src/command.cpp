#include "merpati/pop3/command.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "merpati/base/encoding.hpp"

namespace merpati::pop3 {
namespace {

struct Keyword {
  std::string_view name;
  Verb verb;
};
constexpr std::array<Keyword, 15> kKeywords{{{"USER", Verb::kUser},
                                             {"PASS", Verb::kPass},
                                             {"AUTH", Verb::kAuth},
                                             {"STLS", Verb::kStls},
                                             {"UTF8", Verb::kUtf8},
                                             {"CAPA", Verb::kCapa},
                                             {"QUIT", Verb::kQuit},
                                             {"STAT", Verb::kStat},
                                             {"LIST", Verb::kList},
                                             {"RETR", Verb::kRetr},
                                             {"DELE", Verb::kDele},
                                             {"NOOP", Verb::kNoop},
                                             {"RSET", Verb::kRset},
                                             {"TOP", Verb::kTop},
                                             {"UIDL", Verb::kUidl}}};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool equals_keyword(std::string_view word, std::string_view keyword) {
  return std::ranges::equal(word, keyword, {}, upper);
}

Error syntax(std::string text) { return Error(ErrorCode::kInvalidArgument, text).with_public(text); }

/// RFC 3629: shortest form, no surrogates, up to U+10FFFF.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    const auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second > 0x8F))
      return false;
    i += length;
  }
  return true;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool has_8bit(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

/// Takes the word up to the next space and the space. Clients that write two spaces are served all the same.
std::string_view take_word(std::string_view& rest) {
  const auto end = std::min(rest.find(' '), rest.size());
  const auto word = rest.substr(0, end);
  rest.remove_prefix(end);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return word;
}

Result<std::uint32_t> parse_number(std::string_view word, std::string_view what) {
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || failure != std::errc() || end != word.data() + word.size())
    return syntax("the " + std::string(what) + " is not a number");
  return value;
}

Result<void> no_more(std::string_view rest) {
  if (!rest.empty()) return syntax("too many arguments");
  return {};
}

Result<void> parse_message(Command& command, std::string_view& rest) {
  MERPATI_TRY(command.message, parse_number(take_word(rest), "message number"));
  if (*command.message == 0) return syntax("message numbers start at 1");  // RFC 1939 5
  return {};
}

Result<void> parse_auth(Command& command, std::string_view rest) {
  const auto mechanism = take_word(rest);
  if (mechanism.size() > 20) return syntax("no such mechanism");  // RFC 4422 3.1: 1 to 20 characters
  std::ranges::transform(mechanism, std::back_inserter(command.text), upper);
  if (rest.empty()) return {};
  const auto response = take_word(rest);
  MERPATI_CHECK(no_more(rest));
  if (response == "=") {  // RFC 5034 4
    command.initial_response.emplace();
    return {};
  }
  command.initial_response = from_base64(response);
  if (!command.initial_response) return syntax("the initial response is not base64");
  return {};
}

Result<void> parse_arguments(Command& command, std::string_view rest) {
  switch (command.verb) {
    case Verb::kUser:
      while (rest.ends_with(' ')) rest.remove_suffix(1);
      if (rest.empty()) return syntax("USER needs a name");
      command.text = rest;
      return {};
    case Verb::kAuth:
      return parse_auth(command, rest);
    case Verb::kRetr:
    case Verb::kDele:
      MERPATI_CHECK(parse_message(command, rest));
      return no_more(rest);
    case Verb::kList:
    case Verb::kUidl:
      if (rest.empty()) return {};
      MERPATI_CHECK(parse_message(command, rest));
      return no_more(rest);
    case Verb::kTop: {
      MERPATI_CHECK(parse_message(command, rest));
      MERPATI_TRY(command.lines, parse_number(take_word(rest), "number of lines"));
      return no_more(rest);
    }
    default:
      return no_more(rest);
  }
}

}  // namespace

std::string_view to_string(Verb verb) { return std::ranges::find(kKeywords, verb, &Keyword::verb)->name; }

Result<Command> parse_command(std::string_view line) {
  std::string_view rest = line;
  const auto word = rest.substr(0, rest.find(' '));
  const auto known = std::ranges::find_if(kKeywords, [&](const Keyword& k) { return equals_keyword(word, k.name); });
  if (known == kKeywords.end())
    return Error(ErrorCode::kUnimplemented, "unknown command").with_public("unknown command");
  Command command{.verb = known->verb};
  if (known->verb != Verb::kAuth && line.size() + 2 > kMaxCommandLine) return syntax("the line is too long");
  if (has_control(line)) return syntax("control characters are not allowed");
  if (has_8bit(line)) {
    // RFC 6856 2.2: names and passwords may be UTF-8, nothing else.
    if (known->verb != Verb::kUser && known->verb != Verb::kPass)
      return syntax("only names and passwords may be UTF-8");
    if (!is_utf8(line)) return syntax("not valid UTF-8");
  }
  if (known->verb == Verb::kPass) {
    // RFC 1939 7: PASS has exactly one argument, so spaces are part of the password.
    if (line.size() <= 5) return syntax("PASS needs a password");
    command.text = line.substr(5);
    return command;
  }
  take_word(rest);
  MERPATI_CHECK(parse_arguments(command, rest));
  return command;
}

Result<std::string> parse_auth_line(std::string_view line) {
  if (line == "*") return Error(ErrorCode::kCancelled, "the client gave up").with_public("authentication cancelled");
  auto decoded = from_base64(line);
  if (!decoded) return syntax("not base64");
  return *std::move(decoded);
}

}  // namespace merpati::pop3
