#include "filter/script_cache.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kMostAccounts = 100'000;
constexpr std::size_t kLeast = 256;  // octets that an entry counts at least
}  // namespace

ScriptCache::Compiled ScriptCache::find_in(Data& data, const std::string& hash) {
  const auto found = data.index.find(hash);
  if (found == data.index.end()) return nullptr;
  data.entries.splice(data.entries.begin(), data.entries, found->second);
  return found->second->script;
}

ScriptCache::Compiled ScriptCache::find(const std::string& hash) {
  return data_.with([&](Data& data) { return find_in(data, hash); });
}

ScriptCache::Compiled ScriptCache::get(const std::string& hash, std::string_view source) {
  if (auto here = find(hash)) return here;
  auto script = sieve::compile(source).script;
  if (script == nullptr) return nullptr;
  data_.with([&](Data& data) {
    if (data.index.contains(hash)) return;
    const auto octets = std::max(source.size(), kLeast);
    data.entries.push_front({hash, script, octets});
    data.index[hash] = data.entries.begin();
    data.octets += octets;
    while (data.octets > octets_ && data.entries.size() > 1) {
      data.octets -= data.entries.back().octets;
      data.index.erase(data.entries.back().hash);
      data.entries.pop_back();
    }
  });
  return script;
}

ScriptCache::Known ScriptCache::of_account(std::int64_t account) {
  return data_.with([&](Data& data) -> Known {
    const auto found = data.accounts.find(account);
    if (found == data.accounts.end()) return {};
    auto script = find_in(data, found->second);
    if (script == nullptr) return {};
    return {found->second, std::move(script)};
  });
}

void ScriptCache::remember(std::int64_t account, const std::string& hash) {
  data_.with([&](Data& data) {
    if (data.accounts.size() >= kMostAccounts) data.accounts.clear();
    data.accounts[account] = hash;
  });
}

}  // namespace merpati::filter
