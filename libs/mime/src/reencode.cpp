#include "merpati/mime/reencode.hpp"
#include "merpati/mime/charset.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "merpati/mime/header.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::mime {
namespace {

constexpr std::size_t kLongestLine = 998;  // RFC 5322 2.1.1
constexpr std::size_t kLineOctets = 57, kLineCharacters = 78;

bool has_lines(std::string_view octets) {
  while (!octets.empty()) {
    const auto end = octets.find_first_of("\r\n");
    if (std::min(end, octets.size()) > kLongestLine) return false;
    if (end == std::string_view::npos) return true;
    if (octets.substr(end, 2) != "\r\n") return false;
    octets.remove_prefix(end + 2);
  }
  return true;
}

class Planner {
 public:
  Planner(std::string_view message, Carry carry) : message_(message), carry_(carry) {}

  /// True when something in the part changes.
  bool visit(const Part& part, bool is_message_root, bool is_signed) {
    if (part.children.empty()) return leaf(part, is_message_root, is_signed);
    const bool children_signed = is_signed || (part.is_multipart() && part.subtype == "signed");
    // Of a message/rfc822 the child is the message inside, with a header of its own.
    const std::size_t before = edits_.size();
    bool changed = false;
    for (const Part& child : part.children) changed |= visit(child, part.is_message(), children_signed);
    if (!changed || (part.encoding != "binary" && (carry_ != Carry::k7Bit || part.encoding != "8bit"))) return changed;
    // RFC 2045 6.4: the label of a whole is that of its worst part.
    label(part, carry_ == Carry::k7Bit ? "7bit" : "8bit", is_message_root, before);
    return true;
  }

  Reencoding take() {
    Reencoding out;
    out.has_signed_parts = signed_;
    if (edits_.empty()) return out;
    std::uint64_t at = 0;
    for (Piece& edit : edits_) {
      if (edit.raw.offset > at) out.pieces.push_back({Piece::Kind::kCopy, {at, edit.raw.offset - at}, {}});
      at = edit.raw.end();
      out.pieces.push_back(std::move(edit));
    }
    if (at < message_.size()) out.pieces.push_back({Piece::Kind::kCopy, {at, message_.size() - at}, {}});
    return out;
  }

 private:
  bool leaf(const Part& part, bool is_message_root, bool is_signed) {
    const std::string_view body = part.body.of(message_);
    if (fits(body, carry_)) return false;
    // What is encoded already, and damaged, would be something else when encoded twice.
    if (encoding_from_name(part.encoding) != Encoding::kIdentity) return false;
    if (is_signed) signed_ = true;
    const bool text = part.type == "text" && carry_ != Carry::kText && body.find('\0') == std::string_view::npos &&
                      has_line_ends_only(body);
    label(part, text ? "quoted-printable" : "base64", is_message_root, edits_.size());
    edits_.push_back({text ? Piece::Kind::kQuotedPrintable : Piece::Kind::kBase64, part.body, {}});
    return true;
  }

  /// No CR and no LF stands alone, so that quoted-printable's lines are the text's.
  static bool has_line_ends_only(std::string_view body) {
    for (std::size_t at = body.find_first_of("\r\n"); at != std::string_view::npos;
         at = body.find_first_of("\r\n", at)) {
      if (body.substr(at, 2) != "\r\n") return false;
      at += 2;
    }
    return true;
  }

  /// Says the new encoding in the part's header: in place of the old field, else as the last one.
  void label(const Part& part, std::string_view encoding, bool is_message_root, std::size_t place) {
    const std::string_view header = part.header.of(message_);
    std::string line = "Content-Transfer-Encoding: " + std::string(encoding) + "\r\n";
    std::vector<Piece> edits;
    bool has_version = false;
    FieldReader reader(header);
    std::uint64_t end = 0;  // of the fields
    for (Field field; reader.next(field);) {
      const auto offset = static_cast<std::uint64_t>(field.raw.data() - header.data());
      end = offset + field.raw.size();
      has_version |= iequals(field.name, "MIME-Version");
      if (!iequals(field.name, "Content-Transfer-Encoding")) continue;
      edits.push_back({Piece::Kind::kText, {part.header.offset + offset, field.raw.size()}, std::exchange(line, {})});
    }
    if (is_message_root && !has_version) line = "MIME-Version: 1.0\r\n" + line;
    if (!line.empty()) {
      if (end > 0 && header[end - 1] != '\n') line = "\r\n" + line;
      if (end == header.size()) line += "\r\n";  // there was no empty line
      edits.push_back({Piece::Kind::kText, {part.header.offset + end, 0}, line});
    }
    edits_.insert(edits_.begin() + static_cast<std::ptrdiff_t>(place), std::make_move_iterator(edits.begin()),
                  std::make_move_iterator(edits.end()));
  }

  std::string_view message_;
  Carry carry_;
  std::vector<Piece> edits_;  // in the order of their places
  bool signed_ = false;
};

}  // namespace

bool fits(std::string_view octets, Carry carry) {
  if (octets.find('\0') != std::string_view::npos) return false;
  if (carry == Carry::kText) return true;
  return has_lines(octets) && (carry == Carry::k8Bit || is_ascii(octets));
}

Reencoding plan_reencoding(std::string_view message, const Part& root, Carry carry) {
  if (fits(message, carry)) return {};
  Planner planner(message, carry);
  planner.visit(root, true, false);
  Reencoding out = planner.take();
  // NUL outside of every body is replaced by the copy.
  if (out.pieces.empty() && message.find('\0') != std::string_view::npos)
    out.pieces.push_back({Piece::Kind::kCopy, {0, message.size()}, {}});
  return out;
}

std::string render_piece(const Piece& piece, std::string_view raw) {
  switch (piece.kind) {
    case Piece::Kind::kText:
      return piece.text;
    case Piece::Kind::kBase64:
      return encode_base64_lines(raw);
    case Piece::Kind::kQuotedPrintable:
      return encode_quoted_printable(raw);
    case Piece::Kind::kCopy:
      break;
  }
  std::string out(raw);
  std::replace(out.begin(), out.end(), '\0', '\x80');
  return out;
}

std::string reencode(std::string_view message, const std::vector<Piece>& pieces) {
  if (pieces.empty()) return std::string(message);
  std::string out;
  for (const Piece& piece : pieces) out += render_piece(piece, piece.raw.of(message));
  return out;
}

std::uint64_t rendered_size(const Piece& piece) {
  const std::uint64_t size = piece.raw.size;
  if (piece.kind == Piece::Kind::kText) return piece.text.size();
  if (piece.kind != Piece::Kind::kBase64) return size;
  const std::uint64_t rest = size % kLineOctets;
  return size / kLineOctets * kLineCharacters + (rest == 0 ? 0 : (rest + 2) / 3 * 4 + 2);
}

}  // namespace merpati::mime
