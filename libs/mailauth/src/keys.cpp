#include "merpati/mailauth/keys.hpp"

#include <optional>

#include "merpati/base/side_by_side.hpp"

namespace merpati::mailauth {

Result<PublicKey> PublicKeys::get(KeyType type, std::string_view bytes) {
  const std::string key = (type == KeyType::kRsa ? 'r' : 'e') + std::string(bytes);
  const auto known = keys_.with([&](const auto& keys) {
    const auto found = keys.find(key);
    return found == keys.end() ? std::optional<PublicKey>() : found->second;
  });
  if (known) return *known;
  MERPATI_TRY(auto fresh, PublicKey::parse(type, bytes));
  keys_.with([&](auto& keys) {
    if (keys.size() >= kMost) keys.clear();
    keys.emplace(key, fresh);
  });
  return fresh;
}

std::size_t PublicKeys::size() const {
  return keys_.with([](const auto& keys) { return keys.size(); });
}

std::string key_name(const std::string& selector, const std::string& domain) {
  return selector + "._domainkey." + domain;
}

Task<void> fetch_keys(dns::Resolver& resolver, std::vector<std::string> names, Deadline deadline, KeyAnswers& into) {
  const auto fetch = [&](const std::string* name, dns::Answer<std::string>* answer) -> asio::awaitable<void> {
    auto got = co_await resolver.txt(*name, deadline);
    if (got.has_value()) *answer = *std::move(got);
  };
  std::vector<asio::awaitable<void>> lookups;
  for (const std::string& name : names) {
    const auto [at, fresh] = into.records.try_emplace(name);
    if (fresh) lookups.push_back(fetch(&at->first, &at->second));
  }
  co_return co_await run_side_by_side(std::move(lookups));
}

}  // namespace merpati::mailauth
