#include "merpati/imap/number_set.hpp"

#include <algorithm>
#include <charconv>

namespace merpati::imap {

void normalize(Ranges& ranges) {
  if (ranges.size() < 2) return;
  std::sort(ranges.begin(), ranges.end(), [](const NumberRange& a, const NumberRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (std::uint64_t{ranges[kept].last} + 1 >= ranges[i].first) {
      ranges[kept].last = std::max(ranges[kept].last, ranges[i].last);
    } else {
      ranges[++kept] = ranges[i];
    }
  }
  ranges.resize(kept + 1);
}

std::uint64_t count(std::span<const NumberRange> ranges) {
  std::uint64_t total = 0;
  for (const auto& range : ranges) total += std::uint64_t{range.last} - range.first + 1;
  return total;
}

bool contains(std::span<const NumberRange> ranges, std::uint32_t number) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), number,
                       [](std::uint32_t value, const NumberRange& range) { return value < range.first; });
  return after != ranges.begin() && number <= std::prev(after)->last;
}

void push_back(Ranges& ranges, std::uint32_t number) {
  if (!ranges.empty() && ranges.back().last + 1 == number) {
    ranges.back().last = number;
  } else {
    ranges.push_back({number, number});
  }
}

Ranges intersect(std::span<const NumberRange> a, std::span<const NumberRange> b) {
  Ranges out;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    const std::uint32_t first = std::max(i->first, j->first);
    const std::uint32_t last = std::min(i->last, j->last);
    if (first <= last) out.push_back({first, last});
    if (i->last < j->last) {
      ++i;
    } else {
      ++j;
    }
  }
  return out;
}

Ranges subtract(std::span<const NumberRange> a, std::span<const NumberRange> b) {
  Ranges out;
  auto hole = b.begin();
  for (const auto& range : a) {
    std::uint64_t from = range.first;
    while (hole != b.end() && hole->last < from) ++hole;
    for (auto next = hole; next != b.end() && next->first <= range.last; ++next) {
      if (next->first > from) out.push_back({static_cast<std::uint32_t>(from), next->first - 1});
      from = std::uint64_t{next->last} + 1;
    }
    if (from <= range.last) out.push_back({static_cast<std::uint32_t>(from), range.last});
  }
  return out;
}

Ranges take_front(Ranges& ranges, std::uint64_t most) {
  Ranges out;
  auto range = ranges.begin();
  for (; range != ranges.end() && most > 0; ++range) {
    const std::uint64_t size = std::uint64_t{range->last} - range->first + 1;
    if (size > most) {
      out.push_back({range->first, static_cast<std::uint32_t>(range->first + most - 1)});
      range->first += static_cast<std::uint32_t>(most);
      break;
    }
    out.push_back(*range);
    most -= size;
  }
  ranges.erase(ranges.begin(), range);
  return out;
}

void append_ranges(std::string& out, std::span<const NumberRange> ranges) {
  char digits[12];
  bool first = true;
  for (const auto& range : ranges) {
    if (!first) out += ',';
    first = false;
    out.append(digits, std::to_chars(digits, digits + sizeof digits, range.first).ptr);
    if (range.last == range.first) continue;
    out += ':';
    out.append(digits, std::to_chars(digits, digits + sizeof digits, range.last).ptr);
  }
}

std::string format_ranges(std::span<const NumberRange> ranges) {
  std::string out;
  append_ranges(out, ranges);
  return out;
}

std::optional<Ranges> parse_ranges(std::string_view text) {
  Ranges out;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    NumberRange range;
    auto number = std::from_chars(at, end, range.first);
    if (number.ec != std::errc() || range.first == 0) return std::nullopt;
    at = number.ptr;
    range.last = range.first;
    if (at != end && *at == ':') {
      number = std::from_chars(at + 1, end, range.last);
      if (number.ec != std::errc() || range.last == 0) return std::nullopt;
      at = number.ptr;
      if (range.last < range.first) std::swap(range.first, range.last);
    }
    out.push_back(range);
    if (at == end) break;
    if (*at != ',' || ++at == end) return std::nullopt;
  }
  normalize(out);
  return out;
}

Ranges SequenceSet::resolve(std::uint32_t largest) const {
  Ranges out;
  out.reserve(elements_.size());
  for (const auto& element : elements_) {
    const std::uint32_t first = element.first == 0 ? largest : element.first;
    const std::uint32_t last = element.last == 0 ? largest : element.last;
    if (first == 0 || last == 0) continue;
    // RFC 9051 9, seq-range: the order does not matter, so 559:* contains the largest even when that is 558.
    out.push_back({std::min(first, last), std::max(first, last)});
  }
  normalize(out);
  return out;
}

UidSet::UidSet(std::span<const NumberRange> ranges) : ranges_(ranges.begin(), ranges.end()) {
  start_.reserve(ranges_.size());
  for (const auto& range : ranges_) {
    start_.push_back(size_ + 1);
    size_ += range.last - range.first + 1;
  }
}

std::uint32_t UidSet::uid_at(std::uint32_t sequence) const {
  if (sequence == 0 || sequence > size_) return 0;
  const auto index =
      static_cast<std::size_t>(std::upper_bound(start_.begin(), start_.end(), sequence) - start_.begin()) - 1;
  return ranges_[index].first + (sequence - start_[index]);
}

std::uint32_t UidSet::count_below(std::uint32_t uid) const {
  const auto after =
      std::lower_bound(ranges_.begin(), ranges_.end(), uid,
                       [](const NumberRange& range, std::uint32_t value) { return range.first < value; });
  if (after == ranges_.begin()) return 0;
  const auto index = static_cast<std::size_t>(after - ranges_.begin()) - 1;
  return start_[index] - 1 + (std::min(uid - 1, ranges_[index].last) - ranges_[index].first + 1);
}

std::uint32_t UidSet::sequence_of(std::uint32_t uid) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), uid,
                       [](std::uint32_t value, const NumberRange& range) { return value < range.first; });
  if (after == ranges_.begin()) return 0;
  const auto index = static_cast<std::size_t>(after - ranges_.begin()) - 1;
  return uid <= ranges_[index].last ? start_[index] + (uid - ranges_[index].first) : 0;
}

Ranges UidSet::select_sequences(std::span<const NumberRange> sequences) const {
  Ranges out;
  std::size_t index = 0;
  for (const auto& wanted : sequences) {
    while (index < ranges_.size() && start_[index] + (ranges_[index].last - ranges_[index].first) < wanted.first)
      ++index;
    for (std::size_t i = index; i < ranges_.size() && start_[i] <= wanted.last; ++i) {
      const std::uint32_t end = start_[i] + (ranges_[i].last - ranges_[i].first);
      const std::uint32_t from = std::max(start_[i], wanted.first);
      const std::uint32_t to = std::min(end, wanted.last);
      out.push_back({ranges_[i].first + (from - start_[i]), ranges_[i].first + (to - start_[i])});
    }
  }
  normalize(out);
  return out;
}

Ranges UidSet::to_sequences(std::span<const NumberRange> uids) const {
  Ranges out;
  for (const auto& range : select_uids(uids)) {
    const std::uint32_t first = sequence_of(range.first);
    out.push_back({first, first + (range.last - range.first)});
  }
  normalize(out);
  return out;
}

std::size_t UidSet::memory() const {
  return ranges_.capacity() * sizeof(NumberRange) + start_.capacity() * sizeof(std::uint32_t);
}

}  // namespace merpati::imap
