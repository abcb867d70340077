#include "filter/message_checks.hpp"

#include <array>
#include <string>

#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/smtp/address.hpp"

namespace merpati::filter {
namespace {
// RFC 5322 3.6: these may stand once.
constexpr std::array<std::string_view, 11> kSingle = {"From", "Date",       "Sender",      "Reply-To",   "To",     "Cc",
                                                      "Bcc",  "Message-ID", "In-Reply-To", "References", "Subject"};
}  // namespace

std::optional<Refusal> check_header(std::string_view header_block, const CheckLimits& limits) {
  if (header_block.size() > limits.max_header_size) {
    return Refusal{"HEADER_TOO_LARGE", 552, "5.6.0", "The header of the message is too large"};
  }
  std::array<std::uint32_t, kSingle.size()> counts{};
  std::uint32_t fields = 0;
  std::uint32_t received = 0;
  mime::FieldReader reader(header_block);
  for (mime::Field field; reader.next(field);) {
    if (++fields > limits.max_header_fields) {
      return Refusal{"TOO_MANY_HEADERS", 552, "5.6.0", "The message has too many header fields"};
    }
    received += mime::iequals(field.name, "Received");
    for (std::size_t i = 0; i < kSingle.size(); ++i) counts[i] += mime::iequals(field.name, kSingle[i]);
  }
  if (received > limits.max_received) {
    return Refusal{"LOOP", 554, "5.4.6", "Routing loop: too many Received fields"};
  }
  if (!limits.strict_headers) return std::nullopt;
  if (counts[0] == 0)
    return Refusal{"NO_FROM", 550, "5.6.0", "The message has no From field (RFC 5322 3.6)", true, false, true};
  for (std::size_t i = 0; i < kSingle.size(); ++i) {
    if (counts[i] > 1) {
      return Refusal{"DUPLICATE_FIELD",
                     550,
                     "5.6.0",
                     "The message has more than one " + std::string(kSingle[i]) + " field (RFC 5322 3.6)",
                     true,
                     false,
                     true};
    }
  }
  return std::nullopt;
}

std::optional<Refusal> check_parts(std::string_view message, const CheckLimits& limits) {
  mime::Limits tree;
  tree.max_parts = static_cast<std::size_t>(limits.max_parts) + 1;
  const auto parts = mime::read_parts(message, tree);
  if (parts.part_count > limits.max_parts) {
    return Refusal{"TOO_MANY_PARTS", 554, "5.6.0", "The message has too many MIME parts"};
  }
  if (parts.limited)
    return Refusal{"NESTED_TOO_DEEPLY", 554, "5.6.0", "The message's MIME parts are nested too deeply"};
  return std::nullopt;
}

bool was_delivered_to(std::string_view header_block, std::string_view address) {
  mime::FieldReader reader(header_block);
  for (mime::Field field; reader.next(field);) {
    if (mime::iequals(field.name, "Delivered-To") && mime::iequals(mime::unfold(field.value), address)) return true;
  }
  return false;
}

bool went_far(std::string_view header_block) {
  constexpr std::size_t kMostHops = 20;
  return mime::count_fields(header_block, "Delivered-To") >= kMostHops;
}

bool can_be_sent_to(const std::string& address) {
  const auto parsed = smtp::parse_address(address, smtp::Utf8::kYes);
  return parsed && !parsed->domain.empty();
}

}  // namespace merpati::filter
