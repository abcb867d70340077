#include "merpati/imap/format.hpp"

#include <gtest/gtest.h>

#include "merpati/imap/error_response.hpp"
#include "merpati/imap/mailbox_name.hpp"

namespace merpati::imap {
namespace {

std::string astring(std::string_view value, bool utf8 = false) {
  std::string out;
  append_astring(out, value, utf8);
  return out;
}

TEST(Format, AStringTakesTheSimplestForm) {
  EXPECT_EQ(astring("abc]"), "abc]");
  EXPECT_EQ(astring(""), "\"\"");
  EXPECT_EQ(astring("nil"), "\"nil\"");
  EXPECT_EQ(astring("a b"), "\"a b\"");
  EXPECT_EQ(astring("a\"b\\"), "\"a\\\"b\\\\\"");
  EXPECT_EQ(astring("a\r\nb"), "{4}\r\na\r\nb");
  EXPECT_EQ(astring("\xc3\xa9"), "{2}\r\n\xc3\xa9");
  EXPECT_EQ(astring("\xc3\xa9", true), "\"\xc3\xa9\"");
  EXPECT_EQ(astring("\xff", true), "{1}\r\n\xff");
}

TEST(MailboxName, ModifiedUtf7OfTheRfc) {
  // RFC 3501 5.1.3
  EXPECT_EQ(to_modified_utf7("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"),
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
  EXPECT_EQ(*from_modified_utf7("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
  EXPECT_EQ(to_modified_utf7("a&b"), "a&-b");
  EXPECT_EQ(*from_modified_utf7("a&-b"), "a&b");
  EXPECT_EQ(*from_modified_utf7("&2D3eAA-"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(to_modified_utf7("\xf0\x9f\x98\x80"), "&2D3eAA-");
}

TEST(MailboxName, RefusesBadModifiedUtf7) {
  for (const char* text : {"&", "&U", "&U-", "&AGE-", "caf\xc3\xa9", "&2D0-", "&****-"})
    EXPECT_FALSE(from_modified_utf7(text)) << text;
}

TEST(MailboxName, Patterns) {
  EXPECT_TRUE(matches_pattern("*", "a/b/c"));
  EXPECT_TRUE(matches_pattern("%", "a"));
  EXPECT_FALSE(matches_pattern("%", "a/b"));
  EXPECT_TRUE(matches_pattern("a/%", "a/b"));
  EXPECT_FALSE(matches_pattern("a/%", "a/b/c"));
  EXPECT_TRUE(matches_pattern("%/b*", "a/bc/d"));
  EXPECT_TRUE(matches_pattern("inbox", "INBOX"));
  EXPECT_TRUE(matches_pattern("inBox/x", "INBOX/x"));
  EXPECT_FALSE(matches_pattern("inbox/X", "INBOX/x"));
  EXPECT_FALSE(matches_pattern("Sent", "sent"));
  EXPECT_EQ(canonical_inbox("iNbOx/a"), "INBOX/a");
  EXPECT_EQ(canonical_inbox("inboxes"), "inboxes");
  EXPECT_FALSE(matches_pattern(std::string(400, '*') + "b", std::string(4000, 'a')));  // returns at all
}

TEST(MailboxName, SearchCharsets) {
  EXPECT_EQ(*to_utf8("ISO-8859-1", "\xe9"), "\xc3\xa9");
  EXPECT_EQ(*to_utf8("", "x"), "x");
  EXPECT_FALSE(to_utf8("X-NO-SUCH", "x"));
}

TEST(ErrorResponse, EveryCodeHasARow) {
  const std::pair<ErrorCode, const char*> kExpected[] = {{ErrorCode::kCancelled, "NO UNAVAILABLE"},
                                                         {ErrorCode::kUnknown, "NO SERVERBUG"},
                                                         {ErrorCode::kInvalidArgument, "NO CANNOT"},
                                                         {ErrorCode::kDeadlineExceeded, "NO UNAVAILABLE"},
                                                         {ErrorCode::kNotFound, "NO NONEXISTENT"},
                                                         {ErrorCode::kAlreadyExists, "NO ALREADYEXISTS"},
                                                         {ErrorCode::kPermissionDenied, "NO NOPERM"},
                                                         {ErrorCode::kResourceExhausted, "NO LIMIT"},
                                                         {ErrorCode::kFailedPrecondition, "NO CANNOT"},
                                                         {ErrorCode::kAborted, "NO UNAVAILABLE"},
                                                         {ErrorCode::kOutOfRange, "BAD "},
                                                         {ErrorCode::kUnimplemented, "NO CANNOT"},
                                                         {ErrorCode::kInternal, "NO SERVERBUG"},
                                                         {ErrorCode::kUnavailable, "NO UNAVAILABLE"},
                                                         {ErrorCode::kDataLoss, "NO CORRUPTION"},
                                                         {ErrorCode::kUnauthenticated, "NO AUTHENTICATIONFAILED"}};
  for (const auto& [code, expected] : kExpected) {
    const auto response = to_response(Error(code, "secret detail"));
    EXPECT_EQ(response.condition + " " + response.code, expected);
    EXPECT_EQ(response.text.find("secret"), std::string::npos);
  }
  EXPECT_EQ(to_response(Error(ErrorCode::kResourceExhausted, "x").with_status("5.2.2")).code, "OVERQUOTA");
  EXPECT_EQ(to_response(Error(ErrorCode::kNotFound, "x").with_public("a\r\nb")).text, "a??b");
}

}  // namespace
}  // namespace merpati::imap
