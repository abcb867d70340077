#include "filter/message_domains.hpp"

#include <gtest/gtest.h>

namespace merpati::filter {
namespace {

using Domains = std::vector<std::string>;

Domains in_text(std::string_view text) {
  Domains domains;
  add_domains(text, 30, domains);
  return domains;
}

TEST(MessageDomains, AreTheRegisteredOnes) {
  EXPECT_EQ(registered_domain("a.b.example.co.uk"), "example.co.uk");
  EXPECT_EQ(registered_domain("WWW.Example.COM"), "example.com");
  EXPECT_EQ(registered_domain("b\xC3\xBC"
                              "cher.example.de"),
            "example.de");
  EXPECT_EQ(registered_domain("192.0.2.7"), "192.0.2.7");
  for (const char* none : {"", "localhost", "co.uk", "com", "-", "a..b"})
    EXPECT_EQ(registered_domain(none), "") << none;
}

TEST(MessageDomains, AreFoundInText) {
  EXPECT_EQ(in_text("see https://x.example.com/a?b#c, or HTTP://two.example.net."),
            (Domains{"example.com", "example.net"}));
  EXPECT_EQ(in_text("<a href=\"http://example.org:8080/\">http://example.org</a>"), (Domains{"example.org"}));
  EXPECT_EQ(in_text("www.example.com and xwww.example.net"), (Domains{"example.com"}));
  EXPECT_EQ(in_text("http://good.example.com@evil.example.net/"), (Domains{"example.net"})) << "a user name in front";
  EXPECT_EQ(in_text("http://evil.example.net\\@good.example.com/"), (Domains{"example.net"})) << "as browsers see it";
  EXPECT_EQ(in_text("http://192.0.2.7/x"), (Domains{"192.0.2.7"}));
  EXPECT_EQ(in_text("http:// ://x ://, http://, http://."), Domains{});
}

TEST(MessageDomains, AreFoundInEveryTextPart) {
  const std::string message =
      "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
      "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: "
      "quoted-printable\r\n\r\nhttp://one.exam=\r\nple.com/\r\n"
      "--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\naHR0cDovL3R3by5leGFtcGxlLm5ldC8=\r\n"
      "--b\r\nContent-Type: application/pdf\r\n\r\nhttp://three.example.org/\r\n--b--\r\n";
  EXPECT_EQ(domains_in(message), (Domains{"example.com", "example.net"}));
}

TEST(MessageDomains, HaveLimits) {
  std::string text = "Subject: x\r\n\r\n";
  for (int i = 0; i < 100; ++i) text += "http://d" + std::to_string(i) + ".com/\r\n";
  EXPECT_EQ(domains_in(text).size(), 30u);
  EXPECT_EQ(domains_in(text, {.max_domains = 5}).size(), 5u);
  EXPECT_EQ(domains_in("Subject: x\r\n\r\n" + std::string(5000, ' ') + "http://example.com/\r\n", {.max_text = 1000}),
            Domains{});
}

}  // namespace
}  // namespace merpati::filter
