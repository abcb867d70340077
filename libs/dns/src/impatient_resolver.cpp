#include "merpati/dns/impatient_resolver.hpp"

namespace merpati::dns {

void ImpatientResolver::note(Status status) {
  if (status == Status::kTemporary) {
    if (unanswered_.fetch_add(1) + 1 == settings_.silent_after && on_change_) on_change_(true);
  } else if (unanswered_.load(std::memory_order_relaxed) != 0) {
    if (unanswered_.exchange(0) >= settings_.silent_after && on_change_) on_change_(false);
  }
}

}  // namespace merpati::dns
