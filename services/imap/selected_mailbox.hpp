// SelectedMailbox: a session's view of the mailbox it has open: a shared uid set, and the MODSEQ up to which the client
// knows.
#pragma once

#include <cstdint>
#include <memory>
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
  std::uint32_t recent_from = 0;      ///< uids from here on are \Recent in this session; 0: none
  std::vector<std::string> keywords;  ///< announced by FLAGS
  /// Flag changes that this session made and told its client by (uid, MODSEQ), so that they are not told again.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> own_changes;
  SteadyTime opened_at{};
  std::unique_ptr<Watcher::Subscription> subscription;

  bool is_recent(std::uint32_t uid) const { return recent_from != 0 && uid >= recent_from; }
  std::uint32_t recent_count() const { return recent_from == 0 ? 0 : uids->size() - uids->count_below(recent_from); }
};

}  // namespace merpati::imap
