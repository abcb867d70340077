#include "merpati/smtp/client.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace merpati::smtp {
namespace {

constexpr std::size_t kMostLines = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Length of "2.1.0" at the start of `text`; 0: none. RFC 3463 2: class 2, 4 or 5, then numbers of up to three digits.
std::size_t enhanced_length(std::string_view text) {
  if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return 0;
  std::size_t at = 2;
  for (int part = 0; part < 2; ++part) {
    const auto start = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == start || at - start > 3) return 0;
    if (part == 0 && (at >= text.size() || text[at++] != '.')) return 0;
  }
  return at == text.size() || text[at] == ' ' ? at : 0;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space != 0) out.push_back(upper(text.substr(0, space)));
    if (space == text.npos) break;
    text.remove_prefix(space + 1);
  }
  return out;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::string ServerReply::str() const {
  std::string out = std::to_string(code);
  if (!enhanced.empty()) out.append(" ").append(enhanced);
  for (const auto& line : lines) out.append(" ").append(line);
  return out;
}

ReplyParser::State ReplyParser::feed(std::string_view line) {
  if (line.size() < 3 || !std::all_of(line.begin(), line.begin() + 3, is_digit) || line[0] < '2' || line[0] > '5')
    return State::kMalformed;
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return State::kMalformed;
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if ((reply_.code != 0 && reply_.code != code) || reply_.lines.size() >= kMostLines) return State::kMalformed;
  reply_.code = code;
  auto text = line.substr(std::min<std::size_t>(4, line.size()));
  // RFC 2034 3: the classes agree, else it is text that happens to look like a code.
  if (const auto length = enhanced_length(text); length > 0 && text[0] == line[0]) {
    reply_.enhanced = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  reply_.lines.emplace_back(text);
  return line.size() > 3 && line[3] == '-' ? State::kMore : State::kDone;
}

ServerReply ReplyParser::take() { return std::exchange(reply_, {}); }

ServerExtensions parse_extensions(const ServerReply& ehlo) {
  ServerExtensions out;
  for (std::size_t i = 1; i < ehlo.lines.size(); ++i) {  // the first line is the greeting
    auto line = words(ehlo.lines[i]);
    if (line.empty()) continue;
    const auto& name = line[0];
    if (name == "PIPELINING") out.pipelining = true;
    if (name == "8BITMIME") out.eightbitmime = true;
    if (name == "STARTTLS") out.starttls = true;
    if (name == "CHUNKING") out.chunking = true;
    if (name == "BINARYMIME") out.binarymime = true;
    if (name == "SMTPUTF8") out.smtputf8 = true;
    if (name == "DSN") out.dsn = true;
    if (name == "ENHANCEDSTATUSCODES") out.enhanced_status = true;
    if (name == "SIZE") {
      out.size = true;
      if (line.size() > 1) out.max_size = number<std::uint64_t>(line[1]);
    }
    if (name == "AUTH") out.auth.assign(line.begin() + 1, line.end());
    if (name == "LIMITS") {
      for (const std::string_view limit : line) {
        if (limit.starts_with("RCPTMAX=")) out.rcpt_max = number<std::uint32_t>(limit.substr(8));
        if (limit.starts_with("MAILMAX=")) out.mail_max = number<std::uint32_t>(limit.substr(8));
      }
    }
  }
  return out;
}

}  // namespace merpati::smtp
