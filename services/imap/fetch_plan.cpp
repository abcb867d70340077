#include "imap/fetch_plan.hpp"

namespace merpati::imap {
namespace {

using Kind = FetchItem::Kind;
using Text = Section::Text;

void plan_section(FetchPlan& plan, const FetchItem& item) {
  plan.mask.set_size(true);
  if (in_row_header(item)) {
    plan.mask.set_header(true);
    return;
  }
  plan.contents = true;
  if (!item.section.part.empty() || item.section.text != Text::kAll || item.kind != Kind::kBodySection)
    plan.mask.set_parts(true);
}

bool picks_fields(const FetchItem& item) {
  return item.section.text == Text::kHeaderFields || item.section.text == Text::kHeaderFieldsNot;
}

}  // namespace

FetchPlan::FetchPlan(const FetchArguments& arguments, bool uid_command, bool can_set_seen) {
  for (const auto& item : arguments.items) {
    switch (item.kind) {
      case Kind::kUid:
        has_uid = true;
        break;
      case Kind::kFlags:
        has_flags = true;
        break;
      case Kind::kModSeq:
        has_modseq = true;
        break;
      case Kind::kInternalDate:
        mask.set_received_at(true);
        break;
      case Kind::kRfc822Size:
        mask.set_size(true);
        break;
      case Kind::kEnvelope:
        mask.set_envelope(true);
        break;
      case Kind::kBody:
        mask.set_body(true);
        break;
      case Kind::kBodyStructure:
        mask.set_bodystructure(true);
        break;
      case Kind::kBodySection:
      case Kind::kBinary:
      case Kind::kBinarySize:
        plan_section(*this, item);
        sets_seen = sets_seen || (can_set_seen && !item.peek);
        break;
    }
  }
  add_uid = uid_command && !has_uid;
  add_modseq = arguments.changed_since.has_value() && !has_modseq;
  mask.set_flags(has_flags || has_modseq || add_modseq || sets_seen);
}

bool in_row_header(const FetchItem& item) {
  return item.kind == Kind::kBodySection && item.section.part.empty() &&
         (item.section.text == Text::kHeader || picks_fields(item));
}

std::optional<OctetRange> content_range(const pb::MessageRow& row, const FetchItem& item) {
  if (item.kind != Kind::kBodySection && item.kind != Kind::kBinary && item.kind != Kind::kBinarySize)
    return std::nullopt;
  if (in_row_header(item)) return std::nullopt;
  // BINARY[] is the message as it came, NUL octets too; everything else counts in what is shown.
  if (item.kind != Kind::kBodySection && item.section.part.empty() && row.verbatim_size() != 0)
    return OctetRange{0, row.verbatim_size(), true};
  const auto range = locate(row, item.section);
  // Decoding and picking need the whole; a partial is cut from the result.
  if (!range || item.kind != Kind::kBodySection || picks_fields(item)) return range;
  return cut(*range, item.partial);
}

}  // namespace merpati::imap
