#include "store/summary.hpp"

#include <algorithm>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/imap_format.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/store/v1/summary.pb.h"
#include "store/view.hpp"

namespace merpati::store {
namespace {
constexpr std::size_t kMaxText = 1000;
constexpr std::size_t kMaxReferences = 50;

// At most `max` octets, never in the middle of a character.
std::string cut(std::string text, std::size_t max = kMaxText) {
  if (text.size() > max) {
    while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xC0) == 0x80) --max;
    text.resize(max);
  }
  return text;
}

std::string utf8(std::string_view text) { return mime::to_utf8("", text); }

std::string first_address(const std::vector<mime::Address>& list) {
  for (const mime::Address& a : list) {
    if (a.kind != mime::Address::Kind::kMailbox) continue;
    const std::string name = mime::decode_encoded_words(a.name);
    const std::string spec = utf8(mime::to_addr_spec(a));
    return cut(name.empty() ? spec : name + " <" + spec + ">");
  }
  return {};
}

std::string without_brackets(std::string_view id) {
  if (id.starts_with('<')) id.remove_prefix(1);
  if (id.ends_with('>')) id.remove_suffix(1);
  return cut(utf8(id));
}

void fill_part(const mime::Part& part, v1::Part& out) {
  out.set_type(utf8(part.type + "/" + part.subtype));
  out.set_header_offset(static_cast<std::uint32_t>(part.header.offset));
  out.set_body_offset(static_cast<std::uint32_t>(part.body.offset));
  out.set_body_size(static_cast<std::uint32_t>(part.body.size));
  out.set_body_lines(static_cast<std::uint32_t>(part.lines));
  out.set_encoding(utf8(part.encoding));
  if (part.type == "text") {
    if (const auto charset = mime::find_parameter(part.parameters, "charset")) {
      out.set_charset(cut(utf8(mime::to_lower(*charset)), 100));
    }
  }
  if (part.id) out.set_content_id(cut(utf8(*part.id)));
  out.set_filename(cut(part.filename));
  out.set_attachment(part.attachment);
  for (const mime::Part& child : part.children) fill_part(child, *out.add_parts());
}
}  // namespace

namespace {
void fill_summary(const mime::Summary& summary, v1::MessageSummary& out) {
  out.set_version(kSummaryVersion);
  out.set_envelope(mime::render_envelope(summary.envelope));
  out.set_body(mime::render_body(summary.root));
  out.set_bodystructure(mime::render_bodystructure(summary.root));
  fill_part(summary.root, *out.mutable_root());
  if (summary.envelope.subject) out.set_subject(cut(mime::decode_encoded_words(*summary.envelope.subject)));
  out.set_base_subject(cut(summary.base_subject));
  out.set_from(first_address(summary.envelope.from));
  out.set_to(first_address(summary.envelope.to));
  out.set_cc(first_address(summary.envelope.cc));
  if (!summary.message_ids.empty()) out.set_message_id(without_brackets(summary.message_ids.front()));
  const std::size_t skip = summary.references.size() - std::min(summary.references.size(), kMaxReferences);
  for (std::size_t i = skip; i < summary.references.size(); ++i) {
    out.add_references(without_brackets(summary.references[i]));
  }
  out.set_preview(summary.preview);
  out.set_has_attachment(summary.has_attachments);
  if (summary.date) {
    out.set_date(summary.date->unix_seconds);
    out.set_date_zone_minutes(summary.date->zone_minutes);
  }
  out.set_header_bytes(static_cast<std::uint32_t>(summary.root.header.size));
  out.set_has_nul(summary.is_binary);
  out.set_has_8bit(summary.has_8bit);
}
}  // namespace

void summarize_message(std::string_view message, v1::MessageSummary& out) {
  const mime::Summary summary = mime::summarize(message);
  const auto view =
      summary.is_binary ? mime::plan_reencoding(message, summary.root, mime::Carry::kText).pieces : View();
  if (view.empty()) return fill_summary(summary, out);
  const std::string shown = mime::reencode(message, view);
  fill_summary(mime::summarize(shown), out);
  out.set_has_nul(true);
  set_view(view, message.size(), out);
}

}  // namespace merpati::store
