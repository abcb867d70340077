// OpenSSL's error queue as our Error.
#pragma once

#include <openssl/err.h>

#include <string>

#include "merpati/base/error.hpp"

namespace merpati::net {

/// "what: reason of OpenSSL", the first of the queue, which the later ones only wrap; empties this thread's queue.
inline Error tls_error(ErrorCode code, std::string what) {
  if (const auto reason = ERR_peek_error()) {
    char text[256];
    ERR_error_string_n(reason, text, sizeof text);
    what.append(": ").append(text);
  }
  ERR_clear_error();
  return {code, std::move(what)};
}

}  // namespace merpati::net
