// SelectedMailbox: a session's view of the mailbox it has open: a shared uid set, and the MODSEQ up to which the client
// knows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "imap/uid_set_cache.hpp"
#include "imap/watcher.hpp"
#include "merpati/base/clock.hpp"

namespace merpati::imap {

struct SelectedMailbox {
  std::int64_t id = 0;
  std::string name;
  std::uint32_t uid_validity = 0;
  std::uint32_t uid_next = 0;
  bool read_only = false;
  SharedUidSet uids;                  ///< as announced: sequence numbers are places in here
  std::uint64_t modseq = 0;           ///< everything up to here was announced, but for `vanished`
  Ranges vanished;                    ///< gone, and not yet told: EXPUNGE has to wait (RFC 9051 7.5.1)
  Ranges recent;                      ///< \Recent in this session; what was expunged may still be in here
  std::vector<std::string> keywords;  ///< announced by FLAGS
  /// Flag changes that this session made and told its client by (uid, MODSEQ), so that they are not told again.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> own_changes;
  std::unique_ptr<Watcher::Subscription> subscription;

  bool is_recent(std::uint32_t uid) const {
    return std::any_of(recent.begin(), recent.end(), [uid](const auto& r) { return r.first <= uid && uid <= r.last; });
  }
  std::uint32_t recent_count() const { return static_cast<std::uint32_t>(count(uids->select_uids(recent))); }
  /// Those of `added` from `first` on are recent to this session (RFC 3501 2.3.2).
  void add_recent(const Ranges& added, std::uint32_t first) {
    if (added.empty() || added.back().last < first) return;
    const NumberRange from{first, added.back().last};
    const auto more = intersect(added, std::span(&from, 1));
    recent.insert(recent.end(), more.begin(), more.end());
    normalize(recent);
  }
};

}  // namespace merpati::imap
