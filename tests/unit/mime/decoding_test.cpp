#include <gtest/gtest.h>

#include <random>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/search_text.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::mime {
namespace {

TEST(Transfer, QuotedPrintable) {
  const auto decode = [](std::string_view text) { return decode_transfer(Encoding::kQuotedPrintable, text); };
  EXPECT_EQ(decode("a=3Db=\r\nc  \r\nd\r\n"), "a=bc\r\nd\r\n");
  EXPECT_EQ(decode("bad =ZZ and ="), "bad =ZZ and ");
  EXPECT_EQ(decode("=e4=20 \r\n"), "\xE4 \r\n");
}

TEST(Transfer, Base64) {
  const auto decode = [](std::string_view text) { return decode_transfer(Encoding::kBase64, text); };
  EXPECT_EQ(decode("aGVs\r\nbG8="), "hello");
  EXPECT_EQ(decode("aGVsbG8"), "hello");
  EXPECT_EQ(decode("aG*Vs bG8=aGVsbG8="), "hellohello");
}

TEST(Transfer, PiecesGiveWhatTheWholeGives) {
  std::mt19937 rng(3);
  for (int i = 0; i < 100; ++i) {
    const std::string bytes = random_bytes(rng() % 5000);
    for (const Encoding encoding : {Encoding::kBase64, Encoding::kQuotedPrintable}) {
      const std::string text =
          encoding == Encoding::kBase64 ? encode_base64_lines(bytes) : encode_quoted_printable(bytes);
      TransferDecoder decoder(encoding);
      std::string out;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = 1 + rng() % 200;
        decoder.feed(std::string_view(text).substr(at, size), out);
        at += size;
      }
      decoder.finish(out);
      ASSERT_EQ(out, bytes);
      ASSERT_FALSE(decoder.damaged());
    }
  }
}

TEST(EncodedWord, ExamplesOfRfc2047) {
  const std::pair<const char*, const char*> kTable[] = {
      {"=?ISO-8859-1?Q?a?=", "a"},
      {"=?ISO-8859-1?Q?a?= b", "a b"},
      {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
      {"=?ISO-8859-1?Q?a_b?=", "a b"},
      {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
      {"=?iso-8859-1*de?q?=E4?=", "\xC3\xA4"},
      {"=?utf-8?B?w6Q=?=", "\xC3\xA4"},
      {"=?utf-8?b?wg==?= =?utf-8?b?pA==?=", "\xC2\xA4"},  // a character split between words
      {"=?x-nobody-knows?q?abc?=", "abc"},
      {"a =?broken", "a =?broken"},
      {"raw \xC3\xA4", "raw \xC3\xA4"},
      {"raw \xE4", "raw \xC3\xA4"},
      {"=?iso-2022-jp?b?GyRCJUYlOSVIGyhC?=", "\xE3\x83\x86\xE3\x82\xB9\xE3\x83\x88"},
      {"=?gb2312?B?xOO6ww==?=", "\xE4\xBD\xA0\xE5\xA5\xBD"},
  };
  for (const auto& [value, want] : kTable) EXPECT_EQ(decode_encoded_words(value), want) << value;
}

TEST(EncodedWord, RoundTrip) {
  std::string text =
      "Gr\xC3\xBC\xC3\x9F"
      "e ";
  for (int i = 0; i < 5; ++i) text += text;
  std::string folded = encode_encoded_words(text);
  std::erase(folded, '\r');
  std::erase(folded, '\n');
  EXPECT_EQ(decode_encoded_words(folded), text);
  EXPECT_EQ(encode_encoded_words("plain"), "plain");
}

TEST(Charset, PiecesAndErrors) {
  const std::string text = "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 end";
  CharsetDecoder decoder("utf-8");
  std::string out;
  for (char c : text) decoder.feed(std::string_view(&c, 1), out);
  decoder.finish(out);
  EXPECT_EQ(out, text);
  EXPECT_EQ(to_utf8("utf-8",
                    "a\xFF"
                    "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(to_utf8("us-ascii", "a\xE4"), "a\xC3\xA4");
  EXPECT_FALSE(to_utf8_strict("utf-8", "\xFF"));
  EXPECT_FALSE(to_utf8_strict("no-such", "a"));
  EXPECT_EQ(to_utf8_strict("koi8-r", "\xC1"), "\xD0\xB0");
  EXPECT_TRUE(is_known_charset("windows-1251"));
  EXPECT_FALSE(is_known_charset("no-such"));
}

TEST(Charset, CasemapFoldsAndDecomposes) {
  EXPECT_EQ(casemap("aZ"), "AZ");
  EXPECT_EQ(casemap("\xC3\xA4"), casemap("A\xCC\x88"));  // a-umlaut, composed and not
  EXPECT_EQ(casemap("\xCF\x83"), casemap("\xCE\xA3"));   // sigma
}

TEST(Search, DecodesBeforeItCompares) {
  std::string message =
      "Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
      "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
      encode_base64_lines("Der \xC3\x84rger " + std::string(200'000, 'x') + "needle") +
      "--b\r\nContent-Type: application/octet-stream\r\n\r\nhidden\r\n"
      "--b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: header\r\n\r\ninner text\r\n--b--\r\n";
  const Summary s = summarize(message);
  const auto text = [&](std::string_view needle) { return Needle(needle).in_message(message, s.root); };
  const auto body = [&](std::string_view needle) { return Needle(needle).in_body(message, s.root); };
  EXPECT_TRUE(text("GR\xC3\x9C\xC3\x9F"));
  EXPECT_FALSE(body("gr\xC3\xBC\xC3\x9F"));
  EXPECT_TRUE(body("\xC3\xA4rger"));
  EXPECT_TRUE(body("xxNEEDLE"));
  EXPECT_FALSE(body("hidden"));
  EXPECT_TRUE(body("x-inner: header"));
  EXPECT_TRUE(body("INNER TEXT"));
  EXPECT_FALSE(body("needless"));
  EXPECT_TRUE(Needle("").in_message(message, s.root));
  EXPECT_TRUE(Needle("").in_header(s.root.header.of(message), "subject"));
  EXPECT_FALSE(Needle("").in_header(s.root.header.of(message), "x-none"));
}

}  // namespace
}  // namespace merpati::mime
