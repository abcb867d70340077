#include "smtp/trace_headers.hpp"

#include <array>
#include <cstdio>
#include <ctime>

#include "merpati/mime/header.hpp"
#include "merpati/mime/message_id.hpp"

namespace merpati::smtp {

std::string mail_date(WallTime when) {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %d %s %d %02d:%02d:%02d +0000", kDays[static_cast<std::size_t>(parts.tm_wday)],
                parts.tm_mday, kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

Received::Received(const ReceivedFrom& from) {
  before_.append("Received: from ").append(from.helo).append(" ([");
  if (from.client.is_v6()) before_.append("IPv6:");
  before_.append(from.client.to_string()).append("])\r\n");
  if (!from.tls.version.empty()) {
    before_.append("\t(using ").append(from.tls.version).append(" with cipher ").append(from.tls.cipher);
    before_.append(" (").append(std::to_string(from.tls.bits)).append(" bits))\r\n");
  }
  before_.append("\tby ")
      .append(from.by)
      .append(" (Merpati) with ")
      .append(from.protocol)
      .append("\r\n\tid ")
      .append(from.id);
  after_.append(";\r\n\t").append(from.date).append("\r\n");
}

std::string Received::line(std::string_view recipient) const {
  std::string out;
  out.reserve(before_.size() + after_.size() + recipient.size() + 10);
  out.append(before_);
  if (!recipient.empty()) out.append("\r\n\tfor <").append(recipient).append(">");
  return out.append(after_);
}

std::string_view transmission_type(bool esmtp, bool tls, bool authenticated, bool utf8) {
  static constexpr std::string_view kEsmtp[] = {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"};
  static constexpr std::string_view kUtf8[] = {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"};
  if (!esmtp) return "SMTP";
  return (utf8 ? kUtf8 : kEsmtp)[(authenticated ? 2 : 0) + (tls ? 1 : 0)];
}

bool has_field(std::string_view message, std::string_view lower_case_name) {
  while (!message.empty()) {
    const auto end = message.find("\r\n");
    const auto line = message.substr(0, end);
    if (line.empty()) return false;
    bool same = line.size() > lower_case_name.size();
    for (std::size_t i = 0; same && i < lower_case_name.size(); ++i) {
      const char c = line[i] >= 'A' && line[i] <= 'Z' ? static_cast<char>(line[i] + 32) : line[i];
      same = c == lower_case_name[i];
    }
    // RFC 5322 4.5: obsolete syntax lets white space stand before the colon.
    if (same) {
      const auto colon = line.find_first_not_of(" \t", lower_case_name.size());
      if (colon != line.npos && line[colon] == ':') return true;
    }
    if (end == message.npos) return false;
    message.remove_prefix(end + 2);
  }
  return false;
}

std::string lacking_fields(std::string_view header, std::string_view date, std::string_view id) {
  std::string added;
  if (!has_field(header, "date")) added.append("Date: ").append(date).append("\r\n");
  if (!has_field(header, "message-id")) added.append("Message-ID: <").append(id).append(">\r\n");
  return added;
}

std::string message_id_of(std::string_view header) {
  const auto field = mime::find_field(header, "message-id");
  if (!field) return {};
  const auto ids = mime::parse_message_ids(field->value, 1);
  if (ids.empty() || ids.front().size() < 2) return {};
  return ids.front().substr(1, ids.front().size() - 2);
}

}  // namespace merpati::smtp
