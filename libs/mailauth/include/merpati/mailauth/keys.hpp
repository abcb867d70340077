// The key records that a message's signatures name, fetched side by side, each once; and keys that were read before.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "merpati/base/guarded.hpp"
#include "merpati/dns/resolver.hpp"
#include "merpati/mailauth/signing_key.hpp"

namespace merpati::mailauth {

/// Public keys by their octets, so that a key is not read again for each message: that costs more than a signature's
/// check. Thread safe, bounded.
class PublicKeys {
 public:
  /// As PublicKey::parse().
  Result<PublicKey> get(KeyType type, std::string_view bytes);
  std::size_t size() const;

 private:
  static constexpr std::size_t kMost = 4096;
  Guarded<std::unordered_map<std::string, PublicKey>> keys_;
};

/// DNS's answers by name ("SELECTOR._domainkey.DOMAIN").
struct KeyAnswers {
  std::map<std::string, dns::Answer<std::string>> records;
  PublicKeys* known = nullptr;  ///< null: every key is read anew
};

std::string key_name(const std::string& selector, const std::string& domain);
/// Asks for each name that `into` does not have yet. Fails only with kCancelled.
Task<void> fetch_keys(dns::Resolver& resolver, std::vector<std::string> names, Deadline deadline, KeyAnswers& into);

}  // namespace merpati::mailauth
