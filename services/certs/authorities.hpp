// Authorities: the one that signs, the one that comes next and the one that went, and when they change places.
#pragma once

#include <optional>
#include <string>

#include "certs/secret_store.hpp"
#include "certs/x509.hpp"

namespace merpati::certs {

struct Lives {
  std::chrono::seconds authority{0};
  std::chrono::seconds certificate{0};
  /// How long a new authority is trusted before it signs, and an old one after it signed its last.
  std::chrono::seconds overlap{0};
};

/// What the Secret of the authorities holds. A key is kept only as long as its authority signs or will sign.
struct Authorities {
  std::optional<KeyPair> current;
  std::optional<KeyPair> next;
  std::string previous;  ///< PEM without a key; empty: none
  Time next_since;       ///< since when everybody could learn of `next`
  Time promoted_at;      ///< since when `previous` signs no more

  /// All that are trusted, the one that signs first.
  std::string bundle() const;
};

/// kDataLoss when the files are there but are no authorities: nothing may be made anew over them.
Result<Authorities> read_authorities(const Secret& secret);
void write_authorities(const Authorities& authorities, Secret& secret);

/// Moves on by at most one step; tells whether anything changed. `rotate` begins a rotation although none is due.
Result<bool> advance(Authorities& authorities, const Lives& lives, Time now, bool rotate);

}  // namespace merpati::certs
