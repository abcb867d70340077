#include "store/source_cache.hpp"

#include "store/content.hpp"

namespace merpati::store {

std::shared_ptr<const Source> SourceCache::find(const Key& key) {
  auto& part = shard(key);
  std::lock_guard lock(part.mutex);
  const auto found = part.index.find(key);
  if (found == part.index.end()) return nullptr;
  part.entries.splice(part.entries.begin(), part.entries, found->second);
  return found->second->source;
}

void SourceCache::add(const Key& key, std::shared_ptr<const Source> source) {
  const auto octets = sizeof(Source) + source->prefix.size() + source->octets.size() + source->verbatim.size() +
                      source->frame_ends.size() * 4 + 200;
  if (octets > shard_octets_) return;
  auto& part = shard(key);
  std::lock_guard lock(part.mutex);
  if (part.index.contains(key)) return;
  part.entries.push_front({key, std::move(source), octets});
  part.index[key] = part.entries.begin();
  part.octets += octets;
  while (part.octets > shard_octets_) {
    part.octets -= part.entries.back().octets;
    part.index.erase(part.entries.back().key);
    part.entries.pop_back();
  }
}

SourceCache::Uids SourceCache::read_also(const Key& key, SteadyTime now) {
  constexpr std::uint32_t kNear = 32, kAhead = 15, kBlock = 16;
  constexpr auto kSoon = std::chrono::seconds(1);
  constexpr int kMany = 4;
  auto& reader = readers_[Hash()({key.account, key.mailbox, 0}) % readers_.size()];
  std::lock_guard lock(readers_mutex_);
  const bool same = reader.last.account == key.account && reader.last.mailbox == key.mailbox;
  const bool near = same && key.uid > reader.last.uid && key.uid - reader.last.uid <= kNear;
  const bool under_way = same && key.uid <= reader.until && key.uid + kAhead >= reader.until;
  reader.misses = same && now - reader.at <= kSoon ? reader.misses + 1 : 0;
  reader.last = key;
  reader.at = now;
  if (under_way) return {};
  reader.until = near ? key.uid + kAhead : 0;
  if (near) return {key.uid, key.uid + kAhead};
  if (reader.misses < kMany) return {};
  // Aligned, so that what is read for one uid and for its neighbour is the same.
  const auto first = key.uid - key.uid % kBlock;
  return {first, first + kBlock - 1};
}

}  // namespace merpati::store
