#include "merpati/managesieve/response.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace merpati::managesieve {
namespace {

std::string string_of(std::string_view value) {
  std::string out;
  append_string(out, value);
  return out;
}

template <class... Arguments>
std::string response(Arguments&&... arguments) {
  std::string out;
  append_response(out, std::forward<Arguments>(arguments)...);
  return out;
}

TEST(ManageSieveResponse, StringsAreQuotedWhereTheyCan) {
  EXPECT_EQ(string_of(""), "\"\"");
  EXPECT_EQ(string_of("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(string_of("\xC3\xA4"), "\"\xC3\xA4\"");
  EXPECT_EQ(string_of("a\r\nb"), "{4}\r\na\r\nb");
  EXPECT_EQ(string_of("\xFF"), "{1}\r\n\xFF");
  EXPECT_EQ(string_of(std::string_view("a\0b", 3)), std::string("{3}\r\na\0b", 8));
  EXPECT_EQ(string_of(std::string(1024, 'x')).front(), '"');
  EXPECT_EQ(string_of(std::string(1025, 'x')).substr(0, 8), "{1025}\r\n");
}

TEST(ManageSieveResponse, LinesThatEndACommand) {
  EXPECT_EQ(response(Condition::kOk, "", ""), "OK\r\n");
  EXPECT_EQ(response(Condition::kNo, ResponseCode::kQuotaMaxSize, "too large"), "NO (QUOTA/MAXSIZE) \"too large\"\r\n");
  EXPECT_EQ(response(Condition::kBye, "", "a\r\nb"), "BYE {4}\r\na\r\nb\r\n");
  EXPECT_EQ(response(Condition::kOk, code_with_string("TAG", "a\"b"), "Done"), "OK (TAG \"a\\\"b\") \"Done\"\r\n");
}

TEST(ManageSieveResponse, ErrorsHaveTheirCodes) {
  const std::pair<ErrorCode, std::string_view> rows[] = {
      {ErrorCode::kNotFound, "NONEXISTENT"},
      {ErrorCode::kAlreadyExists, "ALREADYEXISTS"},
      {ErrorCode::kFailedPrecondition, "ACTIVE"},
      {ErrorCode::kResourceExhausted, "TRYLATER"},
      {ErrorCode::kUnavailable, "TRYLATER"},
      {ErrorCode::kDeadlineExceeded, "TRYLATER"},
      {ErrorCode::kInternal, "TRYLATER"},
      {ErrorCode::kUnknown, "TRYLATER"},
      {ErrorCode::kUnauthenticated, "TRYLATER"},
      {ErrorCode::kCancelled, "TRYLATER"},
      {ErrorCode::kAborted, "TRYLATER"},
      {ErrorCode::kInvalidArgument, ""},
      {ErrorCode::kOutOfRange, ""},
      {ErrorCode::kPermissionDenied, ""},
      {ErrorCode::kUnimplemented, ""},
      {ErrorCode::kDataLoss, ""},
  };
  for (const auto& [code, name] : rows) EXPECT_EQ(to_string(response_code(Error(code, ""))), name) << to_string(code);
}

TEST(ManageSieveResponse, TheLogsTextIsNotShown) {
  EXPECT_EQ(response(Condition::kNo, Error(ErrorCode::kUnavailable, "10.0.0.7 refused")),
            "NO (TRYLATER) \"temporarily unavailable, try again later\"\r\n");
  EXPECT_EQ(response(Condition::kNo, Error(ErrorCode::kNotFound, "row").with_public("no such script")),
            "NO (NONEXISTENT) \"no such script\"\r\n");
}

}  // namespace
}  // namespace merpati::managesieve
