// The domain of an address, as items are grouped by it.
#pragma once

#include <string>
#include <string_view>

namespace merpati::queue {

/// A-labels in lower case, or the address literal; what is no domain is kept in lower case and fails at its delivery.
std::string recipient_domain(std::string_view address);

}  // namespace merpati::queue
