#include "smtp/filter_reply.hpp"

namespace merpati::smtp {

std::optional<Reply> filter_refusal(filter::v1::Decision decision, const filter::v1::Reply& given) {
  Reply reply;
  if (decision == filter::v1::DECISION_TEMPORARY) {
    reply = {451, "4.7.1", "Try again later"};
  } else if (decision == filter::v1::DECISION_REFUSE) {
    reply = {550, "5.7.1", "Refused by policy"};
  } else {
    return std::nullopt;
  }
  // 421 closes the session and is not the filter's to say.
  if (given.code() / 100 == reply.code / 100 && given.code() != 421) reply.code = given.code();
  if (!given.enhanced().empty() && given.enhanced()[0] == reply.enhanced[0]) reply.enhanced = given.enhanced();
  if (!given.text().empty()) reply.text = given.text();
  return reply;
}

}  // namespace merpati::smtp
