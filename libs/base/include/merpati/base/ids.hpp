// Strong ids, so that a uid is never passed for a MODSEQ.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace merpati {

template <class Tag, class Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != Rep{}; }
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  Rep value_{};
};

using AccountId = StrongId<struct AccountIdTag, std::int64_t>;
using MailboxId = StrongId<struct MailboxIdTag, std::int64_t>;
using Uid = StrongId<struct UidTag, std::uint32_t>;
using UidValidity = StrongId<struct UidValidityTag, std::uint32_t>;
using ModSeq = StrongId<struct ModSeqTag, std::uint64_t>;

/// A fresh UUID of version 7 (RFC 9562 5.7) in its 36-character text form: it sorts by the time of its making, so rows
/// keyed by it stay neighbours in an index; 74 of its bits are random. Thread safe.
std::string new_uuid();
/// A UUID of version 8 (RFC 9562 5.8) made of `text` by SHA-256: the same for every attempt at the same thing.
std::string derived_uuid(std::string_view text);
/// The 36 characters of a UUID of any version, in either case.
bool is_uuid(std::string_view text);

}  // namespace merpati

template <class Tag, class Rep>
struct std::hash<merpati::StrongId<Tag, Rep>> {
  std::size_t operator()(const merpati::StrongId<Tag, Rep>& id) const { return std::hash<Rep>{}(id.value()); }
};
