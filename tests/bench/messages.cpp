#include "messages.hpp"

#include <fmt/format.h>

#include <random>

namespace merpati::bench {
namespace {

/// Lines of 76 characters of base64's alphabet, `size` bytes in all.
std::string random_lines(std::mt19937_64& random, std::size_t size) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve(size + 80);
  std::uint64_t bits = 0;
  int left = 0;
  for (int column = 0; text.size() < size; ++column) {
    if (column == 76) {
      text += "\r\n";
      column = 0;
    }
    if (left == 0) {
      bits = random();
      left = 10;
    }
    text += kAlphabet[bits & 63];
    bits >>= 6;
    --left;
  }
  text += "\r\n";
  return text;
}

std::string head(std::uint64_t seed, std::uint64_t number, const std::string& to, const std::string& subject) {
  return fmt::format(
      "From: \"Sender {1}\" <sender{1}@example.org>\r\nTo: {2}\r\nSubject: {3}\r\n"
      "Date: Thu, 05 Nov 2026 10:{4:02}:{5:02} +0000\r\nMessage-ID: <{0}.{1}@example.org>\r\nMIME-Version: 1.0\r\n",
      seed, number, to, subject, number / 60 % 60, number % 60);
}

}  // namespace

std::string plain_message(std::uint64_t seed, std::uint64_t number, const std::string& to) {
  std::mt19937_64 random(seed * 1000003 + number);
  return head(seed, number, "<" + to + ">", fmt::format("message {}", number)) +
         "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + random_lines(random, 3800);
}

std::string varied_message(std::uint64_t seed, std::uint64_t number) {
  std::mt19937_64 random(seed * 1000003 + number);
  const std::string to = fmt::format("Reader <reader{}@example.test>", number % 7);
  switch (number % 10) {
    case 7: {
      const auto boundary = fmt::format("alt-{}", number);
      return head(seed, number, to + ", Other <other@example.test>", fmt::format("=?utf-8?Q?=C3=A9crit_{}?=", number)) +
             fmt::format(
                 "In-Reply-To: <{}.{}@example.org>\r\nContent-Type: multipart/alternative; boundary=\"{}\"\r\n\r\n",
                 seed, number - 1, boundary) +
             fmt::format("--{}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                         boundary) +
             random_lines(random, 1500) +
             fmt::format("--{}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                         boundary) +
             random_lines(random, 2000) + fmt::format("--{}--\r\n", boundary);
    }
    case 8: {
      const auto boundary = fmt::format("mix-{}", number);
      return head(seed, number, to, fmt::format("with an attachment {}", number)) +
             "Cc: team: a@example.test, B <b@example.test>;\r\n" +
             fmt::format("Content-Type: multipart/mixed; boundary={}\r\n\r\nThis is for old readers.\r\n", boundary) +
             fmt::format("--{}\r\nContent-Type: text/plain\r\n\r\n", boundary) + random_lines(random, 600) +
             fmt::format(
                 "--{}\r\nContent-Type: application/pdf; name=\"report {}.pdf\"\r\nContent-Transfer-Encoding: "
                 "base64\r\n"
                 "Content-Disposition: attachment; filename=\"report {}.pdf\"; size=2200\r\nContent-ID: "
                 "<part{}@example.org>\r\n\r\n",
                 boundary, number, number, number) +
             random_lines(random, 2600) + fmt::format("--{}--\r\n", boundary);
    }
    case 9: {
      const auto boundary = fmt::format("fwd-{}", number);
      return head(seed, number, to, fmt::format("Fwd: message {}", number)) + "Reply-To: replies@example.org\r\n" +
             fmt::format("Content-Type: multipart/mixed; boundary=\"{}\"\r\n\r\n--{}\r\n\r\n", boundary, boundary) +
             random_lines(random, 400) + fmt::format("--{}\r\nContent-Type: message/rfc822\r\n\r\n", boundary) +
             plain_message(seed + 1, number, "inner@example.test").substr(0, 2600) +
             fmt::format("\r\n--{}--\r\n", boundary);
    }
    default:
      return head(seed, number, to, fmt::format("message {}", number)) +
             "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + random_lines(random, 3800);
  }
}

std::string internal_date(std::uint64_t number) {
  return fmt::format("{:02}-Nov-2026 {:02}:{:02}:{:02} +0000", number / 86400 % 20 + 1, number / 3600 % 24,
                     number / 60 % 60, number % 60);
}

}  // namespace merpati::bench
