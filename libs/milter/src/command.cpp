#include "merpati/milter/command.hpp"

#include "merpati/milter/packet.hpp"

namespace merpati::milter {
namespace {

void append(std::string& out, Command command, std::string_view data) {
  append_packet(out, static_cast<char>(command), data);
}

void append_path(std::string& out, Command command, std::string_view address, std::span<const std::string> parameters) {
  std::string data = "<";
  data.append(address.substr(0, address.find('\0')));
  append_text(data, ">");
  for (const std::string& parameter : parameters) append_text(data, parameter);
  append(out, command, data);
}

/// "IPv6:" before the address, as Sendmail writes it, is what not every milter knows; Postfix writes none.
void append_address(std::string& data, const ClientInfo& client) {
  const bool is_v6 = client.address.is_v6();
  data.push_back(is_v6 ? '6' : '4');
  data.push_back(static_cast<char>(client.port >> 8));
  data.push_back(static_cast<char>(client.port & 0xFF));
  append_text(data, client.address.to_string());
}

}  // namespace

void append_negotiate(std::string& out) { append(out, Command::kNegotiate, offer()); }

void append_connect(std::string& out, const ClientInfo& client) {
  std::string data;
  append_text(data, client.name);
  if (client.address.is_unspecified())
    data.push_back('U');
  else
    append_address(data, client);
  append(out, Command::kConnect, data);
}

void append_helo(std::string& out, std::string_view name) {
  std::string data;
  append_text(data, name);
  append(out, Command::kHelo, data);
}

void append_mail(std::string& out, std::string_view reverse_path, std::span<const std::string> parameters) {
  append_path(out, Command::kMail, reverse_path, parameters);
}

void append_recipient(std::string& out, std::string_view address, std::span<const std::string> parameters) {
  append_path(out, Command::kRecipient, address, parameters);
}

void append_header(std::string& out, std::string_view name, std::string_view value, bool leading_space) {
  if (!leading_space && value.starts_with(' ')) value.remove_prefix(1);
  std::string data;
  append_text(data, name);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool line_end = value[i] == '\r' && i + 1 < value.size() && value[i + 1] == '\n';
    if (!line_end && value[i] != '\0') data.push_back(value[i]);
  }
  data.push_back('\0');
  append(out, Command::kHeader, data);
}

void append_body(std::string& out, std::string_view chunk) { append(out, Command::kBody, chunk.substr(0, kBodyChunk)); }

void append_unknown(std::string& out, std::string_view line) {
  std::string data;
  append_text(data, line);
  append(out, Command::kUnknown, data);
}

void append_command(std::string& out, Command command) { append(out, command, {}); }

void append_macros(std::string& out, Command next, std::span<const std::string> names, const Macros& values) {
  std::string data(1, static_cast<char>(next));
  for (const std::string& name : names) {
    const auto found = values.find(name);
    if (found == values.end() || found->second.empty()) continue;
    append_text(data, name);
    append_text(data, found->second);
  }
  if (data.size() > 1) append(out, Command::kMacros, data);
}

}  // namespace merpati::milter
