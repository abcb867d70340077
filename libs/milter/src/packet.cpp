#include "merpati/milter/packet.hpp"

namespace merpati::milter {

void append_uint32(std::string& out, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(value >> shift & 0xFF));
}

std::optional<std::uint32_t> take_uint32(std::string_view& data) {
  if (data.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(data[i]);
  data.remove_prefix(4);
  return value;
}

std::optional<std::string_view> take_text(std::string_view& data) {
  const auto end = data.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const auto text = data.substr(0, end);
  data.remove_prefix(end + 1);
  return text;
}

void append_text(std::string& out, std::string_view text) {
  out.append(text.substr(0, text.find('\0')));
  out.push_back('\0');
}

void append_packet(std::string& out, char letter, std::string_view data) {
  append_uint32(out, static_cast<std::uint32_t>(data.size() + 1));
  out.push_back(letter);
  out.append(data);
}

Result<std::optional<Packet>> PacketReader::next() {
  std::string_view rest = input_;
  const auto length = take_uint32(rest);
  if (!length) return std::optional<Packet>();
  if (*length == 0 || *length > kLongestPacket)
    return Error(ErrorCode::kInvalidArgument, "a packet of " + std::to_string(*length) + " octets");
  if (rest.size() < *length) return std::optional<Packet>();
  Packet packet{rest[0], std::string(rest.substr(1, *length - 1))};
  input_.erase(0, 4 + *length);
  return std::optional(std::move(packet));
}

}  // namespace merpati::milter
