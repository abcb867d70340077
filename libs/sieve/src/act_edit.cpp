// Actions that change the message: addheader and deleteheader (RFC 5293), extracttext, replace, enclose (RFC 5703).
#include <algorithm>

#include "machine.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/header.hpp"
#include "values.hpp"

namespace merpati::sieve {
namespace {

/// RFC 5293 6: traces that a script must not take away.
bool is_protected(std::string_view name) {
  return mime::iequals(name, "Received") || mime::iequals(name, "Auto-Submitted");
}

/// Lines end in CRLF, and the last one too.
std::string with_crlf(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out += '\r';
    out += text[i];
  }
  if (!out.ends_with('\n')) out += "\r\n";
  return out;
}

constexpr std::string_view kTextHeader =
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";

/// A MIME entity: header, empty line, body.
struct Entity {
  std::string header, body;
};
Entity entity_of(std::string_view text, bool mime_given) {
  const std::string whole = with_crlf(text);
  if (!mime_given) return {std::string(kTextHeader), whole};
  const std::size_t size = mime::header_block_size(whole);
  Entity out{{}, whole.substr(size)};
  mime::FieldReader reader(std::string_view(whole).substr(0, size));
  for (mime::Field field; reader.next(field);)
    if (mime::iequals(field.name.substr(0, 8), "content-")) out.header += field.raw;
  return out;
}

std::string without_content_fields(std::string_view header, std::initializer_list<std::string_view> more) {
  std::string out;
  mime::FieldReader reader(header);
  for (mime::Field field; reader.next(field);) {
    const bool named = std::ranges::any_of(more, [&](auto name) { return mime::iequals(field.name, name); });
    if (!named && !mime::iequals(field.name.substr(0, 8), "content-") && !mime::iequals(field.name, "mime-version"))
      out += field.raw;
  }
  if (!out.empty() && !out.ends_with('\n')) out += "\r\n";
  return out;
}

}  // namespace

std::string Machine::now_field() const {
  return "Date: " + mime::format_date({env_.now(), env_.zone_minutes()}) + "\r\n";
}

Machine::Flow Machine::addheader(const Node& node) {
  const std::string name = expand(node.args[0].texts[0]), value = expand(node.args[1].texts[0]);
  // RFC 5293 4: a name or value that is none is an error; so a value can never start another field
  if (!is_field_name(name)) return fail(node, "\"" + name + "\" is no name of a header field");
  if (!is_field_value(value)) return fail(node, "the value for " + name + " has line ends or control characters");
  if (is_protected(name)) return fail(node, name + " cannot be added by a script");
  if (++edits_ > options_.limits.max_header_edits)
    return fail(node, "more than " + std::to_string(options_.limits.max_header_edits) + " edits of the header");
  if (!use_memory(node, name.size() + value.size())) return Flow::kFailed;
  trace(node, "addheader " + name + ": " + value);
  message_.add_field(make_field(name, value), node.has(Tag::kLast));
  return Flow::kNext;
}

Machine::Flow Machine::deleteheader(const Node& node) {
  const std::string name = expand(node.args[0].texts[0]);
  if (!is_field_name(name)) return fail(node, "\"" + name + "\" is no name of a header field");
  if (is_protected(name)) {
    trace(node, "deleteheader " + name + ": this field stays");
    return Flow::kNext;
  }
  auto& fields = message_.fields();
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < fields.size(); ++i)
    if (mime::iequals(fields[i].name, name)) found.push_back(i);
  if (const Value* index = node.find(Tag::kIndex)) {
    const std::uint64_t at = index->number;
    const bool last = node.has(Tag::kLast);
    found = at == 0 || at > found.size() ? std::vector<std::size_t>()
                                         : std::vector<std::size_t>{found[last ? found.size() - at : at - 1]};
  }
  if (node.args.size() == 2) {
    if (node.matching.type == Tag::kCount) {
      // RFC 5293 5: the count of all that were chosen
      if (!matches(node, std::vector<std::string_view>(found.size()))) found.clear();
    } else {
      std::erase_if(found, [&](std::size_t i) { return !matches(node, {message_.decoded(fields[i])}); });
    }
  }
  if (out_.error) return Flow::kFailed;
  trace(node, "deleteheader " + name + ": " + std::to_string(found.size()));
  for (auto i = found.rbegin(); i != found.rend(); ++i) message_.delete_field(*i);
  return Flow::kNext;
}

Machine::Flow Machine::extracttext(const Node& node) {
  const mime::Part& part = part_here();
  std::string text;
  if (part.type == "text") {
    if (!step(node, 1 + part.body.size / 256)) return Flow::kFailed;
    text = mime::readable_text(message_.raw(), part, part.body.size);
  }
  if (const Value* first = node.find(Tag::kFirst)) {
    // RFC 5703 7: characters
    std::size_t at = 0;
    for (std::uint64_t count = 0; at < text.size() && count < first->number; ++count)
      for (++at; at < text.size() && (text[at] & 0xC0) == 0x80;) ++at;
    text.resize(at);
  }
  modify(node, text);
  assign(node, node.args[0].texts[0], std::move(text));
  return Flow::kNext;
}

