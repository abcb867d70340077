#include "imap/convert.hpp"

#include <algorithm>

namespace merpati::imap {
namespace {

constexpr std::pair<std::string_view, pb::SpecialUse> kUses[] = {
    {"\\Drafts", pb::SPECIAL_USE_DRAFTS},   {"\\Sent", pb::SPECIAL_USE_SENT},          {"\\Junk", pb::SPECIAL_USE_JUNK},
    {"\\Trash", pb::SPECIAL_USE_TRASH},     {"\\Archive", pb::SPECIAL_USE_ARCHIVE},    {"\\All", pb::SPECIAL_USE_ALL},
    {"\\Flagged", pb::SPECIAL_USE_FLAGGED}, {"\\Important", pb::SPECIAL_USE_IMPORTANT}};

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return x == y || ((x | 0x20) == (y | 0x20) && (x | 0x20) >= 'a' && (x | 0x20) <= 'z');
         });
}

}  // namespace

Ranges from_proto(const PbRanges& ranges) {
  Ranges out;
  out.reserve(static_cast<std::size_t>(ranges.size()));
  for (const auto& range : ranges) out.push_back({range.first(), range.last()});
  normalize(out);
  return out;
}

void to_proto(const Ranges& ranges, PbRanges* out) {
  out->Reserve(static_cast<int>(ranges.size()));
  for (const auto& range : ranges) {
    auto* added = out->Add();
    added->set_first(range.first);
    added->set_last(range.last);
  }
}

std::uint32_t flag_bit(std::string_view flag) {
  for (unsigned i = 0; i < kSystemFlags.size(); ++i) {
    if (same(flag, kSystemFlags[i])) return 1U << i;
  }
  return 0;
}

std::optional<FlagSet> parse_flags(const std::vector<std::string>& flags) {
  FlagSet out;
  for (const auto& flag : flags) {
    if (!flag.starts_with('\\')) {
      const bool known =
          std::any_of(out.keywords.begin(), out.keywords.end(), [&](const std::string& k) { return same(k, flag); });
      if (!known) out.keywords.push_back(flag);
      continue;
    }
    const auto bit = flag_bit(flag);
    if (bit == 0) return std::nullopt;
    out.bits |= bit;
  }
  return out;
}

std::string_view special_use_name(pb::SpecialUse use) {
  for (const auto& [name, value] : kUses) {
    if (value == use) return name;
  }
  return {};
}

std::optional<pb::SpecialUse> special_use_of(std::string_view name) {
  for (const auto& [known, value] : kUses) {
    if (same(known, name)) return value;
  }
  return std::nullopt;
}

}  // namespace merpati::imap
