// Error: what every fallible operation of the house returns instead of a value. Owned by the caller.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace merpati {

/// gRPC's canonical codes. Whether a code is temporary or permanent for a peer is decided only in the mapping tables
/// of the protocols (libs/smtp, libs/imap, libs/pop3, libs/rpc).
enum class ErrorCode : std::uint8_t {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// The code's name as gRPC writes it, such as "NOT_FOUND".
std::string_view to_string(ErrorCode code);

/// An error with a text for the log and, apart from it, an optional text that is safe to show to a peer.
class Error {
 public:
  Error() = default;
  Error(ErrorCode code, std::string message, std::source_location where = std::source_location::current())
      : code_(code), message_(std::move(message)), where_(where) {}

  ErrorCode code() const { return code_; }
  /// For the log; may name internal things.
  const std::string& message() const { return message_; }
  /// Safe to show to a peer; empty when nothing was set.
  const std::string& public_text() const { return public_text_; }
  /// Enhanced status code "class.subject.detail" (RFC 3463); empty when nothing was set.
  const std::string& enhanced_status() const { return enhanced_status_; }
  const std::source_location& where() const { return where_; }
  /// False: whoever failed has tried again already, and would fail at once the same way on every replica.
  bool may_retry() const { return may_retry_; }

  Error&& with_public(std::string text) && {
    public_text_ = std::move(text);
    return std::move(*this);
  }
  Error&& with_status(std::string status) && {
    enhanced_status_ = std::move(status);
    return std::move(*this);
  }
  Error&& without_retry() && {
    may_retry_ = false;
    return std::move(*this);
  }
  /// Puts "context: " before the log text.
  Error&& in(std::string_view context) && {
    message_.insert(0, ": ");
    message_.insert(0, context);
    return std::move(*this);
  }
  /// "NOT_FOUND: text (file.cpp:12)".
  std::string describe() const;

 private:
  ErrorCode code_ = ErrorCode::kUnknown;
  bool may_retry_ = true;
  std::string message_;
  std::string public_text_;
  std::string enhanced_status_;
  std::source_location where_;
};

}  // namespace merpati
