#include "filter/attachments_engine.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kSmall = 64 * 1024;           // octets: parsed where we are, without a hop to another thread
constexpr auto kToWait = std::chrono::seconds(20);  // for a slot, and to parse the largest message
}  // namespace

EngineSettings AttachmentsEngine::settings() const {
  return {settings_.policy.time + kToWait, WhenUnchecked::kTemporary};
}

std::optional<Findings> AttachmentsEngine::check_now(const MessageView& view) {
  if (!view.from_outside() && !settings_.check_submitted) return Findings();
  if (!view.whole) {
    Findings findings;
    findings.symbols.push_back({"ATTACHMENTS", 0, "the message is too large", true});
    return findings;
  }
  if (view.message.size() <= kSmall && !has_attachments(view.message)) return Findings();
  return std::nullopt;
}

Task<Findings> AttachmentsEngine::wait_for(const MessageView& view) {
  co_await asio::this_coro::throw_if_cancelled(false);
  MERPATI_CO_TRY(const auto place, co_await slots_.enter());
  auto there = [message = view.message, &policy = settings_.policy] { return check_attachments(message, policy); };
  Findings findings = co_await run_blocking(blocking_, std::move(there));
  co_return findings;
}

}  // namespace merpati::filter
