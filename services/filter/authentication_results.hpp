// Authentication-Results (RFC 8601): what we write, and which fields of a message claim to be ours.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::filter {

/// What was found out about a message's sender. Only methods that ran may be in it.
struct AuthenticationFacts {
  std::string authenticated_address;  ///< of the login (RFC 4954); empty: the client did not log in
};

/// The field's value, folded, without final CRLF.
std::string authentication_results(std::string_view authserv_id, const AuthenticationFacts& facts);

/// Indexes (from 1 at the top, among the fields of this name) of those whose authserv-id is one of `own_names`.
std::vector<std::size_t> forged_results(std::string_view header_block, std::span<const std::string> own_names);

}  // namespace merpati::filter
