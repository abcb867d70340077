#include "merpati/pg/sqlstate.hpp"

#include <gtest/gtest.h>

namespace merpati::pg {
namespace {

TEST(Sqlstate, TableOfErrors) {
  const struct {
    const char* sqlstate;
    ErrorCode code;
  } kCases[] = {
      {"", ErrorCode::kUnavailable},
      {"08006", ErrorCode::kUnavailable},
      {"57P01", ErrorCode::kUnavailable},
      {"57P03", ErrorCode::kUnavailable},
      {"57014", ErrorCode::kDeadlineExceeded},
      {"53300", ErrorCode::kUnavailable},
      {"53100", ErrorCode::kUnavailable},
      {"40001", ErrorCode::kAborted},
      {"40P01", ErrorCode::kAborted},
      {"55P03", ErrorCode::kAborted},
      {"23505", ErrorCode::kAlreadyExists},
      {"23503", ErrorCode::kFailedPrecondition},
      {"22021", ErrorCode::kInvalidArgument},
      {"42501", ErrorCode::kPermissionDenied},
      {"42601", ErrorCode::kInternal},
      {"42P01", ErrorCode::kUnavailable},
      {"25006", ErrorCode::kUnavailable},
      {"XX001", ErrorCode::kDataLoss},
      {"XX000", ErrorCode::kInternal},
      {"MP005", ErrorCode::kNotFound},
      {"MP008", ErrorCode::kResourceExhausted},
      {"MP099", ErrorCode::kInternal},
      {"MPxyz", ErrorCode::kInternal},
  };
  for (const auto& test : kCases)
    EXPECT_EQ(error_from_sqlstate(test.sqlstate, "text").code(), test.code) << test.sqlstate;
  EXPECT_TRUE(is_conflict("40P01"));
  EXPECT_FALSE(is_conflict("23505"));
  EXPECT_TRUE(ends_connection("57P01"));
  EXPECT_FALSE(ends_connection("57014"));
}

}  // namespace
}  // namespace merpati::pg
