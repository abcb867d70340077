// Address: a mailbox address in the one form that the directory compares. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati::auth {

struct Address {
  std::string local;   ///< NFC, lower case
  std::string domain;  ///< A-labels, lower case
  std::string text() const { return local + "@" + domain; }
};

/// kInvalidArgument when it is no address that can have a mailbox here. Quoted local parts (RFC 5321 4.1.2) lose their
/// quotes.
Result<Address> parse_address(std::string_view text);
/// A domain as A-labels in lower case (UTS 46, non-transitional), or kInvalidArgument.
Result<std::string> parse_domain(std::string_view text);
/// For people: U-labels where that is possible.
std::string unicode_domain(std::string_view ascii);

struct Subaddress {
  std::string user;
  std::string detail;
};
/// "user+detail" by the domain's separator (RFC 5233); nullopt when there is none in it.
std::optional<Subaddress> split_subaddress(std::string_view local, std::string_view separator);

/// A password in the form that is hashed (RFC 8265 4.2: OpaqueString), or kInvalidArgument.
Result<std::string> prepare_password(std::string_view password);

}  // namespace merpati::auth
