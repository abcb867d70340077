// Checks that need nothing but the message: loops, limits, required fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::filter {

struct CheckLimits {
  std::uint32_t max_received = 50;
  std::uint64_t max_header_size = 256 * 1024;
  std::uint32_t max_header_fields = 1000;
  std::uint32_t max_parts = 1000;
  bool strict_headers = true;
  std::uint64_t max_scanned_size = 64 * 1024 * 1024;  ///< of bodies that have to be read from the store
};

/// Why a message is refused for good. `symbol` is for the log and metrics, the rest for the SMTP reply.
struct Refusal {
  std::string symbol;
  int code = 554;
  std::string enhanced;
  std::string text;
  bool may_be_weighed = false;  ///< a weight in the configuration makes it a score
  bool opinion = false;         ///< what somebody thinks of the sender or the text: gives way to an accepted sender
  bool negotiable = false;      ///< a weight of the recipient's policy makes it a score, too; as of any `opinion`
};

/// Looks at the header block alone.
std::optional<Refusal> check_header(std::string_view header_block, const CheckLimits& limits);
/// Looks at the parts of a whole message.
std::optional<Refusal> check_parts(std::string_view message, const CheckLimits& limits);
/// RFC 5321 6.3: the message was in this mailbox before, so it goes round.
bool was_delivered_to(std::string_view header_block, std::string_view address);
/// A redirect adds a Delivered-To: so many hops are a circle, whatever its addresses.
bool went_far(std::string_view header_block);
/// Whether the queue takes it as a recipient: it would refuse others, and with them the message.
bool can_be_sent_to(const std::string& address);

}  // namespace merpati::filter
