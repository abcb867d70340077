#include "merpati/mime/reencode.hpp"

#include <gtest/gtest.h>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::mime {
namespace {

using namespace std::string_literals;

std::string shown(const std::string& message, Carry carry) {
  return reencode(message, plan_reencoding(message, read_parts(message).root, carry).pieces);
}

TEST(Reencode, LeavesWhatFitsAlone) {
  const std::string message = "Subject: \xC3\xA4\r\n\r\n8-bit \xC3\xA4\nand a line end alone\r\n";
  EXPECT_TRUE(plan_reencoding(message, read_parts(message).root, Carry::kText).pieces.empty());
  EXPECT_EQ(shown(message, Carry::kText), message);
}

TEST(Reencode, PutsOnlyTheBinaryPartIntoBase64) {
  const std::string octets = "\0\1\2\r\n.\n\xff"s;
  const std::string before =
      "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: "
      "binary\r\n\r\n"
      "pre\r\n--b\r\n\r\ntext \xC3\xA4\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding:\r\n "
      "binary\r\nX-After: 1\r\n\r\n";
  const std::string message = before + octets + "\r\n--b--\r\n";
  const auto out = shown(message, Carry::kText);
  EXPECT_EQ(out,
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
            "boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            "pre\r\n--b\r\n\r\ntext \xC3\xA4\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: "
            "base64\r\nX-After: 1\r\n\r\n" +
                encode_base64_lines(octets) + "\r\n--b--\r\n");
  const auto summary = summarize(out);
  ASSERT_EQ(summary.root.children.size(), 2U);
  EXPECT_EQ(decode_transfer(Encoding::kBase64, summary.root.children[1].body.of(out)), octets);
}

TEST(Reencode, SizesAreKnownBeforehand) {
  for (const std::size_t size : {1U, 56U, 57U, 58U, 114U, 1000U}) {
    const std::string message = "Subject: x\r\n\r\n" + std::string(size, '\0');
    const auto plan = plan_reencoding(message, read_parts(message).root, Carry::kText);
    std::uint64_t total = 0;
    for (const auto& piece : plan.pieces) total += rendered_size(piece);
    const auto out = reencode(message, plan.pieces);
    EXPECT_EQ(total, out.size());
    EXPECT_EQ(out.find('\0'), std::string::npos);
    EXPECT_TRUE(out.starts_with("Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nAA"))
        << out;
  }
}

TEST(Reencode, MakesEightBitTextSevenBit) {
  const std::string message =
      "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\n"
      "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
      "8bit\r\n\r\ngr\xC3\xBC\xC3\x9F\r\n.\r\n"
      "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n\xE4\r\n"
      "--b\r\nContent-Type: application/x\r\n\r\n\xFF\xFE\r\n--b--\r\n";
  const auto out = shown(message, Carry::k7Bit);
  EXPECT_TRUE(fits(out, Carry::k7Bit)) << out;
  EXPECT_EQ(out,
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n\r\n"
            "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "gr=C3=BC=C3=9F\r\n=2E\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"
            "--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n//4=\r\n\r\n--b--\r\n");
}

TEST(Reencode, SaysThatASignatureWouldBreak) {
  const std::string part =
      "--b\r\nContent-Type: text/plain\r\n\r\n\xC3\xA4\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n"
      "Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n";
  const std::string signed_mail = "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n" + part;
  EXPECT_TRUE(plan_reencoding(signed_mail, read_parts(signed_mail).root, Carry::k7Bit).has_signed_parts);
  const std::string plain = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + part;
  EXPECT_FALSE(plan_reencoding(plain, read_parts(plain).root, Carry::k7Bit).has_signed_parts);
}

// What cannot be helped shows when the result is asked: an 8-bit header, or base64 with NUL in it.
TEST(Reencode, CannotHelpHeaders) {
  EXPECT_FALSE(fits(shown("Subject: \xC3\xA4\r\n\r\n\xC3\xA4\r\n", Carry::k7Bit), Carry::k7Bit));
  EXPECT_EQ(shown("Subject: a\0b\r\n\r\ntext\r\n"s, Carry::kText),
            "Subject: a\x80"
            "b\r\n\r\ntext\r\n");
  EXPECT_EQ(shown("\0"s, Carry::kText).find('\0'), std::string::npos);
}

TEST(NormalForm, ComposesAndLeavesTheRest) {
  EXPECT_EQ(to_nfc("cafe\xCC\x81"), "caf\xC3\xA9");
  EXPECT_EQ(to_nfc("ascii"), "ascii");
  EXPECT_EQ(to_nfc("bad \xFF"), "bad \xFF");
}

}  // namespace
}  // namespace merpati::mime
