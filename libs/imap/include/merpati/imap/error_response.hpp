// Error to IMAP response: the one table that decides what a client is told (RFC 9051 7.1, RFC 5530).
#pragma once

#include <string>

#include "merpati/base/error.hpp"

namespace merpati::imap {

struct StatusResponse {
  std::string condition;  ///< "NO" or "BAD"
  std::string code;       ///< response code without brackets; may be empty
  std::string text;       ///< safe to show
};

StatusResponse to_response(const Error& error);

}  // namespace merpati::imap
