// What the outcome of a recipient's scripts means for the verdict about this recipient. No I/O.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "filter/compose.hpp"
#include "filter/delivery_world.hpp"
#include "merpati/filter/v1/filter.pb.h"
#include "merpati/sieve/outcome.hpp"

namespace merpati::filter {

struct ActionContext {
  Occasion occasion;
  const DeliveryWorld& world;
  std::string recipient;  ///< of the envelope
  /// What a redirect goes on with as its reverse-path.
  std::string redirect_sender;
  bool junk = false;  ///< the checks think little of the message
  /// No recipient is to have the message, so the client is told. Otherwise who refuses tells the sender himself.
  bool all_refuse = false;
  std::set<std::size_t> silent;  ///< indexes of vacation actions that were answered lately
  /// The message in an edited version, as the store takes it.
  std::function<const store::v1::Body&(std::size_t version)> body;
};

/// Whether the scripts refuse the message.
const sieve::Reject* refusal_of(const sieve::Outcome& outcome);
/// Which of a script's actions answers the sender and asks the memory first; nothing: none, or not this message.
std::optional<std::size_t> vacation_of(const sieve::Outcome& outcome, bool junk);

/// Sets actions, and decision and reply where the message is refused or dropped.
void apply_outcome(const sieve::Outcome& outcome, const ActionContext& context, v1::RecipientVerdict& verdict);

}  // namespace merpati::filter
