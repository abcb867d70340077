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
  const auto octets = sizeof(Source) + source->prefix.size() + source->octets.size() + source->frame_ends.size() * 4 + 200;
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

bool SourceCache::is_sequential(const Key& key) {
  constexpr std::uint32_t kNear = 32;
  const auto slot = Hash()({key.account, key.mailbox, 0}) % readers_.size();
  std::lock_guard lock(readers_mutex_);
  auto& last = readers_[slot];
  const bool near = last.account == key.account && last.mailbox == key.mailbox && key.uid > last.uid && key.uid - last.uid <= kNear;
  last = key;
  return near;
}

}  // namespace merpati::store
