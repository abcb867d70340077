// The packer: moves cold inline bodies into packs, so that PostgreSQL keeps what is read and millions of small mails do
// not become millions of objects. See packs.hpp for how they are read, collector.hpp for how packs end.
#pragma once

#include <span>
#include <vector>

#include "store/core.hpp"
#include "store/packs.hpp"

namespace merpati::store {

/// A body that may move.
struct ColdBody {
  std::int64_t account = 0;
  std::string blob_id;
  WallTime stored_at;
  std::uint64_t length = 0;       ///< as it is stored
  std::optional<PackPlace> from;  ///< of one in a pack that is less than half alive
};

/// Sorts bodies by account and arrival, so that neighbours of a mailbox are near each other, and cuts them into packs
/// of at most `size` octets. The last one stays away until it is full, or until it holds something that came before
/// `patience` or comes from another pack.
std::vector<std::span<const ColdBody>> cut_into_packs(std::vector<ColdBody>& bodies, std::uint64_t size,
                                                      WallTime patience);

struct Packed {
  int packs = 0;
  std::int64_t bodies = 0;
  std::uint64_t octets = 0;
};

/// Runs until cancelled, or not at all when packing is off. Every replica runs one; a lease in PostgreSQL lets one at a
/// time work.
asio::awaitable<void> pack_for_ever(Core& core);
/// One round. `now` shifts the clock for tests.
Task<Packed> pack_once(Core& core, WallTime now);

}  // namespace merpati::store
