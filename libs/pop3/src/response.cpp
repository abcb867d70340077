#include "merpati/pop3/response.hpp"

#include <algorithm>

namespace merpati::pop3 {

std::string_view to_string(ResponseCode code) {
  switch (code) {
    case ResponseCode::kNone:
      return "";
    case ResponseCode::kInUse:
      return "IN-USE";
    case ResponseCode::kLoginDelay:
      return "LOGIN-DELAY";
    case ResponseCode::kSysTemp:
      return "SYS/TEMP";
    case ResponseCode::kSysPerm:
      return "SYS/PERM";
    case ResponseCode::kAuth:
      return "AUTH";
    case ResponseCode::kUtf8:
      return "UTF8";
  }
  return "";
}

ResponseCode response_code(const Error& error, ErrorSite site) {
  switch (error.code()) {
    // RFC 3206 4: SYS/TEMP is likely to go away without a change by the user.
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kCancelled:
    case ErrorCode::kUnknown:
    case ErrorCode::kInternal:
      return ResponseCode::kSysTemp;
    // RFC 3206 5: AUTH says that the credentials are the problem, and only that.
    case ErrorCode::kUnauthenticated:
      return site == ErrorSite::kLogin ? ResponseCode::kAuth : ResponseCode::kSysTemp;
    case ErrorCode::kPermissionDenied:
      return site == ErrorSite::kLogin ? ResponseCode::kAuth : ResponseCode::kSysPerm;
    // RFC 2449 8.1.2: another session holds the maildrop. kAborted: our lease was taken over.
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kAborted:
      return site == ErrorSite::kCommand ? ResponseCode::kSysTemp : ResponseCode::kInUse;
    case ErrorCode::kFailedPrecondition:
      return site == ErrorSite::kMaildrop ? ResponseCode::kInUse : ResponseCode::kSysTemp;
    case ErrorCode::kDataLoss:
    case ErrorCode::kUnimplemented:
      return ResponseCode::kSysPerm;
    case ErrorCode::kNotFound:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfRange:
      return site == ErrorSite::kCommand ? ResponseCode::kNone : ResponseCode::kSysPerm;
  }
  return ResponseCode::kSysTemp;
}

namespace {

void append_text(std::string& line, std::string_view text) {
  for (const char c : text.substr(0, 400)) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  line += "\r\n";
}

std::string_view plain_text(const Error& error, ErrorSite site) {
  if (!error.public_text().empty()) return error.public_text();
  switch (response_code(error, site)) {
    case ResponseCode::kSysTemp:
      return "temporarily unavailable, try again later";
    case ResponseCode::kSysPerm:
      return "this cannot be done; tell your postmaster";
    case ResponseCode::kAuth:
      return "authentication failed";
    case ResponseCode::kInUse:
      return "the maildrop is in use by another session";
    default:
      return "no such message";
  }
}

}  // namespace

std::string ok(std::string_view text) {
  std::string line = text.empty() ? "+OK" : "+OK ";
  append_text(line, text);
  return line;
}

std::string err(std::string_view text, ResponseCode code) {
  std::string line = "-ERR ";
  if (code != ResponseCode::kNone) (line += '[').append(to_string(code)) += "] ";
  append_text(line, text);
  return line;
}

std::string err(const Error& error, ErrorSite site) { return err(plain_text(error, site), response_code(error, site)); }

void DotWriter::write(std::string_view piece, std::string& out) {
  while (!piece.empty()) {
    if (at_ == At::kLineStart && piece.front() == '.') out += '.';
    const auto feed = piece.find('\n');
    const auto taken = feed == std::string_view::npos ? piece.size() : feed + 1;
    out.append(piece.substr(0, taken));
    if (feed == std::string_view::npos) {
      at_ = piece.back() == '\r' ? At::kAfterCr : At::kInLine;
    } else {
      const bool after_cr = feed > 0 ? piece[feed - 1] == '\r' : at_ == At::kAfterCr;
      at_ = after_cr ? At::kLineStart : At::kInLine;
    }
    piece.remove_prefix(taken);
  }
}

void DotWriter::finish(std::string& out) {
  if (at_ != At::kLineStart) out += "\r\n";
  out += ".\r\n";
  at_ = At::kLineStart;
}

std::string_view TopLimiter::pass(std::string_view piece) {
  if (done_) return {};
  for (std::size_t i = 0; i < piece.size(); ++i) {
    if (in_body_ && left_ == 0) {
      done_ = true;
      return piece.substr(0, i);
    }
    if (piece[i] == '\n') {
      if (in_body_)
        --left_;
      else if (line_is_empty_)
        in_body_ = true;
      line_is_empty_ = true;
      if (in_body_) continue;
    } else if (piece[i] != '\r') {
      line_is_empty_ = false;
      const auto feed = piece.find('\n', i);  // the rest of the line holds nothing to decide
      if (feed == std::string_view::npos) return piece;
      i = feed - 1;
    }
  }
  if (in_body_ && left_ == 0) done_ = true;
  return piece;
}

bool is_unique_id(std::string_view id) {
  return !id.empty() && id.size() <= 70 && std::ranges::all_of(id, [](char c) { return c >= 0x21 && c <= 0x7E; });
}

}  // namespace merpati::pop3
