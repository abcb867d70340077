// Packets, options, commands and responses as octets.
#include <gtest/gtest.h>

#include "merpati/milter/command.hpp"
#include "merpati/milter/options.hpp"
#include "merpati/milter/packet.hpp"
#include "merpati/milter/response.hpp"

namespace merpati::milter {
namespace {

using namespace std::string_literals;

std::string packet(char letter, const std::string& data) {
  std::string out;
  append_packet(out, letter, data);
  return out;
}

TEST(MilterPacket, IsALengthALetterAndData) {
  EXPECT_EQ(packet('c', ""), "\0\0\0\1c"s);
  EXPECT_EQ(packet('H', "x\0"s), "\0\0\0\3Hx\0"s);
}

TEST(MilterPacket, ComesInPieces) {
  PacketReader reader;
  const std::string octets = packet('a', "") + packet('y', "550 no\0"s);
  std::vector<Packet> read;
  for (const char octet : octets) {
    reader.feed({&octet, 1});
    auto next = reader.next();
    ASSERT_TRUE(next.has_value());
    if (*next) read.push_back(**next);
  }
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].letter, 'a');
  EXPECT_EQ(read[1].data, "550 no\0"s);
}

TEST(MilterPacket, HasLimits) {
  for (const auto& wrong : {"\0\0\0\0"s, "\0\4\0\1"s, "\xFF\xFF\xFF\xFF"s}) {
    PacketReader reader;
    reader.feed(wrong);
    EXPECT_EQ(reader.next().error().code(), ErrorCode::kInvalidArgument);
  }
  PacketReader longest;
  longest.feed(packet('b', std::string(kLongestPacket - 1, 'x')));
  EXPECT_TRUE(longest.next()->has_value());
}

std::string words(std::initializer_list<std::uint32_t> values) {
  std::string out;
  for (const auto value : values) append_uint32(out, value);
  return out;
}

TEST(MilterOptions, EverythingIsOffered) { EXPECT_EQ(offer(), words({6, 0x1FF, 0x1FFFFF})); }

TEST(MilterOptions, AreWhatTheMilterWants) {
  const auto options =
      parse_options(words({6, 0x11, 0x100081}) + words({0}) + "j, {daemon_name}\0"s + words({3}) + "\0"s);
  ASSERT_TRUE(options.has_value());
  EXPECT_TRUE(options->may(action::kAddHeaders) && options->may(action::kChangeHeaders));
  EXPECT_FALSE(options->may(action::kChangeBody));
  EXPECT_TRUE(options->has(step::kNoConnect) && options->has(step::kNoReplyHeader) &&
              options->has(step::kHeaderLeadingSpace));
  EXPECT_EQ(macro_names(*options, MacroStage::kConnect), (std::vector<std::string>{"j", "{daemon_name}"}));
  EXPECT_TRUE(macro_names(*options, MacroStage::kRecipient).empty()) << "it wants none";
  EXPECT_EQ(macro_names(*options, MacroStage::kData), std::vector<std::string>{"i"}) << "it says nothing of them";
}

TEST(MilterOptions, OfAnOldVersionLeaveOutWhatItDoesNotKnow) {
  EXPECT_TRUE(parse_options(words({2, 1, 0}))->has(step::kNoUnknown | step::kNoData));
  EXPECT_FALSE(parse_options(words({3, 1, 0}))->has(step::kNoUnknown));
  EXPECT_TRUE(parse_options(words({3, 1, 0}))->has(step::kNoData));
  EXPECT_EQ(parse_options(words({6, 1, 0}))->steps, 0U);
}

TEST(MilterOptions, NotOfferedOrBroken) {
  for (const auto& wrong : {words({7, 0, 0}), words({1, 0, 0}), words({6, 0x200, 0}), words({6, 0, 0x10000000})})
    EXPECT_EQ(parse_options(wrong).error().code(), ErrorCode::kFailedPrecondition);
  for (const auto& wrong : {""s, words({6, 0}), words({6, 0, 0}) + "x", words({6, 0, 0, 0}) + "no end"})
    EXPECT_EQ(parse_options(wrong).error().code(), ErrorCode::kInvalidArgument);
}

std::string said(const std::function<void(std::string&)>& say) {
  std::string out;
  say(out);
  return out;
}

TEST(MilterCommand, TellsOfTheClient) {
  const auto connect = [](const char* address) {
    boost::system::error_code none;
    return said([&](std::string& out) {
      append_connect(out, {"host.test", boost::asio::ip::make_address(address, none), 0x1234});
    });
  };
  EXPECT_EQ(connect("192.0.2.7"), packet('C',
                                         "host.test\0004\x12\x34"
                                         "192.0.2.7\0"s));
  EXPECT_EQ(connect("2001:db8::7"), packet('C',
                                           "host.test\0006\x12\x34"
                                           "2001:db8::7\0"s));
  EXPECT_EQ(connect("0.0.0.0"), packet('C', "host.test\0U"s));
}

