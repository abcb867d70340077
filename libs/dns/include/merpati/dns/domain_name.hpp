// Domain names as DNS has them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace merpati::dns {

/// A-labels in lower case, without final dot (UTS 46, nontransitional). Nothing when it is no domain name.
std::optional<std::string> to_ascii(std::string_view domain);

}  // namespace merpati::dns
