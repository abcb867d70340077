// ScriptCache: compiled scripts by the SHA-256 of their source, and which one each account had active when it was last
// asked for, so that PostgreSQL need not send the source again.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "merpati/base/guarded.hpp"
#include "merpati/sieve/script.hpp"

namespace merpati::filter {

/// Thread safe. Bounded: who was not used for longest leaves.
class ScriptCache {
 public:
  using Compiled = std::shared_ptr<const sieve::Script>;

  /// `octets` of source.
  explicit ScriptCache(std::size_t octets) : octets_(octets) {}

  /// The script, if it is here.
  Compiled find(const std::string& hash);
  /// Compiles it if it is not here. Null when it has errors: it was stored by a release that took it.
  Compiled get(const std::string& hash, std::string_view source);

  struct Known {
    std::string hash;  ///< empty: nothing is known
    Compiled script;
  };
  /// What the account had; held by the caller, it cannot leave meanwhile.
  Known of_account(std::int64_t account);
  void remember(std::int64_t account, const std::string& hash);

 private:
  struct Entry {
    std::string hash;
    Compiled script;
    std::size_t octets = 0;
  };
  struct Data {
    std::list<Entry> entries;  // the latest first
    std::unordered_map<std::string, std::list<Entry>::iterator> index;
    std::size_t octets = 0;
    std::unordered_map<std::int64_t, std::string> accounts;
  };
  static Compiled find_in(Data& data, const std::string& hash);

  const std::size_t octets_;
  Guarded<Data> data_;
};

}  // namespace merpati::filter
