// Octets of messages as BODY[] shows them: header_prefix, then the blob, whether it is in PostgreSQL or in the object
// store.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/codec.hpp"
#include "store/core.hpp"
#include "store/view.hpp"

namespace merpati::store {

/// Where one message's octets are.
struct Source {
  std::string prefix;
  std::uint64_t size = 0;       ///< with the prefix
  std::uint64_t blob_size = 0;  ///< as it came
  bool found = false;           ///< the blob is there
  bool is_object = false;
  std::optional<Error> failed;  ///< of a body in a pack that cannot be read now
  std::string octets;           ///< of an inline blob, decoded, as it is shown
  std::string verbatim;         ///< of an inline blob that is shown otherwise: as it came
  View view;                    ///< of an object that is shown otherwise
  std::string key;              ///< of an object
  Codec codec = Codec::kRaw;
  std::vector<std::uint32_t> frame_ends;  ///< of an object in zstd frames
};

struct Sources {
  std::unordered_map<std::uint32_t, std::shared_ptr<const Source>> by_uid;
  const Source* find(std::uint32_t uid) const {
    const auto found = by_uid.find(uid);
    return found == by_uid.end() ? nullptr : found->second.get();
  }
};

/// Octets of one zstd frame before compression.
inline constexpr std::uint64_t kFrameOctets = 64 * 1024;

/// Also of messages that were expunged a short while ago. Those not in the answer are gone.
Task<Sources> load_sources(Core& core, std::int64_t account, std::int64_t mailbox,
                           const std::vector<std::int64_t>& uids, Deadline deadline);
/// An uploaded blob alone; kNotFound when there is none.
Task<Source> load_object(Core& core, const std::string& blob_id, Deadline deadline);
enum class Form { kShown, kVerbatim };
/// With header_prefix.
std::uint64_t size_of(const Source& source, Form form);
/// A range of the message; shorter at its end. kUnavailable when the object store does not answer, kDataLoss when
/// octets are not what was stored.
Task<std::string> read_octets(Core& core, const Source& source, std::uint64_t offset, std::uint64_t length,
                              Deadline deadline, Form form = Form::kShown);

}  // namespace merpati::store
