#include "merpati/net/proxy_protocol.hpp"

#include <gtest/gtest.h>

#include "merpati/net/address.hpp"

namespace merpati::net {
namespace {

using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kV2Tcp4 = kSignature + "\x21\x11\x00\x0C\xC0\x00\x02\x07\xC6\x33\x64\x01\x12\x67\x00\x19"s;

/// Feeds in steps of `step` bytes, as peeks of a slow connection would; returns what is left over.
Result<std::pair<ProxyHeader, std::string>> parse(std::string bytes, std::size_t step) {
  ProxyParser parser;
  for (std::size_t visible = step; !parser.header(); visible = step) {
    MERPATI_TRY(const auto taken, parser.feed(std::string_view(bytes).substr(0, visible)));
    bytes.erase(0, taken);
    if (bytes.empty() && !parser.header()) return Error(ErrorCode::kUnavailable, "incomplete");
  }
  return std::pair(*parser.header(), bytes);
}

TEST(ProxyProtocol, TakesTheHeaderAndNothingBehindIt) {
  for (const std::size_t step : {1U, 5U, 17U, 1000U}) {
    const auto v1 = parse("PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\nEHLO", step);
    ASSERT_TRUE(v1.has_value()) << step;
    EXPECT_EQ(v1->first.source->address().to_string(), "2001:db8::1");
    EXPECT_EQ(v1->first.source->port(), 4711);
    EXPECT_EQ(v1->second, "EHLO");
    const auto v2 = parse(kV2Tcp4 + "\x16\x03\x01", step);
    ASSERT_TRUE(v2.has_value()) << step;
    EXPECT_EQ(v2->first.source->address().to_string(), "192.0.2.7");
    EXPECT_EQ(v2->first.source->port(), 4711);
    EXPECT_EQ(v2->first.destination->port(), 25);
    EXPECT_EQ(v2->second, "\x16\x03\x01");
  }
}

TEST(ProxyProtocol, SkipsTlvsAndKeepsTheProxysAddressForLocal) {
  const auto with_tlv =
      parse(kSignature + "\x21\x11\x00\x10\xC0\x00\x02\x07\xC6\x33\x64\x01\x12\x67\x00\x19\x04\x00\x01\x00"s, 7);
  ASSERT_TRUE(with_tlv.has_value());
  EXPECT_EQ(with_tlv->first.source->address().to_string(), "192.0.2.7");
  const auto local = parse(kSignature + "\x20\x00\x00\x00"s, 3);
  ASSERT_TRUE(local.has_value());
  EXPECT_FALSE(local->first.source);
  const auto unknown = parse("PROXY UNKNOWN ffff::1 whatever\r\n", 4);
  ASSERT_TRUE(unknown.has_value());
  EXPECT_FALSE(unknown->first.source);
}

TEST(ProxyProtocol, RefusesWhatIsNoHeader) {
  for (const auto& bad :
       {"EHLO example.test\r\n"s, "PROXY TCP4 1.2.3.4 5.6.7.8 70000 25\r\n"s, "PROXY TCP4 1.2.3.4 ::1 1 2\r\n"s,
        "PROXY TCP4 1.2.3.4\r\n"s, "PROXY "s + std::string(200, 'x'), "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"s,
        kSignature + "\x31\x11\x00\x0C"s + std::string(12, 'x'), kSignature + "\x21\x11\x00\x04zzzz"s,
        kSignature + "\x21\x11\xFF\xFFzzzz"s}) {
    EXPECT_TRUE(parse(bad, 1000).has_error()) << bad;
  }
}

TEST(Cidr, ContainsByPrefixAndSeesThroughMappedAddresses) {
  const auto range = Cidr::parse("10.1.128.0/17").value();
  EXPECT_TRUE(range.contains(boost::asio::ip::make_address("10.1.200.9")));
  EXPECT_TRUE(range.contains(boost::asio::ip::make_address("::ffff:10.1.200.9")));
  EXPECT_FALSE(range.contains(boost::asio::ip::make_address("10.1.127.255")));
  EXPECT_TRUE(Cidr::parse("fd00::/8").value().contains(boost::asio::ip::make_address("fd12::1")));
  EXPECT_FALSE(Cidr::parse("::/0").value().contains(boost::asio::ip::make_address("10.0.0.1")));
  for (const auto* bad : {"10.0.0.0/33", "10.0.0/8", "", "::/129", "10.0.0.0/", "10.0.0.0/8x", "host"})
    EXPECT_TRUE(Cidr::parse(bad).has_error()) << bad;
}

}  // namespace
}  // namespace merpati::net
