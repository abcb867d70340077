#include "merpati/net/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

namespace merpati::net {
namespace {

using boost::asio::ip::tcp;

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kV1Longest = 107;  // with CRLF, section 2.1
constexpr std::size_t kV2Fixed = 16;
constexpr std::size_t kV2Longest = 4096;  // address and TLVs; ours to choose

Error malformed(const char* what) { return {ErrorCode::kInvalidArgument, std::string("PROXY header: ") + what}; }

bool is_prefix(std::string_view part, std::string_view whole) {
  return part.substr(0, whole.size()) == whole.substr(0, std::min(part.size(), whole.size()));
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0;;) {
    const auto space = line.find(' ', at);
    words.push_back(line.substr(at, space - at));
    if (space == line.npos) return words;
    at = space + 1;
  }
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (bad != std::errc() || end != text.data() + text.size() || text.size() > 5) return std::nullopt;
  return port;
}

Result<ProxyHeader> parse_v1(std::string_view line) {
  const auto words = split(line);
  ProxyHeader header;
  if (words.size() < 2) return malformed("no protocol");
  if (words[1] == "UNKNOWN") return header;  // section 2.1: the rest of the line is ignored
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) return malformed("wrong fields");
  boost::system::error_code bad_source, bad_destination;
  const auto source = boost::asio::ip::make_address(std::string(words[2]), bad_source);
  const auto destination = boost::asio::ip::make_address(std::string(words[3]), bad_destination);
  const auto source_port = port_of(words[4]), destination_port = port_of(words[5]);
  if (bad_source || bad_destination || !source_port || !destination_port) return malformed("wrong address");
  const bool v4 = words[1] == "TCP4";
  if (source.is_v4() != v4 || destination.is_v4() != v4) return malformed("address of another family");
  header.source = tcp::endpoint(source, *source_port);
  header.destination = tcp::endpoint(destination, *destination_port);
  return header;
}

std::uint16_t big_endian(std::string_view bytes) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 | static_cast<unsigned char>(bytes[1]));
}

template <class Address>
void addresses(std::string_view block, ProxyHeader& header) {
  typename Address::bytes_type source, destination;
  const auto width = source.size();
  std::memcpy(source.data(), block.data(), width);
  std::memcpy(destination.data(), block.data() + width, width);
  header.source = tcp::endpoint(Address(source), big_endian(block.substr(2 * width)));
  header.destination = tcp::endpoint(Address(destination), big_endian(block.substr(2 * width + 2)));
}

Result<ProxyHeader> parse_v2(std::string_view bytes) {
  const auto version_command = static_cast<unsigned char>(bytes[12]), family = static_cast<unsigned char>(bytes[13]);
  if (version_command >> 4 != 2) return malformed("unknown version");
  ProxyHeader header;
  if ((version_command & 0xF) == 0) return header;  // LOCAL
  if ((version_command & 0xF) != 1) return malformed("unknown command");
  const auto block = bytes.substr(kV2Fixed);
  if (family == 0x11) {
    if (block.size() < 12) return malformed("short IPv4 block");
    addresses<boost::asio::ip::address_v4>(block, header);
  } else if (family == 0x21) {
    if (block.size() < 36) return malformed("short IPv6 block");
    addresses<boost::asio::ip::address_v6>(block, header);
  }  // UNSPEC, UNIX and datagrams say nothing about a TCP peer
  return header;
}

}  // namespace

Result<std::size_t> ProxyParser::feed(std::string_view peeked) {
  if (header_ || peeked.empty()) return std::size_t{0};
  const auto start = have_ + std::string(peeked.substr(0, kV2.size()));
  if (is_prefix(start, kV2)) return feed_v2(peeked);
  if (is_prefix(start, kV1)) return feed_v1(peeked);
  return malformed("missing");
}

Result<std::size_t> ProxyParser::feed_v1(std::string_view peeked) {
  const auto before = have_.size();
  const auto room = kV1Longest - before;
  have_.append(peeked.substr(0, room));
  const auto end = have_.find("\r\n");
  if (end == have_.npos) {
    if (have_.size() >= kV1Longest) return malformed("line too long");
    return have_.size() - before;
  }
  MERPATI_TRY(auto header, parse_v1(std::string_view(have_).substr(0, end)));
  header_ = header;
  return end + 2 - before;
}

Result<std::size_t> ProxyParser::feed_v2(std::string_view peeked) {
  const auto before = have_.size();
  have_.append(peeked.substr(0, kV2Fixed - std::min(kV2Fixed, have_.size())));
  if (have_.size() < kV2Fixed) return have_.size() - before;
  const std::size_t whole = kV2Fixed + big_endian(std::string_view(have_).substr(14));
  if (whole > kV2Longest) return malformed("too long");
  const auto taken = have_.size() - before;
  have_.append(peeked.substr(taken, whole - have_.size()));
  if (have_.size() == whole) {
    MERPATI_TRY(auto header, parse_v2(have_));
    header_ = header;
  }
  return have_.size() - before;
}

}  // namespace merpati::net
