#include <strings.h>

#include <algorithm>

#include "merpati/mime/charset.hpp"
#include "store/operations.hpp"

namespace merpati::store {
namespace {

constexpr std::size_t kMostOctets = 1000, kMostLevelOctets = 255;

/// Well-formed UTF-8 without controls (RFC 9051 5.1 asks for Net-Unicode).
bool is_clean_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return false;
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xc2 && byte < 0xe0 ? 2
                               : byte >= 0xe0 && byte < 0xf0 ? 3
                               : byte >= 0xf0 && byte < 0xf5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    if (length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;  // C1 controls
    if (length == 3) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      // RFC 9051 5.1: no U+2028, no U+2029.
      if (byte == 0xe2 && second == 0x80 && (static_cast<unsigned char>(text[i + 2]) & 0xfe) == 0xa8) return false;
      if ((byte == 0xe0 && second < 0xa0) || (byte == 0xed && second >= 0xa0)) return false;
    }
    if (length == 4) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      if ((byte == 0xf0 && second < 0x90) || (byte == 0xf4 && second >= 0x90)) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace

WallTime received_time(std::int64_t milliseconds) {
  constexpr std::int64_t kEarliest = -8'520'336'000'000, kLatest = 7'258'118'400'000;
  if (milliseconds == 0) return Clock::system().wall();
  return WallTime(std::chrono::milliseconds(std::clamp(milliseconds, kEarliest, kLatest)));
}

Result<std::string> normal_name(std::string_view given) {
  const auto bad = [](const char* why) { return Error(ErrorCode::kInvalidArgument, why).with_public(why); };
  if (given.size() > 4 * kMostOctets) return bad("the mailbox name is too long");
  // RFC 9051 5.1: names are Net-Unicode, so what looks the same is the same name (RFC 5198 3).
  const std::string name = mime::to_nfc(given);
  if (name.empty()) return bad("the mailbox name is empty");
  if (name.size() > kMostOctets) return bad("the mailbox name is too long");
  if (!is_clean_utf8(name)) return bad("the mailbox name is not clean UTF-8");
  std::size_t start = 0;
  for (std::size_t at = 0; at <= name.size(); ++at) {
    if (at < name.size() && name[at] != '/') continue;
    if (at == start) return bad("the mailbox name has an empty level");
    if (at - start > kMostLevelOctets) return bad("a level of the mailbox name is too long");
    start = at + 1;
  }
  std::string out = name;
  // RFC 9051 5.1: INBOX in any case is INBOX, also as the first level.
  if (::strncasecmp(out.c_str(), "inbox", 5) == 0 && (out.size() == 5 || out[5] == '/')) out.replace(0, 5, "INBOX");
  return out;
}

}  // namespace merpati::store
