// Actions that make another message: vacation (RFC 5230), notify (RFC 5435, RFC 5436), report.
#include <algorithm>

#include "machine.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"
#include "values.hpp"

namespace merpati::sieve {

std::string_view Machine::first_raw(std::string_view name) {
  for (const auto& field : message_.fields())
    if (mime::iequals(field.name, name)) return field.value;
  return {};
}

std::string Machine::first_field(std::string_view name) {
  for (auto& field : message_.fields())
    if (mime::iequals(field.name, name)) return std::string(message_.decoded(field));
  return {};
}

std::optional<Filing> Machine::fcc(const Node& node) {
  if (!node.has(Tag::kFcc)) return std::nullopt;
  Filing into;
  into.mailbox = option(node, Tag::kFcc);
  into.create = node.has(Tag::kCreate);
  into.mailbox_id = option(node, Tag::kMailboxid);
  into.special_use = option(node, Tag::kSpecialuse);
  if (const Value* flags = node.find(Tag::kFlags)) into.flags = flags_in(expand(*flags));
  return into;
}

/// RFC 5230 4.5 and 4.6, RFC 3834 2: who must not be answered. Empty: an answer may go.
std::string Machine::why_no_vacation(const Node& node) {
  if (envelope_.from.empty()) return "the message is a bounce";
  const std::string local = mime::to_lower(envelope_.from.substr(0, envelope_.from.rfind('@')));
  if (local == "mailer-daemon" || local == "listserv" || local == "majordomo" || local.starts_with("owner-") ||
      local.ends_with("-request") || local.ends_with("-owner") || local.ends_with("-bounces") || local == "noreply" ||
      local == "no-reply")
    return "the sender is no person";
  for (const auto& field : message_.fields()) {
    const std::string name = mime::to_lower(field.name);
    if (name.starts_with("list-")) return "the message is from a list";
    const std::string value = mime::to_lower(mime::trim(field.value));
    if (name == "auto-submitted" && value != "no") return "the message is automatic";
    if (name == "precedence" && (value == "bulk" || value == "list" || value == "junk")) return "the message is bulk";
    if (name == "x-auto-response-suppress" &&
        (value.find("oof") != std::string::npos || value.find("all") != std::string::npos))
      return "the sender wants no automatic answer";
    if (name == "feedback-id") return "the message is bulk";
  }
  std::vector<std::string> mine = env_.own_addresses();
  mine.push_back(envelope_.to);
  if (const Value* more = node.find(Tag::kAddresses))
    for (auto& address : expand(*more)) mine.push_back(addr_spec_of(address));
  const auto is_mine = [&](const std::string& address) {
    return std::ranges::any_of(mine, [&](const std::string& one) { return mime::iequals(one, address); });
  };
  if (is_mine(envelope_.from)) return "the message is from this account";
  // RFC 5230 4.5: and those that are otherwise known to be the recipient's
  std::size_t asked = 0;
  const auto is_known = [&](const std::string& address) {
    bool known = false;
    return ++asked <= options_.limits.max_own_addresses && take(node, env_.is_own_address(address), known) && known;
  };
  static constexpr std::string_view kNamed[] = {"to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"};
  std::vector<std::string> named;
  for (const auto& field : message_.fields()) {
    if (std::ranges::find(kNamed, mime::to_lower(field.name)) == std::end(kNamed)) continue;
    for (const auto& address : mime::parse_addresses(mime::unfold(field.value)))
      if (address.kind == mime::Address::Kind::kMailbox) named.push_back(address.mailbox + "@" + address.host);
  }
  if (std::ranges::any_of(named, is_mine) || std::ranges::any_of(named, is_known)) return {};
  return "the message names none of this account's addresses (:addresses tells of more)";
}

Machine::Flow Machine::vacation(const Node& node) {
  if (vacation_done_) return fail(node, "vacation may be used once for a message");  // RFC 5230 4.7
  vacation_done_ = true;
  const RunLimits& limits = options_.limits;
  Vacation reply;
  reply.seconds = limits.default_vacation_seconds;
  if (const Value* days = node.find(Tag::kDays))
    reply.seconds = static_cast<std::int64_t>(std::min<std::uint64_t>(days->number, 36'500)) * 86'400;
  reply.seconds = std::clamp(reply.seconds, limits.min_vacation_seconds, limits.max_vacation_seconds);
  // RFC 6131 2: 0 answers every message
  if (const Value* seconds = node.find(Tag::kSeconds))
    reply.seconds = static_cast<std::int64_t>(
        std::min<std::uint64_t>(seconds->number, static_cast<std::uint64_t>(limits.max_vacation_seconds)));
  reply.reason = expand(node.args[0].texts[0]);
  reply.mime = node.has(Tag::kMime);
  reply.from = option(node, Tag::kFrom);
  if (node.has(Tag::kFrom) && !is_mail_address(reply.from))
    return fail(node, "\"" + reply.from + "\" is no mail address");
  reply.subject = mime::unfold(option(node, Tag::kSubject));
  std::string handle = option(node, Tag::kHandle);
  // RFC 5230 4.2: without a handle, what the answer says
  if (handle.empty())
    handle = reply.subject + '\n' + reply.from + '\n' + (reply.mime ? "m" : "t") + '\n' + reply.reason;
  if (const std::string why = why_no_vacation(node); !why.empty()) {
    trace(node, "vacation: no answer, because " + why);
    return out_.error ? Flow::kFailed : Flow::kNext;
  }
  reply.to = envelope_.from;
  reply.key = to_hex(sha256(handle + '\0' + mime::to_lower(reply.to)));
  // RFC 5230 4.4: Auto: and the subject that is answered
  if (!node.has(Tag::kSubject)) {
    const std::string subject = first_field("subject");
    reply.subject = subject.empty() ? "Automated reply" : "Auto: " + subject;
  }
  reply.in_reply_to = mime::unfold(first_raw("message-id"));
  const std::string references = mime::unfold(first_raw("references"));
  reply.references = references.empty() ? reply.in_reply_to : references + " " + reply.in_reply_to;
  reply.fcc = fcc(node);
  trace(node, "vacation to \"" + reply.to + "\"");
  return add(node, std::move(reply));
}

Machine::Flow Machine::notify(const Node& node) {
  Notify note;
  note.method = expand(node.args[0].texts[0]);
  auto mailto = parse_mailto(note.method);
  if (!mailto) return fail(node, "\"" + note.method + "\" is no way to notify: mailto: with an address");
  note.recipients = std::move(mailto->recipients);
  note.headers = std::move(mailto->headers);
  note.from = option(node, Tag::kFrom);
  if (node.has(Tag::kFrom) && !is_mail_address(note.from))
    return fail(node, "\"" + note.from + "\" is no mail address");
  note.importance = node.has(Tag::kImportance) ? option(node, Tag::kImportance) : "2";  // RFC 5435 3.4
  note.message = option(node, Tag::kMessage);
  if (const Value* options = node.find(Tag::kOptions)) note.options = expand(*options);
  note.fcc = fcc(node);
  trace(node, "notify \"" + note.method + "\"");
  // RFC 5436 2.7.1: automatic mail makes no notification, so that two accounts cannot notify each other for ever
  const std::string automatic = mime::to_lower(first_field("auto-submitted"));
  if (automatic.starts_with("auto-notified") || automatic.starts_with("auto-replied")) {
    trace(node, "notify: none, because the message is automatic");
    return Flow::kNext;
  }
  for (const Action& had : out_.actions)
    if (const auto* other = std::get_if<Notify>(&had.what); other != nullptr && other->method == note.method)
      return Flow::kNext;
  if (++notifications_ > options_.limits.max_notifications)
    return fail(node, "more than " + std::to_string(options_.limits.max_notifications) + " notifications");
  return add(node, std::move(note));
}

Machine::Flow Machine::report(const Node& node) {
  Report made{expand(node.args[0].texts[0]), expand(node.args[1].texts[0]), expand(node.args[2].texts[0]),
              node.has(Tag::kHeadersOnly)};
  const bool token = !made.type.empty() && std::ranges::all_of(made.type, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!token) return fail(node, "\"" + made.type + "\" is no type of a feedback report, such as \"abuse\"");
  const std::string address = addr_spec_of(made.to);
  if (address.empty()) return fail(node, "\"" + made.to + "\" is no mail address");
  made.to = address;
  if (++notifications_ > options_.limits.max_notifications)
    return fail(node, "more than " + std::to_string(options_.limits.max_notifications) + " notifications");
  trace(node, "report \"" + made.type + "\" to \"" + made.to + "\"");
  return add(node, std::move(made));
}

}  // namespace merpati::sieve
