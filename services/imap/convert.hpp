// Between the store's messages and the values of libs/imap.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/imap/command.hpp"
#include "merpati/imap/number_set.hpp"
#include "merpati/store/v1/store.pb.h"

namespace merpati::imap {

namespace pb = store::v1;

using PbRanges = google::protobuf::RepeatedPtrField<pb::UidRange>;

Ranges from_proto(const PbRanges& ranges);
void to_proto(const Ranges& ranges, PbRanges* out);

/// Flags of a client: system flags as bits, and keywords.
struct FlagSet {
  std::uint32_t bits = 0;
  std::vector<std::string> keywords;
};
/// System flags by their bits.
inline constexpr std::array<std::string_view, 5> kSystemFlags = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
                                                                 "\\Draft"};
/// Nothing for \Recent, "\*" and system flags that do not exist.
std::optional<FlagSet> parse_flags(const std::vector<std::string>& flags);
/// A single flag's bit; 0 for a keyword or an unknown one.
std::uint32_t flag_bit(std::string_view flag);

/// "(\Seen $Forwarded)".
template <class Keywords>
void append_flags(std::string& out, std::uint32_t bits, const Keywords& keywords, bool recent) {
  out += '(';
  const std::size_t from = out.size();
  for (unsigned i = 0; i < kSystemFlags.size(); ++i) {
    if ((bits & (1U << i)) == 0) continue;
    if (out.size() != from) out += ' ';
    out += kSystemFlags[i];
  }
  if (recent) {
    if (out.size() != from) out += ' ';
    out += "\\Recent";
  }
  for (const auto& keyword : keywords) {
    if (out.size() != from) out += ' ';
    out += keyword;
  }
  out += ')';
}

/// "\Sent"; empty for none.
std::string_view special_use_name(pb::SpecialUse use);
std::optional<pb::SpecialUse> special_use_of(std::string_view name);

}  // namespace merpati::imap
