// Sets of message numbers: as a client writes them, as sorted ranges, and as a mailbox's whole uid list.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::imap {

/// Inclusive, first <= last, both above zero.
struct NumberRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  friend bool operator==(const NumberRange&, const NumberRange&) = default;
};

/// Sorted, disjoint, never adjacent.
using Ranges = std::vector<NumberRange>;

/// Sorts and merges in place.
void normalize(Ranges& ranges);
std::uint64_t count(std::span<const NumberRange> ranges);
bool contains(std::span<const NumberRange> ranges, std::uint32_t number);
/// Appends a number above all others in the set.
void push_back(Ranges& ranges, std::uint32_t number);
/// What is in both.
Ranges intersect(std::span<const NumberRange> a, std::span<const NumberRange> b);
/// What is in `a` and not in `b`.
Ranges subtract(std::span<const NumberRange> a, std::span<const NumberRange> b);
/// Removes the first `most` numbers and gives them.
Ranges take_front(Ranges& ranges, std::uint64_t most);
/// "1:3,7". Empty for an empty set (which IMAP cannot write).
std::string format_ranges(std::span<const NumberRange> ranges);
void append_ranges(std::string& out, std::span<const NumberRange> ranges);
/// The reverse of format_ranges: no '*', in any order.
std::optional<Ranges> parse_ranges(std::string_view text);

/// A sequence-set (RFC 9051 9): numbers and ranges where '*' is the largest in use, or "$", the saved search result.
class SequenceSet {
 public:
  struct Element {
    std::uint32_t first = 0;  ///< 0 is '*'
    std::uint32_t last = 0;
  };
  void add(Element element) { elements_.push_back(element); }
  void set_saved_result() { saved_result_ = true; }
  bool is_saved_result() const { return saved_result_; }
  const std::vector<Element>& elements() const { return elements_; }
  /// The numbers meant while the largest in use is `largest`; with 0 (an empty mailbox), '*' means nothing.
  Ranges resolve(std::uint32_t largest) const;

 private:
  std::vector<Element> elements_;
  bool saved_result_ = false;
};

/// A mailbox's uids in order, as ranges with the sequence number where each starts: O(log ranges) both ways.
/// Immutable once shared between sessions.
class UidSet {
 public:
  UidSet() = default;
  explicit UidSet(std::span<const NumberRange> ranges);

  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::uint32_t largest() const { return ranges_.empty() ? 0 : ranges_.back().last; }
  /// The uid of sequence number 1..size(); 0 outside.
  std::uint32_t uid_at(std::uint32_t sequence) const;
  /// 0 when the uid is not in the set.
  std::uint32_t sequence_of(std::uint32_t uid) const;
  /// How many uids are smaller than `uid`.
  std::uint32_t count_below(std::uint32_t uid) const;
  bool contains(std::uint32_t uid) const { return sequence_of(uid) != 0; }
  const Ranges& ranges() const { return ranges_; }

  /// Uids of the set within `uids`.
  Ranges select_uids(std::span<const NumberRange> uids) const { return intersect(ranges_, uids); }
  /// Uids of these sequence numbers; numbers outside are ignored.
  Ranges select_sequences(std::span<const NumberRange> sequences) const;
  /// Sequence numbers of these uids; uids outside are ignored.
  Ranges to_sequences(std::span<const NumberRange> uids) const;
  /// Bytes on the heap.
  std::size_t memory() const;

 private:
  Ranges ranges_;
  std::vector<std::uint32_t> start_;  // sequence number of each range's first uid
  std::uint32_t size_ = 0;
};

/// Calls visit(sequence, uid) in order for each uid of the set that is in `uids`.
template <class Visit>
void for_each(const UidSet& set, std::span<const NumberRange> uids, Visit&& visit) {
  for (const auto& range : set.select_uids(uids)) {
    std::uint32_t sequence = set.sequence_of(range.first);
    for (std::uint64_t uid = range.first; uid <= range.last; ++uid) visit(sequence++, static_cast<std::uint32_t>(uid));
  }
}

}  // namespace merpati::imap
