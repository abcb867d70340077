// A judgement in the words of the contract.
#pragma once

#include <span>

#include "filter/judgement.hpp"
#include "merpati/filter/v1/filter.pb.h"

namespace merpati::filter {

v1::Decision to_proto(Outcome outcome);
void set_reply(const Refusal& refusal, v1::Reply& reply);
v1::PolicyValue to_proto(const PolicyValue& value);
/// What a script's spamtest measures by.
Thresholds from_proto(const v1::Thresholds& thresholds);

/// The verdict of the message and those of its recipients, without edits.
v1::CheckMessageResponse to_proto(const Judgement& judgement, const RulesOfRecipients& rules,
                                  std::span<const EngineReport> reports);

}  // namespace merpati::filter
