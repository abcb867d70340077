// Strangers' words, made fit for logs, replies and a proto's string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace merpati::filter {

enum class Keep : std::uint8_t { kStart, kEnd };

/// At most `max` octets of UTF-8 on one line: what controls a terminal or the direction of text, and what is no UTF-8,
/// becomes "?".
std::string printable(std::string_view text, std::size_t max, Keep keep = Keep::kStart);

}  // namespace merpati::filter
