// Message identifiers (RFC 5322 3.6.4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace merpati::mime {

/// The identifiers of a Message-ID, In-Reply-To or References value, each as "<left@right>" without white space,
/// comments or needless quotes, in order and without repetition. Phrases of the obsolete syntax are skipped.
std::vector<std::string> parse_message_ids(std::string_view value, std::size_t max = 1000);

}  // namespace merpati::mime
