#include "merpati/imap/error_response.hpp"

#include "merpati/imap/format.hpp"

namespace merpati::imap {
namespace {

struct Row {
  ErrorCode code;
  const char* condition;
  const char* response_code;
  const char* text;
};

constexpr Row kTable[] = {
    {ErrorCode::kCancelled, "NO", "UNAVAILABLE", "The command was cut short, try again"},
    {ErrorCode::kUnknown, "NO", "SERVERBUG", "Internal error"},
    {ErrorCode::kInvalidArgument, "NO", "CANNOT", "The request is not valid"},
    {ErrorCode::kDeadlineExceeded, "NO", "UNAVAILABLE", "This took too long, try again"},
    {ErrorCode::kNotFound, "NO", "NONEXISTENT", "There is no such mailbox"},
    {ErrorCode::kAlreadyExists, "NO", "ALREADYEXISTS", "The mailbox exists already"},
    {ErrorCode::kPermissionDenied, "NO", "NOPERM", "Not permitted"},
    {ErrorCode::kResourceExhausted, "NO", "LIMIT", "A limit was reached, try again later"},
    {ErrorCode::kFailedPrecondition, "NO", "CANNOT", "This cannot be done"},
    {ErrorCode::kAborted, "NO", "UNAVAILABLE", "Too many changes at once, try again"},
    {ErrorCode::kOutOfRange, "BAD", "", "A number is out of range"},
    {ErrorCode::kUnimplemented, "NO", "CANNOT", "Not supported here"},
    {ErrorCode::kInternal, "NO", "SERVERBUG", "Internal error"},
    {ErrorCode::kUnavailable, "NO", "UNAVAILABLE", "The service is not available now, try again later"},
    {ErrorCode::kDataLoss, "NO", "CORRUPTION", "Stored data is damaged"},
    {ErrorCode::kUnauthenticated, "NO", "AUTHENTICATIONFAILED", "Authentication failed"},
};

}  // namespace

StatusResponse to_response(const Error& error) {
  for (const auto& row : kTable) {
    if (row.code != error.code()) continue;
    StatusResponse response{row.condition, row.response_code, row.text};
    // RFC 3463 X.2.2, mailbox full: OVERQUOTA of RFC 5530.
    if (row.code == ErrorCode::kResourceExhausted && error.enhanced_status().ends_with(".2.2")) {
      response.code = "OVERQUOTA";
      response.text = "The mailbox is full";
    }
    if (!error.public_text().empty()) response.text = response_text(error.public_text());
    return response;
  }
  return {"NO", "SERVERBUG", "Internal error"};
}

}  // namespace merpati::imap
