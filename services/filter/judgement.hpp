// From what the engines found to what becomes of each recipient's copy, by its own rules, and of the message.
#pragma once

#include <span>
#include <vector>

#include "filter/policy.hpp"
#include "filter/scoring.hpp"

namespace merpati::filter {

/// Whose copy is judged by what, in the order of the recipients.
using RulesOfRecipients = std::vector<SharedRules>;

struct RecipientOutcome {
  Outcome outcome = Outcome::kAccept;
  std::optional<Refusal> reply;  ///< for kTemporary and kRefuse
  double score = 0;              ///< with the recipient's own symbols
  std::vector<Symbol> symbols;   ///< that are its own
};

struct Judgement {
  /// Of the message: by the rules that all recipients share, else by the configuration's. `outcome` and `reply` are
  /// what all of them agree about; where they do not, the mildest that becomes of a copy, so that the recipients'
  /// count.
  Verdict whole;
  SharedRules rules;   ///< that `whole` was made by
  Verdict configured;  ///< by the configuration alone, as if nobody had a policy
  std::vector<RecipientOutcome> recipients;
  bool greylist = false;  ///< every recipient's threshold for it is reached
};

/// The reply is one for all recipients. So nobody is refused by another's rules: for good only where all refuse, for
/// now only where all refuse in some way. Who would refuse for now alone gets it into Junk; for good the edge sees to
/// that, since scripts may refuse, too. No recipients: the configuration's rules for the message.
Judgement judge(std::span<const EngineReport> reports, const RulesOfRecipients& recipients,
                const SharedRules& configured);

}  // namespace merpati::filter
