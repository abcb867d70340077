#include "merpati/managesieve/response.hpp"

#include <array>

#include "merpati/mime/charset.hpp"

namespace merpati::managesieve {

std::string_view to_string(ResponseCode code) {
  static constexpr std::array<std::string_view, 10> kNames{
      "",         "ENCRYPT-NEEDED", "QUOTA",       "QUOTA/MAXSCRIPTS", "QUOTA/MAXSIZE",
      "TRYLATER", "ACTIVE",         "NONEXISTENT", "ALREADYEXISTS",    "WARNINGS"};
  return kNames[static_cast<std::size_t>(code)];
}

ResponseCode response_code(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return ResponseCode::kNonexistent;
    case ErrorCode::kAlreadyExists:
      return ResponseCode::kAlreadyExists;
    case ErrorCode::kFailedPrecondition:
      return ResponseCode::kActive;
    // RFC 5804 1.3: a temporary failure of the server.
    case ErrorCode::kUnavailable:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kCancelled:
    case ErrorCode::kAborted:
    case ErrorCode::kUnknown:
    case ErrorCode::kInternal:
    case ErrorCode::kUnauthenticated:
      return ResponseCode::kTryLater;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfRange:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnimplemented:
    case ErrorCode::kDataLoss:
      return ResponseCode::kNone;
  }
  return ResponseCode::kTryLater;
}

namespace {

constexpr std::size_t kLongestQuoted = 1024;

std::string_view plain_text(const Error& error) {
  if (!error.public_text().empty()) return error.public_text();
  switch (response_code(error)) {
    case ResponseCode::kNonexistent:
      return "there is no script of this name";
    case ResponseCode::kAlreadyExists:
      return "there is a script of this name already";
    case ResponseCode::kActive:
      return "this is not possible with the active script";
    case ResponseCode::kTryLater:
      return "temporarily unavailable, try again later";
    default:
      return "this cannot be done";
  }
}

std::string_view to_string(Condition condition) {
  return condition == Condition::kOk ? "OK" : condition == Condition::kNo ? "NO" : "BYE";
}

}  // namespace

void append_string(std::string& out, std::string_view value) {
  const bool fits = value.size() <= kLongestQuoted &&
                    value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos && mime::is_valid_utf8(value);
  if (!fits) return append_literal(out, value);
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void append_literal(std::string& out, std::string_view value) {
  (out += '{').append(std::to_string(value.size())).append("}\r\n").append(value);
}

void append_response(std::string& out, Condition condition, std::string_view code, std::string_view text) {
  out += to_string(condition);
  if (!code.empty()) out.append(" (").append(code) += ')';
  if (!text.empty()) append_string(out += ' ', text);
  out += "\r\n";
}

void append_response(std::string& out, Condition condition, const Error& error) {
  append_response(out, condition, to_string(response_code(error)), plain_text(error));
}

std::string code_with_string(std::string_view name, std::string_view value) {
  std::string code(name);
  append_string(code += ' ', value);
  return code;
}

}  // namespace merpati::managesieve
