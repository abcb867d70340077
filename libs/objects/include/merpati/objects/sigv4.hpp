// AWS Signature Version 4, as S3 wants it (header form). Pure: no clock, no network.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "merpati/base/clock.hpp"

namespace merpati::objects {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  ///< of temporary credentials; else empty
};

struct HttpRequest {
  std::string method;
  std::string host;                                          ///< as in the Host header, with a port unless default
  std::string path = "/";                                    ///< percent-encoded (uri_encode)
  std::vector<std::pair<std::string, std::string>> query;    ///< not encoded
  std::vector<std::pair<std::string, std::string>> headers;  ///< without Host
};

/// Percent-encodes all but `A-Z a-z 0-9 - . _ ~`, and "/" unless told to.
enum class Slash { kEncode, kKeep };
std::string uri_encode(std::string_view text, Slash slash);
/// The query as it is signed and sent: encoded, sorted, "a=1&b=".
std::string canonical_query(const HttpRequest& request);

struct SigningScope {
  std::string region;
  std::string service = "s3";
};

/// Adds X-Amz-Date, X-Amz-Security-Token (when there is one), for service "s3" X-Amz-Content-Sha256, and
/// Authorization over all headers. `payload_sha256` is hexadecimal.
void sign(HttpRequest& request, const Credentials& credentials, const SigningScope& scope, WallTime now,
          std::string_view payload_sha256);

}  // namespace merpati::objects
