#include "filter/sender_lists.hpp"

#include "filter/address_patterns.hpp"

namespace merpati::filter {

Result<void> SenderLists::add(std::string_view entry, SenderTreatment treatment) {
  MERPATI_TRY(const auto key, address_pattern(entry));
  On& on = entries_[key];
  on.accept = on.accept || treatment == SenderTreatment::kAccept;
  on.junk = on.junk || treatment == SenderTreatment::kJunk;
  on.refuse = on.refuse || treatment == SenderTreatment::kRefuse;
  return {};
}

SenderTreatment SenderLists::find(std::string_view address, const std::function<bool()>& authenticated) const {
  if (entries_.empty()) return SenderTreatment::kNone;
  for (const std::string& key : patterns_for(address)) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;
    if (found->second.refuse) return SenderTreatment::kRefuse;
    if (found->second.junk) return SenderTreatment::kJunk;
    if (authenticated()) return SenderTreatment::kAccept;
  }
  return SenderTreatment::kNone;
}

}  // namespace merpati::filter
