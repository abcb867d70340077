// Packs: objects that hold many cold bodies back to back, as they are compressed. The packer makes them; this is how
// they are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"

namespace merpati::store {

class Core;

/// Where a body is.
struct PackPlace {
  std::string pack;  ///< id
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// One range of one pack, and which of the wanted places it holds.
struct PackRead {
  std::string pack;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::vector<std::size_t> places;
};

struct PackedOctets {
  std::string octets;
  std::optional<Error> error;
};

/// Key of the object.
std::string pack_key(const std::string& pack);
/// Neighbours share a range when the gap between them costs less than another request.
std::vector<PackRead> plan_pack_reads(const std::vector<PackPlace>& places);
/// In the order of `places`. kUnavailable when the object store does not answer or has no such pack now; kDataLoss when
/// the pack is too short.
asio::awaitable<std::vector<PackedOctets>> read_packs(Core& core, std::vector<PackPlace> places, Deadline deadline);

}  // namespace merpati::store
