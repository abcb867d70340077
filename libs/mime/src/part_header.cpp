#include "part_header.hpp"

#include "merpati/mime/header.hpp"
#include "merpati/mime/message_id.hpp"
#include "merpati/mime/subject.hpp"

namespace merpati::mime {
namespace {
std::string text_of(std::string_view value, const Limits& limits) {
  std::string out = unfold(value.substr(0, limits.max_text));
  return out;
}

void set_once(std::optional<std::string>& slot, std::string_view value, const Limits& limits) {
  if (!slot) slot = text_of(value, limits);
}

bool starts_like(std::string_view name, std::string_view prefix) {
  return name.size() > prefix.size() && iequals(name.substr(0, prefix.size()), prefix);
}

// A token such as base64, without comments.
std::string first_token(std::string_view value) {
  std::size_t at = 0;
  skip_cfws(value, at);
  std::size_t end = at;
  while (end < value.size() && static_cast<unsigned char>(value[end]) > 32 && value[end] != ';' && value[end] != '(') {
    ++end;
  }
  return to_lower(value.substr(at, end - at));
}

// RFC 3282: tags between commas.
std::vector<std::string> languages_of(std::string_view value) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < value.size() && out.size() < 32) {
    skip_cfws(value, at);
    const std::size_t start = at;
    while (at < value.size() && value[at] != ',' && value[at] != '(' && static_cast<unsigned char>(value[at]) > 32)
      ++at;
    if (at > start)
      out.emplace_back(value.substr(start, at - start));
    else if (at < value.size())
      ++at;
  }
  return out;
}

void set_content_field(const Field& field, std::string_view rest, const Limits& limits, Part& part, bool& has_type) {
  if (iequals(rest, "type")) {
    if (has_type) return;
    has_type = true;
    if (auto parsed = parse_content_type(field.value)) {
      part.type = std::move(parsed->type);
      part.subtype = std::move(parsed->subtype);
      part.parameters = std::move(parsed->parameters);
    } else {
      // RFC 2045 5.2: what cannot be read is plain text.
      part.type = "text";
      part.subtype = "plain";
    }
  } else if (iequals(rest, "transfer-encoding")) {
    if (part.encoding.empty()) part.encoding = first_token(field.value);
  } else if (iequals(rest, "disposition")) {
    if (!part.disposition) part.disposition = parse_disposition(field.value);
  } else if (iequals(rest, "id")) {
    set_once(part.id, field.value, limits);
  } else if (iequals(rest, "description")) {
    set_once(part.description, field.value, limits);
  } else if (iequals(rest, "md5")) {
    set_once(part.md5, field.value, limits);
  } else if (iequals(rest, "location")) {
    set_once(part.location, field.value, limits);
  } else if (iequals(rest, "language")) {
    if (part.language.empty()) part.language = languages_of(field.value);
  }
}
}  // namespace

void read_part_header(std::string_view block, DefaultType default_type, const Limits& limits, Part& part) {
  bool has_type = false;
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    if (!starts_like(field.name, "content-")) continue;
    set_content_field(field, field.name.substr(8), limits, part, has_type);
  }
  if (!has_type) {
    const bool message = default_type == DefaultType::kMessage;
    part.type = message ? "message" : "text";
    part.subtype = message ? "rfc822" : "plain";
  }
  if (part.encoding.empty()) part.encoding = "7bit";
}

void read_envelope(std::string_view block, const Limits& limits, Envelope& e) {
  std::size_t left = limits.max_addresses;
  const auto addresses = [&](std::vector<Address>& list, std::string_view value) {
    const std::size_t before = list.size();
    parse_addresses(value, list, before + left);
    left -= std::min(left, list.size() - before);
  };
  FieldReader reader(block);
  for (Field field; reader.next(field);) {
    const std::string_view name = field.name;
    switch (name.size()) {
      case 2:
        if (iequals(name, "to"))
          addresses(e.to, field.value);
        else if (iequals(name, "cc"))
          addresses(e.cc, field.value);
        break;
      case 3:
        if (iequals(name, "bcc")) addresses(e.bcc, field.value);
        break;
      case 4:
        if (iequals(name, "from"))
          addresses(e.from, field.value);
        else if (iequals(name, "date"))
          set_once(e.date, field.value, limits);
        break;
      case 6:
        if (iequals(name, "sender")) addresses(e.sender, field.value);
        break;
      case 7:
        if (iequals(name, "subject")) set_once(e.subject, field.value, limits);
        break;
      case 8:
        if (iequals(name, "reply-to")) addresses(e.reply_to, field.value);
        break;
      case 10:
        if (iequals(name, "message-id")) set_once(e.message_id, field.value, limits);
        break;
      case 11:
        if (iequals(name, "in-reply-to")) set_once(e.in_reply_to, field.value, limits);
        break;
      default:
        break;
    }
  }
}

void read_message_header(std::string_view block, const Limits& limits, Summary& summary) {
  FieldReader reader(block.substr(0, limits.max_header));
  for (Field field; reader.next(field);) {
    if (iequals(field.name, "received")) {
      ++summary.received_count;
    } else if (iequals(field.name, "references") && summary.references.empty()) {
      summary.references = parse_message_ids(field.value.substr(0, limits.max_text));
    }
  }
  const Envelope& e = summary.envelope;
  if (e.message_id) summary.message_ids = parse_message_ids(*e.message_id, 1);
  // RFC 5256 3 THREAD=REFERENCES: without References, the first id of In-Reply-To.
  if (summary.references.empty() && e.in_reply_to) summary.references = parse_message_ids(*e.in_reply_to, 1);
  if (e.date) summary.date = parse_date(*e.date);
  if (e.subject) {
    BaseSubject base = base_subject(*e.subject);
    summary.base_subject = std::move(base.text);
    summary.subject_is_reply = base.is_reply_or_forward;
  }
  unsigned char all = 0;
  for (char c : block) all |= static_cast<unsigned char>(c);
  summary.has_8bit_header = all >= 0x80;
}

}  // namespace merpati::mime
