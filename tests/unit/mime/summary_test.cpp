#include "merpati/mime/summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "merpati/mime/imap_format.hpp"

namespace merpati::mime {
namespace {

std::string crlf(std::string text) {
  std::string out;
  for (char c : text) {
    if (c == '\n')
      out += "\r\n";
    else
      out.push_back(c);
  }
  return out;
}

const std::string kNested = crlf(
    "Received: from a by b; Mon, 23 Nov 2026 09:00:00 +0000\n"
    "Received: from c by a; Mon, 23 Nov 2026 08:59:00 +0000\n"
    "From: =?utf-8?q?J=C3=BCrgen?= <j@example.test>\n"
    "To: team: a@x.test, \"B, C\" <b@x.test>;, c@y.test\n"
    "Subject: Re: [list] Fwd: plan\n"
    "Date: Mon, 23 Nov 2026 10:00:00 +0100\n"
    "Message-ID: <1@example.test>\n"
    "In-Reply-To: <0@example.test>\n"
    "References: <r1@x> <r2@x>\n"
    "MIME-Version: 1.0\n"
    "Content-Type: multipart/mixed; boundary=\"outer\"\n"
    "\n"
    "preamble\n"
    "--outer\n"
    "Content-Type: multipart/alternative; boundary=outer-inner\n"
    "\n"
    "--outer-inner\n"
    "Content-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: quoted-printable\n"
    "\n"
    "H=C3=A4llo=\n"
    " world\n"
    "second  line\n"
    "--outer-inner\n"
    "Content-Type: text/html\n"
    "\n"
    "<p>Hallo</p>\n"
    "--outer-inner--\n"
    "\n"
    "--outer\n"
    "Content-Type: message/rfc822\n"
    "Content-Description: forwarded\n"
    "\n"
    "From: x@y.test\n"
    "Subject: inner\n"
    "\n"
    "inner body\n"
    "--outer\n"
    "Content-Type: application/pdf; name*0*=utf-8''a%20; name*1=\"b.pdf\"\n"
    "Content-Transfer-Encoding: base64\n"
    "Content-Disposition: attachment; filename=\"a b.pdf\"\n"
    "Content-ID: <cid@x>\n"
    "\n"
    "AAAA\n"
    "--outer--\n"
    "epilogue\n");

TEST(Summary, ReadsANestedMessage) {
  const Summary s = summarize(kNested);
  EXPECT_EQ(s.size, kNested.size());
  EXPECT_EQ(s.received_count, 2u);
  EXPECT_EQ(s.base_subject, "plan");
  EXPECT_TRUE(s.subject_is_reply);
  EXPECT_EQ(s.references, (std::vector<std::string>{"<r1@x>", "<r2@x>"}));
  ASSERT_TRUE(s.date);
  EXPECT_EQ(s.date->unix_seconds, 1795424400);
  EXPECT_EQ(s.preview, "H\xC3\xA4llo world second line");
  EXPECT_TRUE(s.has_attachments);
  EXPECT_EQ(s.part_count, 7u);
  EXPECT_EQ(s.depth, 3u);
  ASSERT_EQ(s.root.children.size(), 3u);
  EXPECT_EQ(s.root.children[0].children.size(), 2u);
  EXPECT_EQ(s.root.children[0].children[1].body.of(kNested), "<p>Hallo</p>");
  EXPECT_EQ(s.root.children[1].body.of(kNested), "From: x@y.test\r\nSubject: inner\r\n\r\ninner body");
  EXPECT_EQ(s.root.children[2].body.of(kNested), "AAAA");
}

TEST(Summary, SectionsAreByteRanges) {
  const Summary s = summarize(kNested);
  const auto bytes = [&](std::vector<std::uint32_t> path, SectionKind kind) -> std::string {
    const auto span = find_section(s, path, kind);
    return span ? std::string(span->of(kNested)) : "(none)";
  };
  EXPECT_EQ(bytes({}, SectionKind::kContent), kNested);
  EXPECT_EQ(bytes({}, SectionKind::kHeader) + bytes({}, SectionKind::kText), kNested);
  EXPECT_EQ(bytes({1, 2}, SectionKind::kContent), "<p>Hallo</p>");
  EXPECT_EQ(bytes({1, 2}, SectionKind::kMime), "Content-Type: text/html\r\n\r\n");
  EXPECT_EQ(bytes({2}, SectionKind::kHeader), "From: x@y.test\r\nSubject: inner\r\n\r\n");
  EXPECT_EQ(bytes({2}, SectionKind::kText), "inner body");
  EXPECT_EQ(bytes({2, 1}, SectionKind::kContent), "inner body");
  EXPECT_EQ(bytes({3}, SectionKind::kHeader), "(none)");
  EXPECT_EQ(bytes({4}, SectionKind::kContent), "(none)");
  EXPECT_EQ(bytes({3, 1}, SectionKind::kContent), "(none)");
  const std::string plain = "Subject: x\r\n\r\nbody";
  const Summary one = summarize(plain);
  const std::uint32_t first[] = {1};
  EXPECT_EQ(find_section(one, first, SectionKind::kContent)->of(plain), "body");
}

TEST(Summary, RendersForImap) {
  const Summary s = summarize(kNested);
  EXPECT_EQ(render_envelope(s.envelope),
            "(\"Mon, 23 Nov 2026 10:00:00 +0100\" \"Re: [list] Fwd: plan\" "
            "((\"=?utf-8?q?J=C3=BCrgen?=\" NIL \"j\" \"example.test\")) "
            "((\"=?utf-8?q?J=C3=BCrgen?=\" NIL \"j\" \"example.test\")) "
            "((\"=?utf-8?q?J=C3=BCrgen?=\" NIL \"j\" \"example.test\")) "
            "((NIL NIL \"team\" NIL)(NIL NIL \"a\" \"x.test\")(\"B, C\" NIL \"b\" \"x.test\")(NIL NIL NIL NIL)"
            "(NIL NIL \"c\" \"y.test\")) NIL NIL \"<0@example.test>\" \"<1@example.test>\")");
  EXPECT_EQ(render_bodystructure(s.root),
            "(((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 33 2 NIL NIL NIL NIL)"
            "(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 12 0 NIL NIL NIL NIL) "
            "\"alternative\" (\"boundary\" \"outer-inner\") NIL NIL NIL)"
            "(\"message\" \"rfc822\" NIL NIL \"forwarded\" \"7bit\" 44 "
            "(NIL \"inner\" ((NIL NIL \"x\" \"y.test\")) ((NIL NIL \"x\" \"y.test\")) ((NIL NIL \"x\" \"y.test\")) "
            "NIL NIL NIL NIL NIL) "
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)"
            "(\"application\" \"pdf\" (\"name*\" \"utf-8''a%20b.pdf\") \"<cid@x>\" NIL \"base64\" 4 NIL "
            "(\"attachment\" (\"filename\" \"a b.pdf\")) NIL NIL) "
            "\"mixed\" (\"boundary\" \"outer\") NIL NIL NIL)");
  EXPECT_EQ(*decoded_parameter(s.root.children[2].parameters, "name"), "a b.pdf");
}

TEST(Summary, QuotesWhatNeedsIt) {
  std::string out;
  append_imap_string("a\"b\\c", out);
  append_imap_string("\xC3\xA4", out);
  append_imap_string(std::string_view("n\0l", 3), out);
  EXPECT_EQ(out, "\"a\\\"b\\\\c\"{2}\r\n\xC3\xA4\"nl\"");
}

TEST(Summary, BrokenMailStillHasATree) {
  EXPECT_EQ(render_body(summarize("").root), "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
  // No closing boundary.
  Summary s = summarize("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n");
  ASSERT_EQ(s.root.children.size(), 1u);
  EXPECT_EQ(s.root.children[0].body.size, 3u);
  // A boundary inside a header, and nothing after it.
  s = summarize("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b--");
  ASSERT_EQ(s.root.children.size(), 1u);
  EXPECT_EQ(s.root.children[0].subtype, "html");
  EXPECT_EQ(s.root.children[0].body.size, 0u);
  // A multipart without boundary is shown as text; one without parts has a stand-in.
  EXPECT_EQ(summarize("Content-Type: multipart/mixed\r\n\r\nhello").root.type, "text");
  EXPECT_EQ(render_body(summarize("Content-Type: multipart/mixed; boundary=x\r\n\r\nhello").root),
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")");
  // The outer boundary ends an unclosed inner one.
  s =
      summarize(crlf("Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n"
                     "--i\n\nin\n--o\n\nout\n--o--\n"));
  ASSERT_EQ(s.root.children.size(), 2u);
  EXPECT_EQ(s.root.children[0].children.size(), 1u);
}

TEST(Summary, LimitsNestingAndParts) {
  std::string deep;
  for (int i = 0; i < 500; ++i) {
    const std::string b = "b" + std::to_string(i) + "x";
    deep += "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n";
  }
  Summary s = summarize(deep);
  EXPECT_EQ(s.depth, Limits{}.max_depth);
  EXPECT_TRUE(s.limited);
  std::string wide = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
  for (int i = 0; i < 50'000; ++i) wide += "--b\r\n\r\n";
  s = summarize(wide);
  EXPECT_EQ(s.part_count, Limits{}.max_parts);
  EXPECT_TRUE(s.limited);
  std::string rfc822;
  for (int i = 0; i < 1000; ++i) rfc822 += "Content-Type: message/rfc822\r\n\r\n";
  EXPECT_TRUE(summarize(rfc822).limited);
}

TEST(Summary, IsNotAsLargeAsTheMessage) {
  const auto size_of = [](const std::string& message) {
    const Summary s = summarize(message);
    EXPECT_TRUE(s.limited);
    EXPECT_EQ(s.size, message.size());
    return render_envelope(s.envelope).size() + render_bodystructure(s.root).size();
  };
  const std::string long_word(5'000'000, 'a');
  const std::size_t header = 2 * Limits{}.max_header,
                    all = 4 * Limits{}.max_headers;  // an envelope shows From three times
  EXPECT_LT(size_of("To: \"" + long_word + "\" <a@b>\r\n\r\nx"), header);
  EXPECT_LT(size_of("To: " + long_word + "@" + long_word + "\r\n\r\nx"), header);
  EXPECT_LT(size_of("Content-Type: text/plain; name=" + long_word + "\r\n\r\nx"), header);
  EXPECT_LT(size_of("Content-Type: " + long_word + "/x\r\n\r\nx"), header);
  EXPECT_LT(size_of("Content-Disposition: a; filename=" + long_word + "\r\n\r\nx"), header);
  std::string parts = "Content-Type: multipart/mixed; boundary=b\r\n\r\n", inner = parts;
  const std::string kilobytes(60'000, 'a');
  for (int i = 0; i < 200; ++i) {
    parts += "--b\r\nContent-Description: " + kilobytes + "\r\nContent-ID: " + kilobytes + "\r\n\r\nx\r\n";
    inner += "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: \"" + kilobytes + "\" <a@b>\r\n\r\nx\r\n";
  }
  EXPECT_LT(size_of(parts), all);
  EXPECT_LT(size_of(inner), all);
}

TEST(Summary, PreviewOfHtml) {
  const Summary s = summarize(
      "Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>T</title></head><style>p{}</style>"
      "<p>A &amp; B&nbsp;&#8364;</p><script>x</script>\r\n  end");
  EXPECT_EQ(s.preview, "A & B \xE2\x82\xAC end");
  EXPECT_EQ(summarize("\r\n" + std::string(5000, 'x')).preview.size(), 200u);
}

// --- properties, over messages made from pieces that parsers trip over -------------------------------------------

void check_offsets(const Part& part, const Span& outer) {
  ASSERT_GE(part.header.offset, outer.offset);
  ASSERT_EQ(part.header.end(), part.body.offset);
  ASSERT_LE(part.body.end(), outer.end());
  std::uint64_t at = part.body.offset;
  for (const Part& child : part.children) {
    ASSERT_GE(child.header.offset, at);  // children in order, none overlaps
    check_offsets(child, part.body);
    at = child.body.end();
  }
}

std::string random_message(std::mt19937& rng) {
  static const std::vector<std::string> kPieces = {"\r\n",
                                                   "\n",
                                                   "\r",
                                                   "--",
                                                   "--a",
                                                   "--a\r\n",
                                                   "\r\n--a--\r\n",
                                                   "--ab\r\n",
                                                   "\r\n\r\n",
                                                   " ",
                                                   "Subject: x\r\n",
                                                   "From: ",
                                                   "Content-Type: multipart/mixed; boundary=a\r\n",
                                                   "Content-Type: multipart/digest; boundary=\"ab\"\r\n",
                                                   "Content-Type: message/rfc822\r\n",
                                                   "Content-Type: text/plain; charset=utf-16\r\n\r\n",
                                                   "a@b, <c@d> (e)\r\n",
                                                   "=?utf-8?b?",
                                                   "Content-Transfer-Encoding: base64\r\n",
                                                   "text\r\n",
                                                   std::string("\0", 1),
                                                   "\xFF\xFE",
                                                   ";",
                                                   "\"",
                                                   "(",
                                                   "<",
                                                   ":",
                                                   "\\"};
  std::string out;
  const int count = std::uniform_int_distribution<>(0, 60)(rng);
  for (int i = 0; i < count; ++i) out += kPieces[rng() % kPieces.size()];
  return out;
}

std::uint64_t balance(const std::string& text) {
  // Parentheses outside strings must match in every response that we send.
  std::int64_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; text[i] != '"'; ++i) i += text[i] == '\\';
    } else if (text[i] == '{') {
      const std::size_t size = std::stoul(text.substr(i + 1));
      i = text.find('\n', i) + size;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')') {
      --depth;
    }
  }
  return static_cast<std::uint64_t>(depth);
}

TEST(SummaryProperty, OffsetsCoverAnyMessage) {
  std::mt19937 rng(20261123);
  for (int i = 0; i < 5000; ++i) {
    const std::string message = random_message(rng);
    const Summary s = summarize(message);
    check_offsets(s.root, {0, message.size()});
    ASSERT_EQ(std::string(s.root.header.of(message)) + std::string(s.root.body.of(message)), message);
    ASSERT_EQ(s.root.lines,
              static_cast<std::uint64_t>(
                  std::count(message.begin() + static_cast<std::ptrdiff_t>(s.root.body.offset), message.end(), '\n')));
    ASSERT_EQ(balance(render_bodystructure(s.root)), 0u);
    ASSERT_EQ(balance(render_envelope(s.envelope)), 0u);
  }
}

void check_lines(const std::string& message, const Part& part) {
  const std::string_view body = part.body.of(message);
  ASSERT_EQ(part.lines, static_cast<std::uint64_t>(std::count(body.begin(), body.end(), '\n')));
  for (const Part& child : part.children) check_lines(message, child);
}

TEST(SummaryProperty, LineCountsAreThoseOfTheBytes) {
  std::mt19937 rng(7);
  for (int i = 0; i < 5000; ++i) {
    const std::string message = random_message(rng);
    check_lines(message, summarize(message).root);
  }
}

// What was put in comes out: a tree is written, parsed and sliced.
struct Tree {
  std::string body;
  std::vector<Tree> children;
};

Tree random_tree(std::mt19937& rng, int depth) {
  Tree tree;
  if (depth < 4 && rng() % 3 == 0) {
    const std::size_t count = 1 + rng() % 4;
    for (std::size_t i = 0; i < count; ++i) tree.children.push_back(random_tree(rng, depth + 1));
  } else {
    for (std::size_t i = rng() % 6; i > 0; --i)
      tree.body += "line -- " + std::to_string(rng()) + (rng() % 2 ? "\r\n" : "\n");
    if (rng() % 2) tree.body += "no end";
  }
  return tree;
}

std::string write_tree(const Tree& tree, std::string boundary) {
  if (tree.children.empty()) return "Content-Type: application/x-test\r\n\r\n" + tree.body;
  std::string out = "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n";
  for (std::size_t i = 0; i < tree.children.size(); ++i) {
    out += "--" + boundary + "\r\n" + write_tree(tree.children[i], boundary + "=" + std::to_string(i)) + "\r\n";
  }
  return out + "--" + boundary + "--";
}

void compare(const std::string& message, const Tree& tree, const Part& part) {
  ASSERT_EQ(part.children.size(), tree.children.size());
  if (tree.children.empty()) {
    ASSERT_EQ(part.body.of(message), tree.body);
  }
  for (std::size_t i = 0; i < tree.children.size(); ++i) compare(message, tree.children[i], part.children[i]);
}

TEST(SummaryProperty, WrittenTreesAreSlicedByteExactly) {
  std::mt19937 rng(42);
  for (int i = 0; i < 1000; ++i) {
    const Tree tree = random_tree(rng, 0);
    const std::string message = write_tree(tree, "B");
    const Summary s = summarize(message);
    compare(message, tree, s.root);
    if (HasFatalFailure()) FAIL() << message;
  }
}

}  // namespace
}  // namespace merpati::mime
