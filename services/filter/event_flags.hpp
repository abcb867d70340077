// Messages and flags as scripts name them, and as the store does.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "merpati/mime/header.hpp"
#include "merpati/store/v1/store.pb.h"

namespace merpati::filter {

inline constexpr std::array<std::pair<std::string_view, std::uint32_t>, 5> kSystemFlags = {{
    {"\\Seen", store::v1::SYSTEM_FLAG_SEEN},
    {"\\Answered", store::v1::SYSTEM_FLAG_ANSWERED},
    {"\\Flagged", store::v1::SYSTEM_FLAG_FLAGGED},
    {"\\Deleted", store::v1::SYSTEM_FLAG_DELETED},
    {"\\Draft", store::v1::SYSTEM_FLAG_DRAFT},
}};

template <class Keywords>
std::vector<std::string> flag_names(std::uint32_t bits, const Keywords& keywords) {
  std::vector<std::string> out;
  for (const auto& [name, bit] : kSystemFlags)
    if ((bits & bit) != 0) out.emplace_back(name);
  out.insert(out.end(), keywords.begin(), keywords.end());
  return out;
}

/// 0: a keyword.
inline std::uint32_t flag_bit(std::string_view flag) {
  for (const auto& [name, bit] : kSystemFlags)
    if (mime::iequals(name, flag)) return bit;
  return 0;
}

/// The range of one message.
inline void add_uid(std::uint32_t uid, google::protobuf::RepeatedPtrField<store::v1::UidRange>& to) {
  auto& range = *to.Add();
  range.set_first(uid);
  range.set_last(uid);
}

/// Those of `a` that are not in `b`; upper and lower case are the same.
inline std::vector<std::string> flags_without(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> out;
  for (const auto& flag : a)
    if (std::ranges::none_of(b, [&](const auto& other) { return mime::iequals(flag, other); })) out.push_back(flag);
  return out;
}

}  // namespace merpati::filter
