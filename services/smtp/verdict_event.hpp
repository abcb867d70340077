// The filter's verdict as it stands in the events of a message's life.
#pragma once

#include <string>
#include <vector>

#include "merpati/filter/v1/filter.pb.h"
#include "merpati/filter/v1/milters.pb.h"
#include "merpati/trace/v1/trace.pb.h"

namespace merpati::smtp {

/// "junk: BAYES_SPAM, SPF_FAIL": the decision and the first symbols.
std::string in_words(const filter::v1::CheckMessageResponse& verdict);
/// All of it: each engine with what it found, and the recipients that were judged otherwise than the message.
/// `addresses`: of the recipients.
trace::v1::Verdict verdict_of(const filter::v1::CheckMessageResponse& response,
                              const std::vector<std::string>& addresses);
/// What milters said at the stages of the dialog.
void add_milters(const std::vector<filter::v1::MilterAnswer>& answers, trace::v1::Verdict& verdict);

}  // namespace merpati::smtp
