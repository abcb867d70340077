#include "filter/sender_rate_engine.hpp"

#include "merpati/runtime/seldom.hpp"

namespace merpati::filter {

std::optional<Findings> SenderRateEngine::check_now(const MessageView& view) {
  return view.from_outside() ? std::optional(Findings()) : std::nullopt;
}

Task<Findings> SenderRateEngine::wait_for(const MessageView& view) {
  Findings findings;
  MERPATI_CO_TRY(const Sent sent,
                 co_await counts_.count(view.authenticated_account, static_cast<std::int64_t>(view.recipients.size()),
                                        WallTime::clock::now(), Deadline::never()));
  const bool beyond = (limits_.messages > 0 && sent.messages > limits_.messages) ||
                      (limits_.recipients > 0 && sent.recipients > limits_.recipients);
  if (!beyond) co_return findings;
  const std::string detail =
      std::to_string(sent.messages) + " messages to " + std::to_string(sent.recipients) + " recipients within the hour";
  static log::Seldom seldom;
  seldom.warning("filter_sender_rate", detail, {{"account_id", view.authenticated_account}});
  if (limits_.refuse)
    findings.refusals.push_back({"SENDER_RATE", 451, "4.7.1", "You sent too much within the hour, try again later"});
  else
    findings.symbols.push_back({"SENDER_RATE", 0, detail});
  co_return findings;
}

}  // namespace merpati::filter
