#include "merpati/mime/summary.hpp"

#include <algorithm>
#include <cstring>

#include "merpati/mime/header.hpp"
#include "part_header.hpp"
#include "preview.hpp"

namespace merpati::mime {
namespace {

// The single pass: lines are read in order, each once, and the boundaries of all open multiparts are looked for.
class Walker {
 public:
  Walker(std::string_view message, const Limits& limits, Parts& parts)
      : message_(message), limits_(limits), parts_(parts), headers_left_(limits.max_headers) {}

  /// `envelope`: of the message itself; null when nobody asks for it.
  void run(Envelope* envelope) { entity(parts_.root, DefaultType::kText, 1, envelope); }

 private:
  // Why an entity's bytes ended: at a boundary line of the open multipart `level`, or at the message's end (level -1).
  struct Stop {
    int level = -1;
    bool closing = false;
    std::uint64_t end = 0;         // of the content before it, without the line end that belongs to the boundary
    std::uint64_t lines = 0;       // line ends before `end`
    std::uint64_t line_start = 0;  // of the boundary line, and the line ends before it
    std::uint64_t lines_at_line_start = 0;
  };

  struct Line {
    std::uint64_t start = 0;
    std::string_view text;  // with its line end
  };

  bool next_line(Line& line) {
    if (at_ >= message_.size()) return false;
    line.start = at_;
    const void* lf = std::memchr(message_.data() + at_, '\n', message_.size() - at_);
    at_ = lf ? static_cast<std::uint64_t>(static_cast<const char*>(lf) - message_.data()) + 1 : message_.size();
    lines_ += lf != nullptr;
    line.text = message_.substr(line.start, at_ - line.start);
    return true;
  }

  // RFC 2046 5.1.1: it suffices that the boundary stands at the line's start. The longest match wins, then the
  // innermost, so that boundaries which are prefixes of others and boundaries used twice both work.
  bool is_boundary(const Line& line, Stop& stop) const {
    if (line.text.size() < 3 || line.text[0] != '-' || line.text[1] != '-' || boundaries_.empty()) return false;
    const std::string_view rest = line.text.substr(2);
    std::size_t best = 0;
    for (std::size_t i = boundaries_.size(); i-- > 0;) {
      const std::string& boundary = boundaries_[i];
      if (boundary.size() <= best || !rest.starts_with(boundary)) continue;
      best = boundary.size();
      stop.level = static_cast<int>(i);
    }
    if (best == 0) return false;
    stop.closing = rest.substr(best).starts_with("--");
    stop.end = line.start;
    stop.lines = lines_ - (line.text.ends_with('\n') ? 1 : 0);
    stop.line_start = line.start;
    stop.lines_at_line_start = stop.lines;
    // The line end before a boundary belongs to it.
    if (stop.end > 0 && message_[stop.end - 1] == '\n') {
      --stop.end;
      --stop.lines;
      if (stop.end > 0 && message_[stop.end - 1] == '\r') --stop.end;
    }
    return true;
  }

  Stop at_end() const { return {-1, false, message_.size(), lines_, message_.size(), lines_}; }

  Stop skip_to_boundary() {
    if (boundaries_.empty()) {
      lines_ += static_cast<std::uint64_t>(
          std::count(message_.begin() + static_cast<std::ptrdiff_t>(at_), message_.end(), '\n'));
      at_ = message_.size();
      return at_end();
    }
    Stop stop;
    for (Line line; next_line(line);) {
      if (is_boundary(line, stop)) return stop;
    }
    return at_end();
  }

  // True when a boundary or the message's end cut the header; the body is then empty.
  bool read_header(Part& part, Stop& stop) {
    part.header.offset = at_;
    for (Line line; next_line(line);) {
      if (line.text == "\r\n" || line.text == "\n") {
        part.header.size = at_ - part.header.offset;
        return false;
      }
      if (is_boundary(line, stop)) {
        part.header.size = line.start - part.header.offset;
        return true;
      }
    }
    part.header.size = at_ - part.header.offset;
    stop = at_end();
    return true;
  }

  // What is read of a header block: the summary of a message must not become as large as the message.
  std::string_view readable(std::string_view block) {
    const auto size = std::min({block.size(), limits_.max_header, headers_left_});
    headers_left_ -= size;
    if (size < block.size()) parts_.limited = true;
    return block.substr(0, size);
  }

  // When the line end before a boundary already belongs to this entity's header, it does not belong to the boundary.
  static void keep_header(const Part& part, Stop& stop) {
    if (stop.end >= part.header.end()) return;
    stop.end = stop.line_start;
    stop.lines = stop.lines_at_line_start;
  }

