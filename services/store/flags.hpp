// Flags and uid ranges: between the contract's forms and the database's.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::store::v1 {
class UidRange;
}

namespace merpati::store {

inline constexpr int kSeen = 1, kAnswered = 2, kFlagged = 4, kDeleted = 8, kDraft = 16;
inline constexpr int kAllFlags = 31;
inline constexpr std::size_t kMaxKeywords = 64;        ///< of one message
inline constexpr std::size_t kMaxKeywordOctets = 100;  ///< of one keyword

struct FlagSet {
  int bits = 0;
  std::string keywords;  ///< separated by blanks
};

/// "\\Seen" and so on become bits, other names keywords; \Recent is ignored. kInvalidArgument for what is neither.
Result<FlagSet> parse_flags(const google::protobuf::RepeatedPtrField<std::string>& names);
/// Keywords joined by blanks; kInvalidArgument when one is no atom.
Result<std::string> join_keywords(const google::protobuf::RepeatedPtrField<std::string>& keywords);

/// Ranges as two arrays for unnest(). No range means all.
struct Ranges {
  std::vector<std::int64_t> firsts, lasts;
  bool empty() const { return firsts.empty(); }
};
Ranges to_ranges(const google::protobuf::RepeatedPtrField<v1::UidRange>& ranges);
/// Adds a uid to sorted ranges, joining neighbours.
void add_uid(google::protobuf::RepeatedPtrField<v1::UidRange>& ranges, std::uint32_t uid);

/// OBJECTID forms (RFC 8474).
std::string email_id_text(std::int64_t id);
std::string thread_id_text(std::int64_t id);
std::string mailbox_id_text(std::int64_t account, std::int64_t id);

}  // namespace merpati::store
