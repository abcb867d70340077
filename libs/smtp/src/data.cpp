#include "merpati/smtp/data.hpp"

#include <cstring>

namespace merpati::smtp {
namespace {

const char* find(const char* from, const char* end, char c) {
  const auto* at = static_cast<const char*>(std::memchr(from, c, static_cast<std::size_t>(end - from)));
  return at == nullptr ? end : at;
}

}  // namespace

std::size_t DotDecoder::feed(std::string_view wire, std::string& out) {
  const char* const begin = wire.data();
  const char* const end = begin + wire.size();
  const char* at = begin;
  while (at < end && state_ != State::kDone) {
    switch (state_) {
      case State::kLineStart:
        if (*at == '.') {
          state_ = State::kDot;
          ++at;
        } else {
          state_ = State::kInLine;
        }
        break;
      case State::kInLine: {
        const char* lf = find(at, end, '\n');
        const char* cr = find(at, lf, '\r');
        if (cr + 1 == lf && lf < end) {  // the usual case: a whole line
          out.append(at, lf + 1);
          at = lf + 1;
          state_ = State::kLineStart;
        } else if (cr < lf) {
          out.append(at, cr + 1);
          at = cr + 1;
          state_ = State::kCr;
        } else {
          if (lf < end) {
            bare_ = true;
            ++lf;
          }
          out.append(at, lf);
          at = lf;
        }
        break;
      }
      case State::kCr:
        if (*at == '\n') {
          out.push_back('\n');
          ++at;
          state_ = State::kLineStart;
        } else {
          bare_ = true;
          state_ = State::kInLine;
        }
        break;
      case State::kDot:
        if (*at == '\r') {
          state_ = State::kDotCr;
          ++at;
        } else {
          state_ = State::kInLine;  // RFC 5321 4.5.2: the first dot is dropped
        }
        break;
      case State::kDotCr:
        if (*at == '\n') {
          state_ = State::kDone;
          ++at;
        } else {
          bare_ = true;
          out.push_back('\r');
          state_ = State::kInLine;
        }
        break;
      case State::kDone:
        break;
    }
  }
  return static_cast<std::size_t>(at - begin);
}

void LineEndChecker::feed(std::string_view octets) {
  const char* at = octets.data();
  const char* const end = at + octets.size();
  while (at < end && !bare_) {
    if (after_cr_) {
      bare_ = *at != '\n';
      after_cr_ = false;
      ++at;
      continue;
    }
    const char* lf = find(at, end, '\n');
    const char* cr = find(at, lf, '\r');
    if (cr == lf) {
      bare_ = lf < end;
      return;
    }
    after_cr_ = true;
    at = cr + 1;
  }
}

void DotEncoder::feed(std::string_view message, std::string& out) {
  while (!message.empty()) {
    if (line_start_ && message.front() == '.') out.push_back('.');
    const auto lf = message.find('\n');
    const auto line = message.substr(0, lf == message.npos ? lf : lf + 1);
    // A line ends with CRLF only; the CR may have been the last octet of the piece before.
    const bool crlf = lf != message.npos && (lf > 0 ? message[lf - 1] == '\r' : after_cr_);
    out.append(line);
    line_start_ = crlf;
    after_cr_ = line.back() == '\r';
    message.remove_prefix(line.size());
  }
}

void DotEncoder::finish(std::string& out) {
  if (!line_start_) out.append("\r\n");
  out.append(".\r\n");
}

}  // namespace merpati::smtp