  // `envelope` is a message's own, where the part is one's root and somebody asks for it.
  Stop entity(Part& part, DefaultType default_type, std::size_t depth, Envelope* envelope = nullptr) {
    ++parts_.part_count;
    parts_.depth = std::max(parts_.depth, static_cast<std::uint32_t>(depth));
    Stop stop;
    const bool cut = read_header(part, stop);
    if (cut) keep_header(part, stop);
    const std::string_view block = readable(part.header.of(message_));
    read_part_header(block, default_type, limits_, part);
    if (envelope != nullptr) read_envelope(block, limits_, *envelope);
    part.body.offset = part.header.end();
    const bool message = part.type == "message" && (part.subtype == "rfc822" || part.subtype == "global");
    const bool deep = depth >= limits_.max_depth || parts_.part_count >= limits_.max_parts;
    std::string boundary;
    if (part.is_multipart()) {
      boundary = std::string(find_parameter(part.parameters, "boundary").value_or(""));
      if (boundary.size() > 1000) boundary.clear();
      if (boundary.empty()) make_leaf(part, "text", "plain");
    }
    if (deep && (message || part.is_multipart())) {
      parts_.limited = true;
      make_leaf(part, "application", "octet-stream");
    } else if (message) {
      part.envelope = std::make_unique<Envelope>();
    }
    if (part.is_message() && cut) {
      // Keep the tree's shape: a message part has a root, here an empty one.
      Part& inner = part.children.emplace_back();
      read_part_header({}, DefaultType::kText, limits_, inner);
      inner.header = inner.body = Span{part.body.offset, 0};
    }
    if (cut) return stop;

    const std::uint64_t lines_before = lines_;
    if (part.is_multipart()) {
      stop = multipart(part, std::move(boundary), depth);
    } else if (part.is_message()) {
      Part& inner = part.children.emplace_back();
      stop = entity(inner, DefaultType::kText, depth + 1, part.envelope.get());
    } else {
      stop = skip_to_boundary();
    }
    keep_header(part, stop);
    part.body.size = stop.end - part.body.offset;
    part.lines = stop.lines - lines_before;
    return stop;
  }

  Stop multipart(Part& part, std::string boundary, std::size_t depth) {
    const auto level = static_cast<int>(boundaries_.size());
    boundaries_.push_back(std::move(boundary));
    const DefaultType child_default = part.subtype == "digest" ? DefaultType::kMessage : DefaultType::kText;
    Stop stop = skip_to_boundary();  // the preamble
    while (stop.level == level && !stop.closing) {
      if (parts_.part_count >= limits_.max_parts) {
        parts_.limited = true;
        stop = skip_to_boundary();
        continue;
      }
      stop = entity(part.children.emplace_back(), child_default, depth + 1);
    }
    boundaries_.pop_back();
    if (stop.level == level) stop = skip_to_boundary();  // the epilogue
    return stop;
  }

  static void make_leaf(Part& part, std::string_view type, std::string_view subtype) {
    part.type = type;
    part.subtype = subtype;
    part.parameters.clear();
  }

  std::string_view message_;
  const Limits& limits_;
  Parts& parts_;
  std::vector<std::string> boundaries_;
  std::size_t headers_left_;
  std::uint64_t at_ = 0;
  std::uint64_t lines_ = 0;
};

// What clients show as an attachment: said so, or a named part that is neither text nor shown by HTML beside it.
bool is_attachment(const Part& part, std::string_view parent_subtype) {
  if (part.type == "application" && part.subtype.ends_with("signature")) return false;
  if (part.disposition && part.disposition->type == "attachment") return true;
  if (part.is_message()) return true;
  return !part.filename.empty() && part.type != "text" && parent_subtype != "related";
}

// Names and attachments; true when there is an attachment in the tree (an inner message's own do not count).
bool finish_parts(Part& part, std::string_view parent_subtype) {
  bool any = false;
  for (Part& child : part.children) any |= finish_parts(child, part.subtype);
  if (part.is_multipart()) return any;
  std::optional<std::string> name;
  if (part.disposition) name = decoded_parameter(part.disposition->parameters, "filename");
  if (!name) name = decoded_parameter(part.parameters, "name");
  part.filename = std::move(name).value_or("");
  part.attachment = is_attachment(part, parent_subtype);
  return part.attachment;
}

// One branchless loop, which the compiler vectorizes.
void scan_bytes(std::string_view message, Summary& summary) {
  unsigned char all = 0;
  unsigned char wrong = 0;
  unsigned char previous_is_cr = 0;
  for (const char c : message) {
    all |= static_cast<unsigned char>(c);
    wrong |= static_cast<unsigned char>((c == '\n') ^ previous_is_cr) | static_cast<unsigned char>(c == '\0');
    previous_is_cr = c == '\r';
  }
  summary.has_8bit = all >= 0x80;
  summary.is_binary = wrong || previous_is_cr;
}
}  // namespace

Summary summarize(std::string_view message, const Limits& limits) {
  Summary summary;
  summary.size = message.size();
  Walker(message, limits, summary).run(&summary.envelope);
  read_message_header(summary.root.header.of(message), limits, summary);
  summary.has_attachments = finish_parts(summary.root, "");
  scan_bytes(message, summary);
  summary.preview = make_preview(message, summary.root, limits.preview_characters);
  return summary;
}

Parts read_parts(std::string_view message, const Limits& limits) {
  Parts parts;
  Walker(message, limits, parts).run(nullptr);
  finish_parts(parts.root, "");
  return parts;
}

}  // namespace merpati::mime
