#include "filter/structure_engine.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kSmall = 64 * 1024;  // octets: parsed where we are, without a hop to another thread

Findings look(const MessageView& view, const CheckLimits& limits) {
  Findings findings;
  if (auto refusal = check_header(view.header_block, limits)) {
    findings.refusals.push_back(std::move(*refusal));
    if (!findings.refusals.back().may_be_weighed) return findings;
  }
  if (!view.whole) {
    if (findings.refusals.empty()) findings.symbols.push_back({"PARTS", 0, {}, true});
  } else if (auto refusal = check_parts(view.message, limits)) {
    findings.refusals.push_back(std::move(*refusal));
  }
  return findings;
}
}  // namespace

std::optional<Findings> StructureEngine::check_now(const MessageView& view) {
  if (view.message.size() > kSmall) return std::nullopt;
  return look(view, limits_);
}

Task<Findings> StructureEngine::wait_for(const MessageView& view) {
  auto there = [view, limits = limits_] { return look(view, limits); };
  Findings findings = co_await run_blocking(blocking_, std::move(there));
  co_return findings;
}

}  // namespace merpati::filter
