#include "filter/compose.hpp"

#include <algorithm>
#include <array>

#include "merpati/base/ids.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/message_id.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kMaxValue = 500;  // octets of a value that is made of what others wrote
constexpr std::size_t kMaxReferences = 20;
constexpr std::size_t kMaxReturnedHeader = 16 * 1024;
constexpr std::size_t kMaxReturned = 48 * 1024;
constexpr std::size_t kMaxLine = 900;  // RFC 5322 2.1.1: 998 without CRLF

/// On one line, without control characters, UTF-8.
std::string one_line(std::string_view text, std::size_t max = kMaxValue) {
  std::string out;
  for (char c : mime::to_utf8("", text)) {
    const bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (out.size() >= max && starts) break;
    out.push_back(static_cast<unsigned char>(c) < 32 || c == 127 ? ' ' : c);
  }
  return out;
}

void field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out.append(name).append(": ").append(mime::encode_encoded_words(one_line(value))).append("\r\n");
}

/// `text` is what a script's owner wrote as an address, with a name or without.
std::string written_address(std::string_view text) {
  for (const auto& address : mime::parse_addresses(one_line(text))) {
    if (address.kind != mime::Address::Kind::kMailbox) continue;
    const std::string spec = mime::to_addr_spec(address);
    const std::string name = one_line(mime::decode_encoded_words(address.name));
    if (name.empty()) return "<" + spec + ">";
    if (!mime::is_ascii(name)) return mime::encode_encoded_words(name) + " <" + spec + ">";
    return mime::quoted_string(name) + " <" + spec + ">";
  }
  return {};
}

std::string from_field(const std::string& wanted, const Occasion& occasion) {
  std::string from = wanted.empty() ? std::string() : written_address(wanted);
  if (from.empty()) from = "<" + one_line(occasion.address) + ">";
  return "From: " + from + "\r\n";
}

std::string system_from(const Occasion& occasion) {
  return "From: Mail Delivery System <MAILER-DAEMON@" + occasion.host + ">\r\n";
}

std::string date_and_id(const Occasion& occasion) {
  return "Date: " + mime::format_date({occasion.now, 0}) + "\r\nMessage-ID: <" + new_uuid() + "@" + occasion.host +
         ">\r\n";
}

std::string ids_field(std::string_view name, std::string_view value) {
  auto ids = mime::parse_message_ids(value);
  std::erase_if(ids, [](const std::string& id) { return id.size() > kMaxLine || !mime::is_ascii(id); });
  // RFC 5322 3.6.4 wants the first one kept when some have to go.
  if (ids.size() > kMaxReferences)
    ids.erase(ids.begin() + 1, ids.end() - static_cast<std::ptrdiff_t>(kMaxReferences - 1));
  std::string out;
  for (const auto& id : ids) out.append(out.empty() ? std::string(name) + ": " : "\r\n ").append(id);
  return out.empty() ? out : out + "\r\n";
}

/// Lines end in CRLF, and the last one too.
std::string with_line_ends(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0') continue;
    const bool after_cr = i > 0 && text[i - 1] == '\r';
    if (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) {
      out += "\r\n";
    } else if (text[i] == '\n' && !after_cr) {
      out += "\r\n";
    } else {
      out.push_back(text[i]);
    }
  }
  if (!out.empty() && !out.ends_with("\r\n")) out += "\r\n";
  return out;
}

bool has_long_line(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find("\r\n", at), text.size());
    if (end - at > kMaxLine) return true;
    at = end + 2;
  }
  return false;
}

/// A text part: its header, the empty line, and the text.
std::string text_part(std::string_view text) {
  const std::string lines = with_line_ends(mime::to_utf8("", text));
  const bool plain = mime::is_ascii(lines) && !has_long_line(lines);
  std::string out =
      plain ? "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
            : "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  return out + (plain ? lines : mime::encode_quoted_printable(lines));
}

/// RFC 5230 4.1: the reason with :mime is an entity. Only what describes content may stand in its header: its text may
/// have come from the message by variables.
std::string mime_part(std::string_view entity) {
  const std::string lines = with_line_ends(entity);
  const std::size_t header = mime::header_block_size(lines);
  std::string out;
  mime::FieldReader reader(std::string_view(lines).substr(0, header));
  for (mime::Field one; reader.next(one);)
    if (mime::to_lower(one.name).starts_with("content-")) out.append(one.raw);
  return out + "\r\n" + lines.substr(header);
}

