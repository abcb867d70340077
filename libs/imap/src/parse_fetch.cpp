// FETCH and STORE: items, sections, partials, modifiers (RFC 9051 6.4.5, 6.4.6; RFC 7162 3.1).
#include "cursor.hpp"
#include "merpati/imap/format.hpp"

namespace merpati::imap {
namespace {

using Kind = FetchItem::Kind;

FetchItem simple(Kind kind, const char* label) {
  FetchItem item;
  item.kind = kind;
  item.label = label;
  return item;
}

FetchItem section_item(Section::Text text, const char* label, bool peek) {
  FetchItem item = simple(Kind::kBodySection, label);
  item.section.text = text;
  item.peek = peek;
  return item;
}

bool parse_header_list(Cursor& in, Section& section, std::string& label) {
  if (!in.space() || !in.expect('(', "Expected a list of header names")) return false;
  label += " (";
  do {
    std::string name;
    if (!in.astring(name)) return false;
    if (!section.fields.empty()) label += ' ';
    append_astring(label, name);
    section.fields.push_back(std::move(name));
    if (section.fields.size() > 500) return in.fail("Too many header names");
  } while (in.maybe(' '));
  label += ')';
  return in.expect(')', "Expected ) after the header names");
}

bool parse_section_text(Cursor& in, Section& section, std::string& label) {
  using Text = Section::Text;
  if (in.keyword("HEADER.FIELDS.NOT")) {
    section.text = Text::kHeaderFieldsNot;
    label += "HEADER.FIELDS.NOT";
    return parse_header_list(in, section, label);
  }
  if (in.keyword("HEADER.FIELDS")) {
    section.text = Text::kHeaderFields;
    label += "HEADER.FIELDS";
    return parse_header_list(in, section, label);
  }
  if (in.keyword("HEADER")) {
    section.text = Text::kHeader;
    label += "HEADER";
    return true;
  }
  if (in.keyword("TEXT")) {
    section.text = Text::kText;
    label += "TEXT";
    return true;
  }
  if (in.keyword("MIME")) {
    // RFC 9051 6.4.5.1: MIME must be prefixed by a part number.
    if (section.part.empty()) return in.fail("MIME needs a part number");
    section.text = Text::kMime;
    label += "MIME";
    return true;
  }
  return in.fail("Unknown section");
}

// After '[', up to and with ']'. Part numbers with an optional text where `allow_text`.
bool parse_section(Cursor& in, Section& section, std::string& label, bool allow_text) {
  label += '[';
  while (in.peek() >= '0' && in.peek() <= '9') {
    std::uint32_t number = 0;
    if (!in.nz_number(number)) return false;
    section.part.push_back(number);
    if (section.part.size() > 100) return in.fail("The section is nested too deeply");
    append_number(label, number);
    if (!in.maybe('.')) break;
    label += '.';
    if (in.peek() == ']') return in.fail("The section ends with a dot");
  }
  if (in.peek() != ']') {
    if (!allow_text || (!section.part.empty() && label.back() != '.')) return in.fail("Bad section");
    if (!parse_section_text(in, section, label)) return false;
  }
  label += ']';
  return in.expect(']', "Expected ] after the section");
}

bool parse_partial(Cursor& in, FetchItem& item) {
  if (!in.maybe('<')) return true;
  FetchItem::Partial partial;
  constexpr std::uint64_t kMost = 0x7fffffffffffffffULL;  // number64 of RFC 9051
  if (!in.number(partial.offset, kMost) || !in.expect('.', "Bad partial range") || !in.number(partial.length, kMost))
    return false;
  if (partial.length == 0) return in.fail("A partial range of length zero");
  item.partial = partial;
  item.label += '<';
  append_number(item.label, partial.offset);
  item.label += '>';
  return in.expect('>', "Bad partial range");
}

bool parse_body(Cursor& in, std::vector<FetchItem>& out, bool peek) {
  FetchItem item = simple(Kind::kBodySection, "BODY");
  item.peek = peek;
  if (!parse_section(in, item.section, item.label, true) || !parse_partial(in, item)) return false;
  out.push_back(std::move(item));
  return true;
}

bool parse_binary(Cursor& in, std::vector<FetchItem>& out, Kind kind, bool peek) {
  FetchItem item = simple(kind, kind == Kind::kBinary ? "BINARY" : "BINARY.SIZE");
  item.peek = peek;
  if (!parse_section(in, item.section, item.label, false)) return false;
  if (kind == Kind::kBinary && !parse_partial(in, item)) return false;
  out.push_back(std::move(item));
  return true;
}

bool parse_item(Cursor& in, std::vector<FetchItem>& out) {
  if (in.keyword("UID")) return out.push_back(simple(Kind::kUid, "UID")), true;
  if (in.keyword("FLAGS")) return out.push_back(simple(Kind::kFlags, "FLAGS")), true;
  if (in.keyword("INTERNALDATE")) return out.push_back(simple(Kind::kInternalDate, "INTERNALDATE")), true;
  if (in.keyword("RFC822.SIZE")) return out.push_back(simple(Kind::kRfc822Size, "RFC822.SIZE")), true;
  if (in.keyword("RFC822.HEADER"))
    return out.push_back(section_item(Section::Text::kHeader, "RFC822.HEADER", true)), true;
  if (in.keyword("RFC822.TEXT")) return out.push_back(section_item(Section::Text::kText, "RFC822.TEXT", false)), true;
  if (in.keyword("RFC822")) return out.push_back(section_item(Section::Text::kAll, "RFC822", false)), true;
  if (in.keyword("ENVELOPE")) return out.push_back(simple(Kind::kEnvelope, "ENVELOPE")), true;
  if (in.keyword("BODYSTRUCTURE")) return out.push_back(simple(Kind::kBodyStructure, "BODYSTRUCTURE")), true;
  if (in.keyword("MODSEQ")) return out.push_back(simple(Kind::kModSeq, "MODSEQ")), true;
  if (in.keyword("BODY.PEEK[")) return parse_body(in, out, true);
  if (in.keyword("BODY[")) return parse_body(in, out, false);
  if (in.keyword("BINARY.PEEK[")) return parse_binary(in, out, Kind::kBinary, true);
  if (in.keyword("BINARY.SIZE[")) return parse_binary(in, out, Kind::kBinarySize, true);
  if (in.keyword("BINARY[")) return parse_binary(in, out, Kind::kBinary, false);
  if (in.keyword("BODY")) return out.push_back(simple(Kind::kBody, "BODY")), true;
  return in.fail("Unknown FETCH item");
}

void add_macro(std::vector<FetchItem>& out, bool envelope, bool body) {
  out.push_back(simple(Kind::kFlags, "FLAGS"));
  out.push_back(simple(Kind::kInternalDate, "INTERNALDATE"));
  out.push_back(simple(Kind::kRfc822Size, "RFC822.SIZE"));
  if (envelope) out.push_back(simple(Kind::kEnvelope, "ENVELOPE"));
  if (body) out.push_back(simple(Kind::kBody, "BODY"));
}

bool parse_items(Cursor& in, std::vector<FetchItem>& out) {
  if (in.keyword("ALL")) return add_macro(out, true, false), true;
  if (in.keyword("FAST")) return add_macro(out, false, false), true;
  if (in.keyword("FULL")) return add_macro(out, true, true), true;
  if (!in.maybe('(')) return parse_item(in, out);
  do {
    if (!parse_item(in, out)) return false;
    if (out.size() > 500) return in.fail("Too many FETCH items");
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the FETCH items");
}

constexpr std::uint64_t kMostModSeq = 0x7fffffffffffffffULL;  // RFC 7162 7: 63-bit

bool parse_fetch_modifiers(Cursor& in, FetchArguments& out) {
  if (!in.expect('(', "Expected FETCH modifiers")) return false;
  do {
    std::uint64_t modseq = 0;
    if (!in.keyword_or_fail("CHANGEDSINCE", "Unknown FETCH modifier") || !in.space() || !in.number(modseq, kMostModSeq))
      return false;
    if (modseq == 0) return in.fail("CHANGEDSINCE needs a number above zero");
    out.changed_since = modseq;
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the modifiers");
}

}  // namespace

bool parse_fetch(Cursor& in, FetchArguments& out) {
  if (!in.sequence_set(out.set) || !in.space() || !parse_items(in, out.items)) return false;
  return !in.maybe(' ') || parse_fetch_modifiers(in, out);
}

bool parse_store(Cursor& in, StoreArguments& out) {
  if (!in.sequence_set(out.set) || !in.space()) return false;
  if (in.maybe('(')) {
    std::uint64_t modseq = 0;
    if (!in.keyword_or_fail("UNCHANGEDSINCE", "Unknown STORE modifier") || !in.space() ||
        !in.number(modseq, kMostModSeq))
      return false;
    out.unchanged_since = modseq;
    if (!in.expect(')', "Expected ) after the modifiers") || !in.space()) return false;
  }
  out.mode = in.maybe('+')   ? StoreArguments::Mode::kAdd
             : in.maybe('-') ? StoreArguments::Mode::kRemove
                             : StoreArguments::Mode::kReplace;
  out.silent = in.keyword("FLAGS.SILENT");
  if (!out.silent && !in.keyword_or_fail("FLAGS", "Expected FLAGS or FLAGS.SILENT")) return false;
  return in.space() && in.flag_list(out.flags, true);
}

}  // namespace merpati::imap