std::string Machine::present_form() {
  if (pending_) return *pending_;
  std::string body(message_.raw_body());
  const std::size_t header = message_.raw().size() - body.size();
  for (auto one = replacements_.rbegin(); one != replacements_.rend(); ++one)
    body.replace(one->span.offset - header, one->span.size, one->text);
  return message_.header_edited() || body.size() != message_.raw_body().size() || !replacements_.empty()
             ? message_.header() + body
             : std::string(message_.raw());
}

void Machine::apply_replacements() {
  if (replacements_.empty() && !pending_) return;
  std::string whole = present_form();
  replacements_.clear();
  pending_.reset();
  message_.become(std::move(whole));
}

std::size_t Machine::version() {
  if (replacements_.empty() && !pending_) return message_.version(out_.versions);
  std::string whole = present_form();
  const std::size_t header = mime::header_block_size(whole);
  out_.versions.push_back({whole.substr(0, header), whole.substr(header)});
  return out_.versions.size() - 1;
}

Machine::Flow Machine::become(std::string whole) {
  if (parts_.empty())
    message_.become(std::move(whole));
  else
    pending_ = std::move(whole);  // inside of a loop its parts stay where they are until it ends
  return Flow::kNext;
}

Machine::Flow Machine::replace(const Node& node) {
  const std::string text = expand(node.args[0].texts[0]);
  Entity entity = entity_of(text, node.has(Tag::kMime));
  trace(node, "replace");
  if (!use_memory(node, entity.header.size() + entity.body.size())) return Flow::kFailed;
  const mime::Part* part = parts_.empty() ? nullptr : parts_.back();
  if (part != nullptr && part != &message_.root_part()) {
    mime::Span span{part->header.offset, part->body.end() - part->header.offset};
    while (entity.body.ends_with("\r\n")) entity.body.resize(entity.body.size() - 2);
    std::erase_if(replacements_, [&](const Replacement& had) {
      return had.span.offset >= span.offset && had.span.end() <= span.end();
    });
    const auto after =
        std::ranges::find_if(replacements_, [&](const auto& had) { return had.span.offset > span.offset; });
    replacements_.insert(after, {span, entity.header + "\r\n" + entity.body});
    return Flow::kNext;
  }
  // RFC 5703 5: the whole message; what :subject and :from replace stays as Original-*
  if (!use_memory(node, message_.header().size())) return Flow::kFailed;
  std::string added;
  std::vector<std::string_view> gone;
  for (const auto& [tag, name] : {std::pair(Tag::kSubject, "Subject"), std::pair(Tag::kFrom, "From")}) {
    if (!node.has(tag)) continue;
    const std::string value = mime::unfold(option(node, tag));
    if (tag == Tag::kFrom && !is_mail_address(value)) return fail(node, "\"" + value + "\" is no mail address");
    if (const auto old = first_raw(name); !old.empty())
      added += make_field("Original-" + std::string(name), mime::trim(old));
    added += make_field(name, value);
    gone.push_back(name);
  }
  std::string header = message_.header();
  header = without_content_fields(header, {gone.size() > 0 ? gone[0] : "", gone.size() > 1 ? gone[1] : ""});
  std::string whole = header + added + "MIME-Version: 1.0\r\n" + entity.header + "\r\n" + entity.body;
  replacements_.clear();
  return become(std::move(whole));
}

Machine::Flow Machine::enclose(const Node& node) {
  trace(node, "enclose");
  if (!enclosed_) enclosed_ = version();
  const std::string inner = present_form();
  if (!use_memory(node, inner.size())) return Flow::kFailed;
  std::string header;
  std::vector<std::string> copied;
  if (const Value* names = node.find(Tag::kHeaders)) copied = expand(*names);
  const auto is_copied = [&](std::string_view name) {
    return std::ranges::any_of(copied, [&](const std::string& one) { return mime::iequals(one, name); });
  };
  for (const auto& field : message_.fields()) {
    const bool subject = mime::iequals(field.name, "Subject");
    const bool wanted = is_copied(field.name) || (subject && !node.has(Tag::kSubject));
    if (!wanted || (subject && node.has(Tag::kSubject)) || mime::iequals(field.name.substr(0, 8), "content-")) continue;
    header += field.raw;
    if (!header.ends_with('\n')) header += "\r\n";
  }
  if (!is_copied("Date")) header += now_field();
  if (!is_copied("From")) header += "From: <" + envelope_.to + ">\r\n";
  if (node.has(Tag::kSubject)) header += make_field("Subject", mime::unfold(option(node, Tag::kSubject)));
  // The boundary is no line of the message, since it is made of its hash.
  const std::string boundary = "enclosed-" + to_hex(sha256(inner)).substr(0, 32);
  replacements_.clear();
  return become(header + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" +
                boundary + "\r\n" + std::string(kTextHeader) + "\r\n" + with_crlf(expand(node.args[0].texts[0])) +
                "\r\n--" + boundary + "\r\nContent-Type: message/rfc822\r\n\r\n" + inner + "\r\n--" + boundary +
                "--\r\n");
}

}  // namespace merpati::sieve
