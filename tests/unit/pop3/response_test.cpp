#include "merpati/pop3/response.hpp"

#include <gtest/gtest.h>

namespace merpati::pop3 {
namespace {

std::string stuffed(std::string_view message, std::size_t step) {
  DotWriter writer;
  std::string out;
  for (std::size_t i = 0; i < message.size(); i += step) writer.write(message.substr(i, step), out);
  writer.finish(out);
  return out;
}

TEST(Pop3Response, DotsAreDoubledAtLineStartsWhereverPiecesAreCut) {
  const std::string_view message = ".a\r\n..\r\nb.\r\n.\r\n\r\n.";
  for (std::size_t step = 1; step <= message.size(); ++step)
    EXPECT_EQ(stuffed(message, step), "..a\r\n...\r\nb.\r\n..\r\n\r\n..\r\n.\r\n") << step;
}

TEST(Pop3Response, TheLastLineIsCompleted) {
  EXPECT_EQ(stuffed("a", 1), "a\r\n.\r\n");
  EXPECT_EQ(stuffed("a\r\n", 1), "a\r\n.\r\n");
  EXPECT_EQ(stuffed("a\r", 1), "a\r\r\n.\r\n");
  EXPECT_EQ(stuffed("", 1), ".\r\n");
  EXPECT_EQ(stuffed("a\n.\n", 2), "a\n.\n\r\n.\r\n");  // a bare LF starts no line
}

std::string top(std::string_view message, std::uint32_t lines, std::size_t step) {
  TopLimiter limiter(lines);
  std::string out;
  for (std::size_t i = 0; i < message.size() && !limiter.done(); i += step)
    out += limiter.pass(message.substr(i, step));
  return out;
}

TEST(Pop3Response, TopKeepsTheHeaderAndCountsBodyLines) {
  const std::string_view message = "A: b\r\nC: d\r\n\r\none\r\n\r\nthree";
  for (std::size_t step = 1; step <= message.size(); ++step) {
    EXPECT_EQ(top(message, 0, step), "A: b\r\nC: d\r\n\r\n") << step;
    EXPECT_EQ(top(message, 1, step), "A: b\r\nC: d\r\n\r\none\r\n") << step;
    EXPECT_EQ(top(message, 2, step), "A: b\r\nC: d\r\n\r\none\r\n\r\n") << step;
    EXPECT_EQ(top(message, 9, step), message) << step;
  }
  EXPECT_EQ(top("A: b\r\n", 5, 3), "A: b\r\n");  // no body at all
  EXPECT_EQ(top("\r\nbody\r\nmore", 1, 1), "\r\nbody\r\n");
}

TEST(Pop3Response, StatusLines) {
  EXPECT_EQ(ok("2 320"), "+OK 2 320\r\n");
  EXPECT_EQ(ok(""), "+OK\r\n");
  EXPECT_EQ(err("no", ResponseCode::kInUse), "-ERR [IN-USE] no\r\n");
  EXPECT_EQ(err("a\r\n+OK b"), "-ERR a  +OK b\r\n");  // a text can never make a second line
}

struct Row {
  ErrorCode code;
  ResponseCode login, maildrop, command;
};

TEST(Pop3Response, ErrorTable) {
  using enum ResponseCode;
  const Row rows[] = {{ErrorCode::kCancelled, kSysTemp, kSysTemp, kSysTemp},
                      {ErrorCode::kUnknown, kSysTemp, kSysTemp, kSysTemp},
                      {ErrorCode::kInvalidArgument, kSysPerm, kSysPerm, kNone},
                      {ErrorCode::kDeadlineExceeded, kSysTemp, kSysTemp, kSysTemp},
                      {ErrorCode::kNotFound, kSysPerm, kSysPerm, kNone},
                      {ErrorCode::kAlreadyExists, kInUse, kInUse, kSysTemp},
                      {ErrorCode::kPermissionDenied, kAuth, kSysPerm, kSysPerm},
                      {ErrorCode::kResourceExhausted, kSysTemp, kSysTemp, kSysTemp},
                      {ErrorCode::kFailedPrecondition, kSysTemp, kInUse, kSysTemp},
                      {ErrorCode::kAborted, kInUse, kInUse, kSysTemp},
                      {ErrorCode::kOutOfRange, kSysPerm, kSysPerm, kNone},
                      {ErrorCode::kUnimplemented, kSysPerm, kSysPerm, kSysPerm},
                      {ErrorCode::kInternal, kSysTemp, kSysTemp, kSysTemp},
                      {ErrorCode::kUnavailable, kSysTemp, kSysTemp, kSysTemp},
                      {ErrorCode::kDataLoss, kSysPerm, kSysPerm, kSysPerm},
                      {ErrorCode::kUnauthenticated, kAuth, kSysTemp, kSysTemp}};
  for (const auto& row : rows) {
    const Error error(row.code, "internal detail");
    EXPECT_EQ(response_code(error, ErrorSite::kLogin), row.login) << to_string(row.code);
    EXPECT_EQ(response_code(error, ErrorSite::kMaildrop), row.maildrop) << to_string(row.code);
    EXPECT_EQ(response_code(error, ErrorSite::kCommand), row.command) << to_string(row.code);
    EXPECT_EQ(err(error, ErrorSite::kLogin).find("internal detail"), std::string::npos);
  }
  EXPECT_EQ(err(Error(ErrorCode::kUnavailable, "x"), ErrorSite::kCommand),
            "-ERR [SYS/TEMP] temporarily unavailable, try again later\r\n");
}

TEST(Pop3Response, UniqueIds) {
  EXPECT_TRUE(is_unique_id("1700000000.42"));
  EXPECT_TRUE(is_unique_id(std::string(70, '~')));
  EXPECT_FALSE(is_unique_id(std::string(71, '~')));
  EXPECT_FALSE(is_unique_id(""));
  EXPECT_FALSE(is_unique_id("a b"));
}

}  // namespace
}  // namespace merpati::pop3
