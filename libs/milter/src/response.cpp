#include "merpati/milter/response.hpp"

#include <algorithm>
#include <optional>

namespace merpati::milter {
namespace {

Error broken(const char* what) { return Error(ErrorCode::kInvalidArgument, what); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "5.7.1" at the start of `text`, which loses it and the space behind it.
std::string take_enhanced(std::string_view& text, char status_class) {
  const auto word = text.substr(0, text.find(' '));
  if (word.size() < 5 || word.size() > 9 || word[0] != status_class || word[1] != '.') return {};
  const auto dot = word.find('.', 2);
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.size() <= 3 && std::ranges::all_of(part, is_digit);
  };
  if (dot == std::string_view::npos || !digits(word.substr(2, dot - 2)) || !digits(word.substr(dot + 1))) return {};
  std::string status(word);
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return status;
}

/// smfi_setreply() wants "%" written twice, and sends it so.
std::string undoubled(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    if (text[i] == '%' && i + 1 < text.size() && text[i + 1] == '%') ++i;
  }
  return out;
}

/// "550 5.7.1 text", or several lines with "550-" before all but the last.
Result<Response> parse_reply(std::string_view text) {
  Response response{.answer = Answer::kReplyCode};
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() < 3 || !std::ranges::all_of(line.substr(0, 3), is_digit)) return broken("a reply without a code");
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (code < 400 || code > 599) return broken("a reply that is neither 4xx nor 5xx");
    if (response.code != 0 && code != response.code) return broken("a reply of two codes");
    const bool first = response.code == 0;
    response.code = code;
    const char status_class = line[0];
    line.remove_prefix(std::min<std::size_t>(line.size(), 4));
    const auto status = take_enhanced(line, status_class);
    if (first) response.enhanced = status;
    if (!first) response.text.push_back('\n');
    response.text.append(undoubled(line));
  }
  if (response.code == 0) return broken("an empty reply");
  return response;
}

bool is_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) { return c > 0x20 && c < 0x7F && c != ':'; });
}

/// Line ends of a value as CRLF, each before white space, so that no field begins within another one.
std::string folded(std::string_view value) {
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\r') continue;
    if (c != '\n') {
      out.push_back(c);
      continue;
    }
    const auto next = value.find_first_not_of("\r\n", i);
    if (next == std::string_view::npos) break;
    out.append("\r\n");
    if (value[next] != ' ' && value[next] != '\t') out.push_back('\t');
    i = next - 1;
  }
  return out;
}

Result<Response> parse_header(Answer answer, std::string_view data) {
  Response response{.answer = answer};
  if (answer != Answer::kAddHeader) {
    const auto index = take_uint32(data);
    if (!index) return broken("a header field without an index");
    response.index = *index;
  }
  const auto name = take_text(data);
  const auto value = take_text(data);
  if (!name || !value || !is_name(*name)) return broken("no header field");
  response.name = *name;
  response.value = folded(*value);
  return response;
}

std::string_view without_brackets(std::string_view address) {
  if (address.starts_with('<')) address.remove_prefix(1);
  if (address.ends_with('>')) address.remove_suffix(1);
  return address;
}

/// Parameters behind it are left unread.
Result<Response> parse_address(Answer answer, std::string_view data) {
  const auto address = take_text(data);
  if (!address) return broken("an address without an end");
  const bool clean = std::ranges::none_of(*address, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (!clean || address->size() > 1000) return broken("no address");
  return Response{.answer = answer, .text = std::string(without_brackets(*address))};
}

}  // namespace

bool Response::changes() const {
  switch (answer) {
    case Answer::kAddRecipient:
    case Answer::kDeleteRecipient:
    case Answer::kAddRecipientWithParameters:
    case Answer::kReplaceBody:
    case Answer::kChangeSender:
    case Answer::kAddHeader:
    case Answer::kInsertHeader:
    case Answer::kChangeHeader:
    case Answer::kQuarantine:
      return true;
    default:
      return false;
  }
}

Result<Response> parse_response(const Packet& packet) {
  const auto answer = static_cast<Answer>(packet.letter);
  std::string_view data = packet.data;
  switch (answer) {
    case Answer::kAddRecipient:
    case Answer::kDeleteRecipient:
    case Answer::kAddRecipientWithParameters:
    case Answer::kChangeSender:
      return parse_address(answer, data);
    case Answer::kAddHeader:
    case Answer::kInsertHeader:
    case Answer::kChangeHeader:
      return parse_header(answer, data);
    case Answer::kReplyCode:
    case Answer::kQuarantine: {
      const auto text = take_text(data);
      if (!text) return broken("a text without an end");
      if (answer == Answer::kReplyCode) return parse_reply(*text);
      return Response{.answer = answer, .text = std::string(*text)};
    }
    case Answer::kReplaceBody:
    case Answer::kNegotiate:
    case Answer::kSetMacros:
      return Response{.answer = answer, .text = packet.data};
    case Answer::kShutdown:
    case Answer::kAccept:
    case Answer::kContinue:
    case Answer::kDiscard:
    case Answer::kConnectionFailure:
    case Answer::kProgress:
    case Answer::kReject:
    case Answer::kSkip:
    case Answer::kTempfail:
      return Response{.answer = answer};
  }
  return broken("a packet of an unknown kind");
}

std::string_view to_string(Answer answer) {
  switch (answer) {
    case Answer::kAddRecipient:
    case Answer::kAddRecipientWithParameters:
      return "addrcpt";
    case Answer::kDeleteRecipient:
      return "delrcpt";
    case Answer::kShutdown:
      return "shutdown";
    case Answer::kAccept:
      return "accept";
    case Answer::kReplaceBody:
      return "replbody";
    case Answer::kContinue:
      return "continue";
    case Answer::kDiscard:
      return "discard";
    case Answer::kChangeSender:
      return "chgfrom";
    case Answer::kConnectionFailure:
      return "connection_failure";
    case Answer::kAddHeader:
      return "addheader";
    case Answer::kInsertHeader:
      return "insheader";
    case Answer::kSetMacros:
      return "setsymlist";
    case Answer::kChangeHeader:
      return "chgheader";
    case Answer::kNegotiate:
      return "optneg";
    case Answer::kProgress:
      return "progress";
    case Answer::kQuarantine:
      return "quarantine";
    case Answer::kReject:
      return "reject";
    case Answer::kSkip:
      return "skip";
    case Answer::kTempfail:
      return "tempfail";
    case Answer::kReplyCode:
      return "reply";
  }
  return "unknown";
}

}  // namespace merpati::milter