/// multipart/report (RFC 6522).
class ReportBody {
 public:
  explicit ReportBody(std::string_view type)
      : boundary_("=_" + new_uuid()),
        out_("MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=" + std::string(type) +
             ";\r\n boundary=\"" + boundary_ + "\"\r\n\r\n") {}
  /// With header and empty line.
  void part(std::string_view entity) {
    out_.append("--").append(boundary_).append("\r\n").append(entity).append("\r\n");
  }
  void returned(std::string_view type, std::string_view octets) {
    std::string head = "Content-Type: " + std::string(type) + "\r\n";
    if (!mime::is_ascii(octets)) head += "Content-Transfer-Encoding: 8bit\r\n";
    part(head + "\r\n" + std::string(octets));
  }
  std::string finish() && { return std::move(out_) + "--" + boundary_ + "--\r\n"; }

 private:
  std::string boundary_;
  std::string out_;
};

std::string_view returned_header(const Occasion& occasion) {
  return occasion.header.substr(0, std::min(occasion.header.size(), kMaxReturnedHeader));
}

std::string field_of_message(const Occasion& occasion, std::string_view name) {
  const auto found = mime::find_field(occasion.header, name);
  return found ? one_line(mime::trim(mime::decode_encoded_words(mime::unfold(found->value)))) : std::string();
}

/// Which address types there are (RFC 3464 2.3, RFC 6533 3).
std::string typed(std::string_view address) {
  return (mime::is_ascii(address) ? "rfc822; " : "utf-8; ") + one_line(address);
}

}  // namespace

std::string compose_vacation(const sieve::Vacation& reply, const Occasion& occasion) {
  std::string out = from_field(reply.from, occasion);
  out += "To: <" + one_line(reply.to) + ">\r\n";
  field(out, "Subject", reply.subject);
  out += date_and_id(occasion);
  out += ids_field("In-Reply-To", reply.in_reply_to);
  out += ids_field("References", reply.references);
  out += "Auto-Submitted: auto-replied (vacation)\r\nMIME-Version: 1.0\r\n";  // RFC 5230 5.4, RFC 3834 5
  return out + (reply.mime ? mime_part(reply.reason) : text_part(reply.reason));
}

std::string compose_refusal(const sieve::Reject& reject, const Occasion& occasion) {
  std::string out = system_from(occasion);
  out += "To: <" + one_line(occasion.sender) + ">\r\n";
  out += reject.early ? "Subject: Undelivered mail returned to sender\r\n" : "Subject: Automatically rejected mail\r\n";
  out += date_and_id(occasion);
  const std::string id = field_of_message(occasion, "Message-ID");
  out += ids_field("In-Reply-To", id);
  out += "Auto-Submitted: auto-replied (rejected)\r\n";
  ReportBody body(reject.early ? "delivery-status" : "disposition-notification");
  body.part(text_part("The message that you sent to " + one_line(occasion.address) +
                      " was refused by its recipient's mail filter:\r\n\r\n" + reject.reason));
  std::string status;
  if (reject.early) {
    status = "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; " + occasion.host +
             "\r\n\r\nFinal-Recipient: " + typed(occasion.address) + "\r\nAction: failed\r\nStatus: 5.7.1\r\n";
  } else {
    // RFC 8098 3.2.6.2: by a rule, without the person
    status = "Content-Type: message/disposition-notification\r\n\r\nReporting-UA: " + occasion.host +
             "; Merpati\r\nFinal-Recipient: " + typed(occasion.address) + "\r\n";
    if (!id.empty()) status += "Original-Message-ID: " + id + "\r\n";
    status += "Disposition: automatic-action/MDN-sent-automatically; deleted\r\n";
  }
  body.part(status);
  const auto header = returned_header(occasion);
  body.returned(mime::is_ascii(header) ? "text/rfc822-headers" : "message/global-headers", header);
  return out + std::move(body).finish();
}

