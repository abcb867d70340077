// Tricks of links and display names.
#include <gtest/gtest.h>

#include "filter/content_engine.hpp"
#include "filter/link_checks.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "support/loop.hpp"

namespace merpati::filter {
namespace {

std::string names(const std::vector<Symbol>& symbols) {
  std::string out;
  for (const auto& symbol : symbols) out += (out.empty() ? "" : " ") + symbol.name;
  return out;
}
std::string of_html(std::string_view html, std::set<std::string> senders = {}) {
  LinkChecks links(std::move(senders));
  links.add_html(html);
  return names(std::move(links).symbols());
}
std::string of_text(std::string_view text) {
  LinkChecks links({});
  links.add_text(text);
  return names(std::move(links).symbols());
}

TEST(WebUrl, AuthorityAsBrowsersSeeIt) {
  const std::pair<const char*, const char*> kHosts[] = {
      {"http://example.com/x", "example.com"},
      {"HTTPS://user:pw@example.com:8080?q=a@b", "example.com"},
      {"http:\\\\example.com\\x", "example.com"},
      {"http://a@b@example.com./", "example.com"},
      {"http://[2001:db8::1]:80/", "2001:db8::1"},
      {"http://[2001:db8::1", "2001:db8::1"},
      {"http://", nullptr},
      {"ftp://example.com", nullptr},
      {"mailto:a@example.com", nullptr},
      {"example.com", nullptr},
  };
  for (const auto& [url, host] : kHosts) {
    const auto authority = parse_web_url(url);
    ASSERT_EQ(authority.has_value(), host != nullptr) << url;
    if (authority) EXPECT_EQ(authority->host, host) << url;
  }
}

TEST(HostTricks, AddressesInAnyForm) {
  EXPECT_EQ(host_trick("192.0.2.1"), HostTrick::kAddress);
  EXPECT_EQ(host_trick("2001:db8::1"), HostTrick::kAddress);
  for (const char* host : {"3221225985", "0xC0000201", "192.0x0.2.1", "0300.0.2.1", "192.0.513"})
    EXPECT_EQ(host_trick(host), HostTrick::kObfuscatedAddress) << host;
  for (const char* host : {"example.com", "1.example.com", "4chan.org", "0x.example", ""})
    EXPECT_EQ(host_trick(host), HostTrick::kNone) << host;
}

TEST(HostTricks, ScriptsThatImitateOthers) {
  EXPECT_EQ(host_trick("p\u0430ypal.com"), HostTrick::kMixedScripts) << "one letter is Cyrillic";
  EXPECT_EQ(host_trick("xn--pypal-4ve.com"), HostTrick::kMixedScripts) << "the same as A-label";
  EXPECT_EQ(host_trick("\u0430\u0440\u0440\u04CF\u0435.com"), HostTrick::kConfusable) << "all of it is";
  for (const char* host :
       {"m\u00FCnchen.de", "xn--mnchen-3ya.de", "\u0438\u0432\u0430\u043D\u043E\u0432.com",
        "\u043F\u043E\u0447\u0442\u0430.\u0440\u0444", "\u6771\u4EACtower.jp", "\u0131s\u0131tma.com"})
    EXPECT_EQ(host_trick(host), HostTrick::kNone) << host;
}

TEST(Links, ShowOneDomainAndLeadToAnother) {
  EXPECT_EQ(of_html("<a href='http://evil.test/login'>https://www.bank.example.com/login</a>"), "URL_TEXT_MISMATCH");
  EXPECT_EQ(of_html("<A class=x HREF = http://evil.example.net/ >\r\n <b>paypal.com</b></A>"), "URL_TEXT_MISMATCH");
  EXPECT_EQ(of_html("<a href=\"http&#58;//evil.example.net\">pay&#112;al.com/login</a>"), "URL_TEXT_MISMATCH");
  for (const char* good : {
           "<a href='https://www.example.com/x'>example.com</a>",
           "<a href='https://example.com/x'>our site</a>",
           "<a href='https://example.com/x'>report.pdf</a>",
           "<a href='mailto:info@example.com'>example.org</a>",
           "<a href='https://example.com/x'>write to info@example.org</a>",
           "<a href='https://example.com/x'><img src=x></a>",
       })
    EXPECT_EQ(of_html(good), "") << good;
}

TEST(Links, OfAKnownSenderMayCountClicksElsewhere) {
  const char* counted = "<a href='https://clicks.example.net/1234'>www.shop.com</a>";
  EXPECT_EQ(of_html(counted), "URL_TEXT_MISMATCH");
  EXPECT_EQ(of_html(counted, {"shop.com"}), "");
  EXPECT_EQ(of_html(counted, {"example.net"}), "URL_TEXT_MISMATCH") << "who leads astray is no witness";
}

TEST(Links, HostsAndUsersAreLookedAt) {
  EXPECT_EQ(of_text("see http://www.bank.com@evil.example/x"), "URL_USERINFO");
  EXPECT_EQ(of_text("see (https://192.0.2.1/x) and <http://3221225985/>"), "URL_ADDRESS URL_OBFUSCATED_ADDRESS");
  EXPECT_EQ(of_text("https://p\u0430ypal.com"), "URL_MIXED_SCRIPTS");
  EXPECT_EQ(of_text("https://medium.com/@somebody https://example.com/?to=a@b ftp://user@192.0.2.1/"), "");
}

TEST(DisplayName, ShowsAnotherAddress) {
  const auto of = [](const std::string& from) { return names(check_display_name("From: " + from + "\r\n\r\n")); };
  EXPECT_EQ(of("\"service@bank.com\" <x@evil.example>"), "DISPLAY_NAME_ADDRESS");
  EXPECT_EQ(of("=?utf-8?q?service=40bank=2Ecom?= <x@evil.example>"), "DISPLAY_NAME_ADDRESS");
  EXPECT_EQ(of("\"Bank (service@bank.com)\"\r\n <x@evil.example>"), "DISPLAY_NAME_ADDRESS");
  EXPECT_EQ(of("\"a@mail.bank.com\" <b@bank.com>"), "");
  EXPECT_EQ(of("\"Alice @ work\" <alice@bank.com>"), "");
  EXPECT_EQ(of("alice@bank.com"), "");
  EXPECT_EQ(of("\"a@b\" <c@bank.com>"), "") << "no domain that anybody can have";
}

TEST(Content, TextIsDecodedAndBounded) {
  const std::string message =
      "From: a@sender.com\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
      "quoted-printable\r\n\r\n"
      "<a href=3D\"http://evil.example.net\">www.ba=\r\nnk.com</a>\r\n";
  const auto header = std::string_view(message).substr(0, message.find("<a"));
  EXPECT_EQ(names(check_content(header, message, nullptr, 1000).symbols), "URL_TEXT_MISMATCH");
  EXPECT_EQ(names(check_content(header, message, nullptr, 20).symbols), "");
  mailauth::Authentication known;
  known.dkim.emplace();
  known.dkim->signatures.push_back({.result = mailauth::DkimResult::kPass, .domain = "mail.bank.com"});
  EXPECT_EQ(names(check_content(header, message, &known, 1000).symbols), "");
}

TEST(Content, LooksAtMailFromOutside) {
  test::Loop loop;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking(1);
  ContentEngine engine(1 << 20, blocking);
  const std::string header = "From: \"a@bank.com\" <b@evil.example>\r\n\r\n";
  const std::string small = header + "hello", large = header + std::string(100'000, 'x') + " http://192.0.2.1/";
  MessageView view;
  view.whole = true;
  view.header_block = header;
  view.message = small;
  EXPECT_EQ(names(loop.run(engine.check(view))->symbols), "DISPLAY_NAME_ADDRESS");
  view.message = large;
  EXPECT_EQ(names(loop.run(engine.check(view))->symbols), "DISPLAY_NAME_ADDRESS URL_ADDRESS");
  view.whole = false;
  view.message = {};
  EXPECT_EQ(names(loop.run(engine.check(view))->symbols), "DISPLAY_NAME_ADDRESS CONTENT");
  view.authenticated_account = 7;
  EXPECT_EQ(names(loop.run(engine.check(view))->symbols), "");
}

}  // namespace
}  // namespace merpati::filter
