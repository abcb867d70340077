#include "queue/bounce.hpp"

#include <algorithm>

#include "merpati/base/ids.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/smtp/command.hpp"

namespace merpati::queue {
namespace {
constexpr std::size_t kMaxReturned = 48 * 1024;
constexpr std::size_t kMaxReturnedHeader = 16 * 1024;

// On one line, without control characters: it comes from other hosts.
std::string one_line(std::string_view text, std::size_t max = 500) {
  std::string out;
  for (char c : mime::to_utf8("", text.substr(0, max))) {
    out.push_back(static_cast<unsigned char>(c) < 32 || c == 127 ? ' ' : c);
  }
  return out;
}

std::string date_of(WallTime time) {
  return mime::format_date({std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count(), 0});
}

// RFC 3464 2.3, with the address types of RFC 6533 3.
std::string typed_address(std::string_view address) {
  return (mime::is_ascii(address) ? "rfc822; " : "utf-8; ") + one_line(address, 1000);
}

std::string status_part(const Message& message, const std::vector<FailedRecipient>& failed, std::string_view hostname) {
  std::string out = "Reporting-MTA: dns; " + std::string(hostname) + "\r\n";
  if (!message.envelope_id.empty()) out += "Original-Envelope-Id: " + smtp::encode_xtext(message.envelope_id) + "\r\n";
  out += "Arrival-Date: " + date_of(message.received_at) + "\r\n";
  for (const FailedRecipient& r : failed) {
    out += "\r\n";
    if (!r.original_recipient.empty()) {
      const auto semicolon = r.original_recipient.find(';');
      const auto text = smtp::decode_xtext(std::string_view(r.original_recipient).substr(semicolon + 1));
      if (semicolon != std::string::npos && text) {
        out += "Original-Recipient: " + one_line(r.original_recipient.substr(0, semicolon)) + "; " + one_line(*text) +
               "\r\n";
      }
    }
    out += "Final-Recipient: " + typed_address(r.address) + "\r\n";
    out += "Action: failed\r\n";
    out += "Status: " + r.outcome.status + "\r\n";
    if (!r.outcome.host.empty()) {
      out += "Remote-MTA: dns; " + one_line(r.outcome.host) + "\r\n";
      out += "Diagnostic-Code: smtp; " + one_line(r.outcome.text) + "\r\n";
    }
  }
  return out;
}
}  // namespace

bool wants_failure_notice(std::string_view notify) {
  if (notify.empty()) return true;
  return mime::to_lower(notify).find("failure") != std::string::npos;
}

BounceText compose_bounce(const Message& message, const std::vector<FailedRecipient>& failed, std::string_view original,
                          std::string_view hostname, WallTime now) {
  BounceText out;
  const std::string boundary = "=_" + new_uuid();
  bool utf8 = !mime::is_ascii(message.reverse_path);
  for (const FailedRecipient& r : failed) utf8 |= !mime::is_ascii(r.address);
  out.smtputf8 = utf8;

  std::string& text = out.octets;
  text += "From: Mail Delivery System <MAILER-DAEMON@" + std::string(hostname) + ">\r\n";
  text += "To: <" + one_line(message.reverse_path, 1000) + ">\r\n";
  text += "Subject: Undelivered mail returned to sender\r\n";
  text += "Date: " + date_of(now) + "\r\n";
  text += "Message-ID: <" + new_uuid() + "@" + std::string(hostname) + ">\r\n";
  text += "Auto-Submitted: auto-replied\r\n";  // RFC 3834 5
  text += "MIME-Version: 1.0\r\n";
  text += "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"" + boundary + "\"\r\n\r\n";

  text += "--" + boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
  text += "This is the mail system at " + std::string(hostname) + ".\r\n\r\n";
  text += "Your message could not be delivered to one or more recipients. It is returned below.\r\n";
  for (const FailedRecipient& r : failed) {
    text += "\r\n<" + one_line(r.address, 1000) + ">:\r\n    ";
    if (!r.outcome.host.empty()) text += one_line(r.outcome.host) + " said: ";
    text += one_line(r.outcome.text) + "\r\n";
  }
  text += "\r\n--" + boundary + "\r\nContent-Type: message/" + (utf8 ? "global-delivery-status" : "delivery-status") +
          "\r\n";
  if (utf8) text += "Content-Transfer-Encoding: 8bit\r\n";
  text += "\r\n" + status_part(message, failed, hostname);

  // RFC 3462: the message, or its header alone when it is large, binary, or the sender asked for no more (RFC
  // 3461 4.3).
  const std::size_t header_size = mime::header_block_size(original);
  const bool whole = !message.headers_only && message.size <= kMaxReturned && original.size() == message.size &&
                     message.body_type != BodyType::kBinaryMime;
  const std::string_view header = original.substr(0, std::min(header_size, kMaxReturnedHeader));
  const bool header_is_ascii = mime::is_ascii(header);
  text += "\r\n--" + boundary + "\r\nContent-Type: ";
  if (whole)
    text += header_is_ascii ? "message/rfc822" : "message/global";
  else
    text += header_is_ascii ? "text/rfc822-headers" : "message/global-headers";
  text += "\r\n";
  const std::string_view returned = whole ? original : header;
  if (!mime::is_ascii(returned)) text += "Content-Transfer-Encoding: 8bit\r\n";
  text += "\r\n";
  text += returned;
  // This line end belongs to the boundary: what is returned stays as it was.
  text += "\r\n--" + boundary + "--\r\n";
  return out;
}

}  // namespace merpati::queue