std::string compose_notification(const sieve::Notify& note, const Occasion& occasion) {
  // RFC 5436 2.7: what the method's header fields must not set
  static constexpr std::array<std::string_view, 14> kOurs = {
      "from",       "sender", "date",         "message-id", "auto-submitted", "received", "return-path",
      "references", "bcc",    "mime-version", "to",         "subject",        "body",     "in-reply-to"};
  std::string out = from_field(note.from, occasion);
  std::string to;
  for (const auto& address : note.recipients) to += (to.empty() ? "<" : ",\r\n <") + one_line(address) + ">";
  out += "To: " + to + "\r\n";
  std::string subject = note.message, text;
  for (const auto& [name, value] : note.headers) {
    const std::string lower = mime::to_lower(name);
    if (lower == "subject" && subject.empty()) subject = value;
    if (lower == "body") text = value;
    if (std::ranges::find(kOurs, lower) != kOurs.end() || lower.starts_with("content-") ||
        lower.starts_with("resent-") || lower.starts_with("list-"))
      continue;
    field(out, name, value);
  }
  if (subject.empty()) subject = field_of_message(occasion, "Subject");
  if (subject.empty()) subject = "New mail";
  field(out, "Subject", subject);
  out += date_and_id(occasion);
  // RFC 5436 2.7.1: it says whose notification it is
  out += "Auto-Submitted: auto-notified";
  if (mime::is_ascii(occasion.address)) out += "; owner-email=\"" + one_line(occasion.address) + "\"";
  out += "\r\n";
  if (note.importance == "1") out += "Importance: high\r\nX-Priority: 1\r\n";
  if (note.importance == "3") out += "Importance: low\r\nX-Priority: 5\r\n";
  out += "MIME-Version: 1.0\r\n";
  if (text.empty())
    text = "From: " + field_of_message(occasion, "From") + "\r\nSubject: " + field_of_message(occasion, "Subject") +
           "\r\nDate: " + field_of_message(occasion, "Date") + "\r\n";
  return out + text_part(text);
}

std::string compose_report(const sieve::Report& report, const Occasion& occasion) {
  std::string out = from_field({}, occasion);
  out += "To: <" + one_line(report.to) + ">\r\n";
  field(out, "Subject", "Report: " + field_of_message(occasion, "Subject"));
  out += date_and_id(occasion);
  out += "Auto-Submitted: auto-generated\r\n";
  ReportBody body("feedback-report");
  body.part(text_part(report.text));
  std::string status = "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: " + report.type +
                       "\r\nUser-Agent: Merpati\r\nVersion: 1\r\nOriginal-Mail-From: <" + one_line(occasion.sender) +
                       ">\r\nOriginal-Rcpt-To: <" + one_line(occasion.address) +
                       ">\r\nArrival-Date: " + mime::format_date({occasion.now, 0}) + "\r\n";
  body.part(status);
  const bool whole = !report.headers_only && !occasion.message.empty() && occasion.message.size() <= kMaxReturned;
  const auto returned = whole ? occasion.message : returned_header(occasion);
  const bool ascii = mime::is_ascii(occasion.header);
  if (whole)
    body.returned(ascii ? "message/rfc822" : "message/global", returned);
  else
    body.returned(ascii ? "text/rfc822-headers" : "message/global-headers", returned);
  return out + std::move(body).finish();
}

std::string compose_error_notice(const sieve::RuntimeError& error, const Occasion& occasion) {
  std::string out = system_from(occasion);
  out += "To: <" + one_line(occasion.address) + ">\r\n";
  out += "Subject: Your mail filter has an error\r\n" + date_and_id(occasion);
  out += "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n";
  const std::string text =
      "Your Sieve script \"" + one_line(error.script) + "\" failed at line " + std::to_string(error.at.line) +
      ", column " + std::to_string(error.at.column) + ":\r\n\r\n    " + one_line(error.message) +
      "\r\n\r\nThe message it failed at is in your INBOX as it came:\r\n\r\n    From: " +
      field_of_message(occasion, "From") + "\r\n    Subject: " + field_of_message(occasion, "Subject") +
      "\r\n\r\nSo are others at which it fails. You are told once for each version of the script.\r\n";
  return out + text_part(text);
}

std::string refusal_text(std::string_view reason) {
  constexpr std::size_t kMost = 400;
  std::string out;
  bool space = false;
  for (char c : reason) {
    if (out.size() >= kMost) break;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      space = !out.empty();
      continue;
    }
    if (space) out.push_back(' ');
    space = false;
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      if ((byte & 0xC0) != 0x80) out.push_back('?');
    } else {
      out.push_back(byte < 32 || byte == 127 ? '?' : c);
    }
  }
  return out.empty() ? "Refused by the recipient's mail filter" : out;
}

}  // namespace merpati::filter
