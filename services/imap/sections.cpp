#include "imap/sections.hpp"

#include <algorithm>

namespace merpati::imap {
namespace {

bool is_multipart(const pb::Part& part) { return part.type().starts_with("multipart/"); }
bool is_message(const pb::Part& part) {
  return (part.type() == "message/rfc822" || part.type() == "message/global") && part.parts_size() == 1;
}

// One step down: the child of a multipart, the body of a message that is not one.
const pb::Part* child(const pb::Part& part, std::uint32_t number) {
  if (is_multipart(part)) {
    return number <= static_cast<std::uint32_t>(part.parts_size()) ? &part.parts(static_cast<int>(number) - 1)
                                                                   : nullptr;
  }
  return number == 1 ? &part : nullptr;
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return x == y || ((x | 0x20) == (y | 0x20) && (x | 0x20) >= 'a' && (x | 0x20) <= 'z');
         });
}

}  // namespace

const pb::Part* find_part(const pb::MessageRow& row, const std::vector<std::uint32_t>& numbers) {
  const pb::Part* at = &row.root();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      // Below a message/rfc822 part the numbers count the parts of the embedded message; a leaf has none.
      if (is_message(*at)) {
        at = &at->parts(0);
      } else if (!is_multipart(*at)) {
        return nullptr;
      }
    }
    at = child(*at, numbers[i]);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::optional<OctetRange> locate(const pb::MessageRow& row, const Section& section) {
  using Text = Section::Text;
  const std::uint64_t prefix = row.prefix_size();
  const std::uint64_t header_end = prefix + row.header_bytes();
  if (section.part.empty()) {
    switch (section.text) {
      case Text::kAll:
        return OctetRange{0, row.size()};
      case Text::kText:
        return OctetRange{header_end, row.size() - std::min(row.size(), header_end)};
      default:
        return OctetRange{0, header_end};
    }
  }
  const auto* part = find_part(row, section.part);
  if (part == nullptr) return std::nullopt;
  if (section.text == Text::kAll) return OctetRange{prefix + part->body_offset(), part->body_size()};
  if (section.text == Text::kMime) {
    // The MIME header of a message's only part is the message's header.
    if (part == &row.root()) return OctetRange{0, header_end};
    return OctetRange{prefix + part->header_offset(), part->body_offset() - part->header_offset()};
  }
  // HEADER and TEXT of a part are those of the message embedded in it.
  if (!is_message(*part)) return std::nullopt;
  const auto& embedded = part->parts(0);
  if (section.text == Text::kText) return OctetRange{prefix + embedded.body_offset(), embedded.body_size()};
  return OctetRange{prefix + embedded.header_offset(), embedded.body_offset() - embedded.header_offset()};
}

OctetRange cut(OctetRange range, const std::optional<FetchItem::Partial>& partial) {
  if (!partial) return range;
  if (partial->offset >= range.length) return {range.offset + range.length, 0};
  return {range.offset + partial->offset, std::min(partial->length, range.length - partial->offset)};
}

std::string pick_fields(std::string_view header, const std::vector<std::string>& names, bool all_but) {
  std::string out;
  bool wanted = false;
  while (!header.empty()) {
    const auto end = header.find('\n');
    const auto line = header.substr(0, end == std::string_view::npos ? header.size() : end + 1);
    header.remove_prefix(line.size());
    if (line == "\r\n" || line == "\n") break;
    if (line.front() != ' ' && line.front() != '\t') {
      auto name = line.substr(0, line.find(':'));
      while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
      const bool named =
          std::any_of(names.begin(), names.end(), [name](const std::string& n) { return same_name(n, name); });
      wanted = named != all_but;
    }
    if (wanted) out += line;
  }
  // RFC 9051 6.4.5.1: the empty line that ends the header is always there.
  if (!out.empty() && !out.ends_with('\n')) out += "\r\n";
  out += "\r\n";
  return out;
}

}  // namespace merpati::imap
