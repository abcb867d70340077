// Packets of the milter protocol as octets: a length of four octets in network byte order, a letter, data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::milter {

/// Longer packets of a milter are an error: it sends new bodies in pieces of 64 KiB.
inline constexpr std::size_t kLongestPacket = 256 * 1024;  // octets of letter and data

struct Packet {
  char letter = 0;
  std::string data;
};

void append_uint32(std::string& out, std::uint32_t value);
/// What stands at the start of `data`, which loses it; none when it is shorter.
std::optional<std::uint32_t> take_uint32(std::string_view& data);
/// Text up to a NUL, which is taken, too; none without a NUL.
std::optional<std::string_view> take_text(std::string_view& data);
/// Text and a NUL. What stands behind a NUL within `text` is left out.
void append_text(std::string& out, std::string_view text);

void append_packet(std::string& out, char letter, std::string_view data);

/// Finds packets in octets that come in pieces.
class PacketReader {
 public:
  /// More octets.
  void feed(std::string_view octets) { input_.append(octets); }
  /// The next packet, none when it is not there yet. kInvalidArgument for one without a letter or longer than allowed;
  /// the connection is of no use then.
  Result<std::optional<Packet>> next();

 private:
  std::string input_;
};

}  // namespace merpati::milter
