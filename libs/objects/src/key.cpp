#include <algorithm>
#include <string_view>

#include "merpati/objects/object_store.hpp"

namespace merpati::objects {
namespace {

bool is_alphanumeric(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

Result<void> check_key(std::string_view key) {
  constexpr std::size_t kLongest = 180;  // a file name holds 255 octets
  const bool good = !key.empty() && key.size() <= kLongest && is_alphanumeric(key.front()) &&
                    std::all_of(key.begin(), key.end(), [](char c) {
                      return is_alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == '/';
                    });
  if (!good)
    return Error(ErrorCode::kInvalidArgument, "not a key of an object: \"" + std::string(key.substr(0, 200)) + "\"");
  return {};
}

}  // namespace merpati::objects
