#include "merpati/smtp/reply.hpp"

#include <algorithm>
#include <stdexcept>

namespace merpati::smtp {
namespace {

void append_code(std::string& out, int code, char separator) {
  out.push_back(static_cast<char>('0' + code / 100));
  out.push_back(static_cast<char>('0' + code / 10 % 10));
  out.push_back(static_cast<char>('0' + code % 10));
  out.push_back(separator);
}

void append_text(std::string& out, std::string_view text) {
  const auto start = out.size();
  // RFC 5321 4.5.3.1.5: a reply line has at most 512 octets with its code and CRLF.
  out.append(text.substr(0, 480));
  for (auto at = start; at < out.size(); ++at)
    if (static_cast<unsigned char>(out[at]) < 0x20 || out[at] == 0x7F) out[at] = ' ';
  out.append("\r\n");
}

struct Row {
  ErrorCode error;
  int code;
  const char* enhanced;
  const char* text;
};

constexpr Row kTable[] = {
    {ErrorCode::kCancelled, 421, "4.3.2", "Service shutting down"},
    {ErrorCode::kUnknown, 451, "4.3.0", "Temporary error, try again later"},
    {ErrorCode::kInvalidArgument, 501, "5.5.4", "Invalid argument"},
    {ErrorCode::kDeadlineExceeded, 451, "4.3.0", "Temporary error, try again later"},
    {ErrorCode::kNotFound, 550, "5.1.1", "No such address"},
    {ErrorCode::kAlreadyExists, 550, "5.3.0", "Refused"},
    {ErrorCode::kPermissionDenied, 550, "5.7.1", "Refused by policy"},
    {ErrorCode::kResourceExhausted, 452, "4.3.1", "Too busy, try again later"},
    {ErrorCode::kFailedPrecondition, 550, "5.3.0", "Refused"},
    {ErrorCode::kAborted, 451, "4.3.0", "Temporary error, try again later"},
    {ErrorCode::kOutOfRange, 552, "5.3.4", "Too large"},
    {ErrorCode::kUnimplemented, 502, "5.5.1", "Not implemented"},
    {ErrorCode::kInternal, 451, "4.3.0", "Temporary error, try again later"},
    {ErrorCode::kUnavailable, 451, "4.3.0", "Temporarily unavailable, try again later"},
    {ErrorCode::kDataLoss, 451, "4.3.0", "Temporary error, try again later"},
    // A backend that refuses our own credentials is our trouble, not the client's.
    {ErrorCode::kUnauthenticated, 451, "4.3.0", "Temporary error, try again later"},
};

const Reply kTemporary{451, "4.3.0", "Temporary error, try again later"};

}  // namespace

void append_reply(std::string& out, int code, std::string_view enhanced, std::string_view text) {
  append_code(out, code, ' ');
  if (!enhanced.empty()) {
    out.append(enhanced);
    out.push_back(' ');
  }
  append_text(out, text);
}

void append_reply(std::string& out, const Reply& reply) { append_reply(out, reply.code, reply.enhanced, reply.text); }

void append_reply_lines(std::string& out, const Reply& reply) {
  for (std::string_view rest = reply.text;;) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const bool last = end == rest.size();
    append_code(out, reply.code, last ? ' ' : '-');
    if (!reply.enhanced.empty()) out.append(reply.enhanced).push_back(' ');
    append_text(out, rest.substr(0, end));
    if (last) return;
    rest.remove_prefix(end + 1);
  }
}

void append_lines(std::string& out, int code, std::span<const std::string> lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    append_code(out, code, i + 1 < lines.size() ? '-' : ' ');
    append_text(out, lines[i]);
  }
}

Reply reply_for(const Error& error) {
  for (const auto& row : kTable) {
    if (row.error != error.code()) continue;
    Reply reply{row.code, row.enhanced, row.text};
    const auto& status = error.enhanced_status();
    if (!status.empty() && status[0] - '0' == row.code / 100) reply.enhanced = status;
    if (!error.public_text().empty()) reply.text = error.public_text();
    return reply;
  }
  return kTemporary;
}

Reply reply_for_message(const Error& error) {
  auto reply = reply_for(error);
  return reply.permanent() && error.public_text().empty() ? kTemporary : reply;
}

void throw_exception_from_error(const Reply& reply, const boost::source_location&) {
  throw std::logic_error("unchecked parse: " + reply.text);
}

}  // namespace merpati::smtp
