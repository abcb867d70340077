// The tokens of a message: what makes two messages alike, and what must not make them differ.
#include "merpati/bayes/tokens.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "merpati/base/encoding.hpp"

namespace merpati::bayes {
namespace {

const std::string kHeader = "From: Al <al@shop.example>\r\nMessage-ID: <1@x>\r\nSubject: offer\r\n";

MessageTokens tokens(const std::string& text, const std::string& more_header = {}) {
  return tokens_of(kHeader + more_header + "\r\n" + text + "\r\n");
}
std::size_t shared(const MessageTokens& a, const MessageTokens& b) {
  std::vector<std::int64_t> both;
  std::ranges::set_intersection(a.tokens, b.tokens, std::back_inserter(both));
  return both.size();
}
/// Tokens that `text` has more than an empty message of the same header.
std::size_t of_text(const std::string& text) {
  const auto all = tokens(text);
  return all.tokens.size() - shared(all, tokens(""));
}

TEST(Tokens, WordsAndPairsOfThem) {
  EXPECT_EQ(of_text("buy pills now"), 5U) << "three words, two pairs";
  EXPECT_EQ(of_text("buy buy"), 2U) << "each once";
  EXPECT_EQ(of_text("a I ."), 0U) << "letters alone say nothing";
  EXPECT_EQ(tokens("order 1234").tokens, tokens("order 5678").tokens) << "numbers count by their length";
  EXPECT_NE(tokens("order 1234").tokens, tokens("order 56789").tokens);
}

TEST(Tokens, CaseAccentsAndInvisibleCharactersHideNothing) {
  const std::string utf8 = "Content-Type: text/plain; charset=utf-8\r\n";
  const auto plain = tokens("cheap viagra", utf8);
  EXPECT_EQ(tokens("CHEAP Viagra", utf8).tokens, plain.tokens);
  EXPECT_EQ(tokens("ch\xC3\xA9\x61p v\xC3\xAF\x61gra", utf8).tokens, plain.tokens);
  EXPECT_EQ(tokens("cheap vi\xE2\x80\x8B\x61gra", utf8).tokens, plain.tokens) << "a zero width space";
}

TEST(Tokens, TransferEncodingsAndLineEndsDoNotMatter) {
  const auto plain = tokens("meet me at noon", "Content-Transfer-Encoding: 8bit\r\n");
  EXPECT_EQ(tokens("bWVldCBtZSBhdCBub29u", "Content-Transfer-Encoding: base64\r\n").digest, plain.digest);
  EXPECT_EQ(tokens("m=65et me at n=6F=\r\non", "Content-Transfer-Encoding: quoted-printable\r\n").digest, plain.digest);
  std::string lines = kHeader + "\r\nmeet me at noon\r\n";
  std::erase(lines, '\r');
  EXPECT_EQ(tokens_of(lines).digest, plain.digest);
}

TEST(Tokens, WhatTheWayAddsGivesNone) {
  const auto before = tokens_of(kHeader + "\r\nhello there\r\n");
  const auto after =
      tokens_of("Return-Path: <al@shop.example>\r\nDelivered-To: you@here.example\r\n" +
                std::string("Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n") +
                "Authentication-Results: mx.here.example; spf=pass\r\n" + kHeader + "\r\nhello there\r\n");
  EXPECT_EQ(after.tokens, before.tokens);
  EXPECT_EQ(after.digest, before.digest);
}

TEST(Tokens, TheMessageIdTellsCopiesOfOneTextApart) {
  const std::string rest = "From: a@b.example\r\n\r\nhello\r\n";
  const auto one = tokens_of("Message-ID: <1@x>\r\n" + rest);
  const auto other = tokens_of("Message-ID: <2@x>\r\n" + rest);
  EXPECT_EQ(one.tokens, other.tokens);
  EXPECT_NE(one.digest, other.digest);
}

TEST(Tokens, ScriptsWithoutBlanksHaveWordsToo) {
  const std::string utf8 = "Content-Type: text/plain; charset=utf-8\r\n";
  const auto nothing = tokens("", utf8);
  // "limited time" in Chinese, within two sentences.
  const auto one = tokens("\xE9\x99\x90\xE6\x97\xB6\xE4\xBC\x98\xE6\x83\xA0", utf8);
  const auto other = tokens("\xE4\xBB\x8A\xE5\xA4\xA9\xE9\x99\x90\xE6\x97\xB6", utf8);
  EXPECT_EQ(shared(one, other) - shared(one, nothing), 3U) << "two characters and their pair";
}

TEST(Tokens, HostsAreFoundInLinksOfHtml) {
  const std::string html = "Content-Type: text/html\r\n";
  const auto one = tokens("<a href=\"https://u1.cheap.pills.example/x?y\">here</a>", html);
  const auto other = tokens("<a href='http://bob@u2.cheap.pills.example:8080'>there</a>", html);
  EXPECT_EQ(shared(one, other) - shared(one, tokens("", html)), 2U) << "pills.example and cheap.pills.example";
}

TEST(Tokens, SendersAreKnownByAddressDomainAndName) {
  const auto from = [](const std::string& value) { return tokens_of("From: " + value + "\r\n\r\n"); };
  const auto base = shared(from("x@other.example"), from("y@unlike.test"));
  EXPECT_EQ(shared(from("a@mail.shop.example"), from("b@news.shop.example")) - base, 1U) << "the domain";
  EXPECT_EQ(shared(from("Prize Office <a@one.example>"), from("=?utf-8?q?Prize_Office?= <b@two.test>")) - base, 3U);
}

TEST(Tokens, TheirNumberIsBounded) {
  std::string text;
  for (int i = 0; i < 20'000; ++i)
    text += "word" + std::string(1, static_cast<char>('a' + i % 26)) + to_hex(random_bytes(4)) + " ";
  EXPECT_EQ(tokens(text).tokens.size(), TokenLimits().max_tokens);
  EXPECT_TRUE(std::ranges::is_sorted(tokens(text).tokens));
  EXPECT_EQ(tokens_of("").tokens.size(), 1U) << "a message of nothing is text";
}

// What was learnt under these numbers is in databases: other ones need another kTokenizer.
TEST(Tokens, AreForEver) {
  const auto known = tokens_of(
      "From: Prize Office <win@big.example>\r\nSubject: =?utf-8?q?You_w=C3=B6n?=\r\nMessage-ID: <1@big.example>\r\n"
      "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
      "<p>Claim your 1000 dollars =E0 la carte at <a href=3D\"http://a.b.big.example/\">once</a>!\r\n");
  EXPECT_EQ(kTokenizer, 1);
  EXPECT_EQ(to_hex(known.digest), "f33934908b07a3d9e616a0c9b2c8be6f69a35b8e686528065749d0f918078c22");
}

}  // namespace
}  // namespace merpati::bayes
