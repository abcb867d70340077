// Which bytes an IMAP section names (RFC 9051 6.4.5.1).
#include "merpati/mime/summary.hpp"

namespace merpati::mime {

const Part* find_part(const Part& root, std::span<const std::uint32_t> path) {
  const Part* part = &root;
  bool at_message_root = true;  // of the outermost or an inner message, whose number is not written
  for (const std::uint32_t number : path) {
    if (number == 0) return nullptr;
    if (part->is_message() && !at_message_root) {
      if (part->children.empty()) return nullptr;
      part = &part->children.front();
      at_message_root = true;
    }
    if (part->is_multipart()) {
      if (number > part->children.size()) return nullptr;
      part = &part->children[number - 1];
    } else if (!at_message_root || number != 1) {
      // A message that is no multipart has exactly part 1: itself.
      return nullptr;
    }
    at_message_root = false;
  }
  return part;
}

std::optional<Span> find_section(const Summary& summary, std::span<const std::uint32_t> path, SectionKind kind) {
  if (path.empty()) {
    switch (kind) {
      case SectionKind::kContent:
        return Span{0, summary.size};
      case SectionKind::kHeader:
        return summary.root.header;
      case SectionKind::kText:
        return summary.root.body;
      case SectionKind::kMime:
        return std::nullopt;
    }
  }
  const Part* part = find_part(summary.root, path);
  if (!part) return std::nullopt;
  if (kind == SectionKind::kContent) return part->body;
  if (kind == SectionKind::kMime) return part->header;
  if (!part->is_message() || part->children.empty()) return std::nullopt;
  const Part& inner = part->children.front();
  return kind == SectionKind::kHeader ? inner.header : inner.body;
}

}  // namespace merpati::mime
