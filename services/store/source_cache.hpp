// SourceCache: octets of messages that were read lately. A uid's octets never change and a uid is never used again, so
// an entry is true as long as it is kept; who may ask is decided before.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "merpati/base/clock.hpp"

namespace merpati::store {

struct Source;

/// Thread safe.
class SourceCache {
 public:
  struct Key {
    std::int64_t account = 0;
    std::int64_t mailbox = 0;
    std::uint32_t uid = 0;
    bool operator==(const Key&) const = default;
  };

  explicit SourceCache(std::size_t octets) : shard_octets_(octets / kShards) {}

  std::shared_ptr<const Source> find(const Key& key);
  void add(const Key& key, std::shared_ptr<const Source> source);
  /// Uids from `first` to `last`; none when first is above last.
  struct Uids {
    std::uint32_t first = 1;
    std::uint32_t last = 0;
  };
  /// What to read together with this uid, which was asked for alone and is not here: those after it when somebody reads
  /// the mailbox from uid to uid, those around it when somebody reads many in no order, none when another call has the
  /// next ones under way already.
  Uids read_also(const Key& key, SteadyTime now);

 private:
  static constexpr std::size_t kShards = 16;
  struct Hash {
    std::size_t operator()(const Key& key) const {
      auto hash = static_cast<std::uint64_t>(key.account) * 0x9e3779b97f4a7c15ULL;
      hash ^= (static_cast<std::uint64_t>(key.mailbox) << 32 | key.uid) + (hash >> 29);
      return static_cast<std::size_t>(hash * 0xbf58476d1ce4e5b9ULL >> 8);
    }
  };
  struct Entry {
    Key key;
    std::shared_ptr<const Source> source;
    std::size_t octets = 0;
  };
  struct Shard {
    std::mutex mutex;
    std::list<Entry> entries;  // the latest first
    std::unordered_map<Key, std::list<Entry>::iterator, Hash> index;
    std::size_t octets = 0;
  };
  Shard& shard(const Key& key) { return shards_[Hash()(key) % kShards]; }

  std::size_t shard_octets_;
  std::array<Shard, kShards> shards_;
  std::mutex readers_mutex_;
  struct Reader {
    Key last;
    SteadyTime at{};
    std::uint32_t until = 0;  // asked for in advance up to here
    int misses = 0;           // of one mailbox, one soon after the other
  };
  std::array<Reader, 256> readers_;
};

}  // namespace merpati::store
