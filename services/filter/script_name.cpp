#include "filter/script_name.hpp"

#include "merpati/mime/charset.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kLongest = 512;

Error bad(std::string why) {
  std::string text = "a script's name " + std::move(why);
  return Error(ErrorCode::kInvalidArgument, text).with_public(text);
}

/// RFC 5804 1.6: U+0000 to U+001F, U+007F to U+009F, U+2028, U+2029.
bool has_forbidden(std::string_view name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (c < 0x20 || c == 0x7F) return true;
    const auto next = [&](std::size_t n) { return i + n < name.size() ? static_cast<unsigned char>(name[i + n]) : 0; };
    if (c == 0xC2 && next(1) < 0xA0) return true;
    if (c == 0xE2 && next(1) == 0x80 && (next(2) == 0xA8 || next(2) == 0xA9)) return true;
  }
  return false;
}

}  // namespace

Result<void> check_script_name(std::string_view name) {
  if (name.empty()) return bad("is not empty");
  if (name.size() > kLongest) return bad("has at most 512 octets");
  if (!mime::is_valid_utf8(name)) return bad("is UTF-8");
  if (has_forbidden(name)) return bad("has no control characters");
  return {};
}

}  // namespace merpati::filter
