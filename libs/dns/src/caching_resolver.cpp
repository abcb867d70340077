#include "merpati/dns/caching_resolver.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

namespace merpati::dns {
namespace {
constexpr std::size_t kShards = 16;      // so that loops seldom wait for each other
constexpr std::size_t kPerAnswer = 200;  // octets of an entry besides its records

std::size_t octets_of(const Mx& mx) { return sizeof mx + mx.host.size(); }
std::size_t octets_of(const IpAddress& address) { return sizeof address; }
std::size_t octets_of(const std::string& text) { return sizeof text + text.size(); }

// Names are compared without case; the caller's kind goes before it.
std::string key_of(char kind, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string key(1, kind);
  for (const char c : name) key.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  return key;
}
}  // namespace

// Answers by key, the least recently added at the list's end. Thread safe.
template <class T>
class CachingResolver::Table {
 public:
  explicit Table(std::size_t octets) : most_(octets / kShards) {}

  std::optional<Answer<T>> find(const std::string& key, SteadyTime now) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.index.find(key);
    if (found == shard.index.end()) return std::nullopt;
    const Entry& entry = *found->second;
    if (entry.until <= now) {
      shard.drop(found->second);
      return std::nullopt;
    }
    Answer<T> out = entry.answer;
    out.ttl = std::chrono::duration_cast<std::chrono::seconds>(entry.until - now);
    return out;
  }

  void put(const std::string& key, const Answer<T>& answer, SteadyTime until) {
    std::size_t octets = kPerAnswer + 2 * key.size();
    for (const T& record : answer.records) octets += octets_of(record);
    if (octets > most_ / 8) return;
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    if (const auto old = shard.index.find(key); old != shard.index.end()) shard.drop(old->second);
    shard.entries.push_front({key, answer, until, octets});
    shard.index.emplace(key, shard.entries.begin());
    shard.octets += octets;
    while (shard.octets > most_) shard.drop(std::prev(shard.entries.end()));
  }

 private:
  struct Entry {
    std::string key;
    Answer<T> answer;
    SteadyTime until;
    std::size_t octets;
  };
  struct Shard {
    void drop(typename std::list<Entry>::iterator entry) {
      octets -= entry->octets;
      index.erase(entry->key);
      entries.erase(entry);
    }
    std::mutex mutex;
    std::list<Entry> entries;
    std::unordered_map<std::string, typename std::list<Entry>::iterator> index;
    std::size_t octets = 0;
  };
  Shard& shard_of(const std::string& key) { return shards_[std::hash<std::string>()(key) % kShards]; }

  const std::size_t most_;
  std::array<Shard, kShards> shards_;
};

CachingResolver::CachingResolver(std::shared_ptr<Resolver> inner, CacheOptions options)
    : inner_(std::move(inner)),
      options_(options),
      mx_(std::make_unique<Table<Mx>>(options.octets / 8)),
      addresses_(std::make_unique<Table<IpAddress>>(options.octets / 4)),
      texts_(std::make_unique<Table<std::string>>(options.octets * 5 / 8)) {}
CachingResolver::~CachingResolver() = default;

template <class T>
void CachingResolver::keep(Table<T>& table, const std::string& key, const Result<Answer<T>>& answer) {
  if (answer.has_error()) return;
  const bool found = answer->status == Status::kFound;
  if (!found && answer->status != Status::kNoName && answer->status != Status::kNoData) return;
  const auto life = std::min(answer->ttl, found ? options_.longest : options_.longest_negative);
  if (life > std::chrono::seconds(0)) table.put(key, *answer, options_.clock->steady() + life);
}

Task<Answer<Mx>> CachingResolver::mx(std::string name, Deadline deadline) {
  const std::string key = key_of('m', name);
  if (auto known = mx_->find(key, options_.clock->steady())) co_return *std::move(known);
  auto answer = co_await inner_->mx(std::move(name), deadline);
  keep(*mx_, key, answer);
  co_return answer;
}

Task<Answer<IpAddress>> CachingResolver::addresses(std::string name, Deadline deadline) {
  const std::string key = key_of('*', name);
  if (auto known = addresses_->find(key, options_.clock->steady())) co_return *std::move(known);
  auto answer = co_await inner_->addresses(std::move(name), deadline);
  keep(*addresses_, key, answer);
  co_return answer;
}

Task<Answer<IpAddress>> CachingResolver::addresses_of(Family family, std::string name, Deadline deadline) {
  const std::string key = key_of(family == Family::kV4 ? '4' : '6', name);
  if (auto known = addresses_->find(key, options_.clock->steady())) co_return *std::move(known);
  auto answer = co_await inner_->addresses_of(family, std::move(name), deadline);
  keep(*addresses_, key, answer);
  co_return answer;
}

Task<Answer<std::string>> CachingResolver::names(IpAddress address, Deadline deadline) {
  const std::string key = key_of('p', address.to_string());
  if (auto known = texts_->find(key, options_.clock->steady())) co_return *std::move(known);
  auto answer = co_await inner_->names(address, deadline);
  keep(*texts_, key, answer);
  co_return answer;
}

Task<Answer<std::string>> CachingResolver::txt(std::string name, Deadline deadline) {
  const std::string key = key_of('t', name);
  if (auto known = texts_->find(key, options_.clock->steady())) co_return *std::move(known);
  auto answer = co_await inner_->txt(std::move(name), deadline);
  keep(*texts_, key, answer);
  co_return answer;
}

}  // namespace merpati::dns