TEST(MilterCommand, SaysWhatTheClientSays) {
  const std::vector<std::string> parameters = {"SIZE=10", "BODY=8BITMIME"};
  EXPECT_EQ(said([](auto& out) { append_helo(out, "h"); }), packet('H', "h\0"s));
  EXPECT_EQ(said([&](auto& out) { append_mail(out, "", parameters); }), packet('M', "<>\0SIZE=10\0BODY=8BITMIME\0"s));
  EXPECT_EQ(said([](auto& out) { append_recipient(out, "a@b", {}); }), packet('R', "<a@b>\0"s));
  EXPECT_EQ(said([](auto& out) { append_unknown(out, "XYZ 1"); }), packet('U', "XYZ 1\0"s));
  for (const auto command : {Command::kData, Command::kEndOfHeader, Command::kEndOfMessage, Command::kAbort,
                             Command::kQuit, Command::kQuitNewConnection})
    EXPECT_EQ(said([&](auto& out) { append_command(out, command); }), packet(static_cast<char>(command), ""));
  EXPECT_EQ(said([](auto& out) { append_helo(out, "a\0b"s); }), packet('H', "a\0"s)) << "no NUL gets through";
}

TEST(MilterCommand, HeaderFieldsHaveLineFeedsAndNoFirstSpace) {
  const auto header = [](std::string_view value, bool space) {
    return said([&](auto& out) { append_header(out, "Subject", value, space); });
  };
  EXPECT_EQ(header(" one\r\n\ttwo", false), packet('L', "Subject\0one\n\ttwo\0"s));
  EXPECT_EQ(header(" one", true), packet('L', "Subject\0 one\0"s));
  EXPECT_EQ(header("  one", false), packet('L', "Subject\0 one\0"s));
  EXPECT_EQ(header("", false), packet('L', "Subject\0\0"s));
}

TEST(MilterCommand, MacrosWithAValueGoBeforeACommand) {
  const std::vector<std::string> names = {"i", "{auth_type}", "{nobody_knows}"};
  EXPECT_EQ(said([&](auto& out) {
              append_macros(out, Command::kMail, names, {{"i", "4F"}, {"{auth_type}", ""}});
            }),
            packet('D', "Mi\0004F\0"s));
  EXPECT_EQ(said([&](auto& out) { append_macros(out, Command::kMail, names, {}); }), "");
}

Result<Response> heard(char letter, const std::string& data = {}) { return parse_response({letter, data}); }

TEST(MilterResponse, WithoutData) {
  for (const char letter : "4acdfprst"s) {
    const auto response = heard(letter);
    ASSERT_TRUE(response.has_value()) << letter;
    EXPECT_EQ(static_cast<char>(response->answer), letter);
    EXPECT_FALSE(response->changes());
  }
  EXPECT_TRUE(heard('Z').has_error());
}

TEST(MilterResponse, ARepliesCodeStatusAndLines) {
  const auto one = heard('y', "550 5.7.1 No, 100%% sure\0"s);
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->code, 550);
  EXPECT_EQ(one->enhanced, "5.7.1");
  EXPECT_EQ(one->text, "No, 100% sure");
  const auto many = heard('y', "451-4.7.1 one\r\n451-4.7.1 two\r\n451 4.7.1 three\0"s);
  EXPECT_EQ(many->text, "one\ntwo\nthree");
  EXPECT_EQ(heard('y', "421 bye\0"s)->enhanced, "");
  EXPECT_EQ(heard('y', "550 4.7.1 other class\0"s)->text, "4.7.1 other class");
  EXPECT_EQ(heard('y', "550\0"s)->text, "");
  for (const auto& wrong : {"250 ok\0"s, "55\0"s, "x50 no\0"s, "\0"s, "550 no end"s, "550-a\r\n451 b\0"s, "600 x\0"s})
    EXPECT_TRUE(heard('y', wrong).has_error()) << wrong;
}

TEST(MilterResponse, HeaderFields) {
  const auto add = heard('h', "X-A\0one\n two\nthree\n\0"s);
  ASSERT_TRUE(add.has_value());
  EXPECT_TRUE(add->changes());
  EXPECT_EQ(add->name, "X-A");
  EXPECT_EQ(add->value, "one\r\n two\r\n\tthree") << "no field begins within another one";
  const auto insert = heard('i', "\0\0\0\2X-B\0b\0"s);
  EXPECT_EQ(insert->index, 2U);
  EXPECT_EQ(heard('m', "\0\0\0\1Subject\0\0"s)->value, "");
  for (const auto& wrong : {"X A\0b\0"s, "X:\0b\0"s, "\0b\0"s, "X\0b"s, "X"s})
    EXPECT_TRUE(heard('h', wrong).has_error()) << wrong;
  EXPECT_TRUE(heard('i', "\0\0"s).has_error());
}

TEST(MilterResponse, AddressesBodiesReasons) {
  EXPECT_EQ(heard('+', "<a@b>\0"s)->text, "a@b");
  EXPECT_EQ(heard('2', "a@b\0NOTIFY=NEVER\0"s)->text, "a@b");
  EXPECT_EQ(heard('-', "a@b\0"s)->text, "a@b");
  EXPECT_EQ(heard('e', "<>\0"s)->text, "");
  EXPECT_EQ(heard('b', "octets\0\r\n"s)->text, "octets\0\r\n"s);
  EXPECT_EQ(heard('q', "why\0"s)->text, "why");
  for (const char letter : "+-2eq"s) EXPECT_TRUE(heard(letter, "no end").has_error()) << letter;
  EXPECT_TRUE(heard('+', "a\r\nb\0"s).has_error());
  for (const char letter : "+-2eqb"s) EXPECT_TRUE(heard(letter, "x\0"s)->changes()) << letter;
}

}  // namespace
}  // namespace merpati::milter
