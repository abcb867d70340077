// A resolver that remembers answers in this process for as long as they are good, so that asking again costs no hop to
// libunbound's thread.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "merpati/base/clock.hpp"
#include "merpati/dns/resolver.hpp"

namespace merpati::dns {

struct CacheOptions {
  std::size_t octets = 16u << 20;             ///< of all answers together, roughly; the oldest go first
  std::chrono::seconds longest{3600};         ///< whatever the TTL says
  std::chrono::seconds longest_negative{60};  ///< "no such name", "no such record"
  const Clock* clock = &Clock::system();
};

/// Failures are not remembered (libunbound does that, RFC 9520), nor are answers with a TTL of 0.
class CachingResolver : public Resolver {
 public:
  explicit CachingResolver(std::shared_ptr<Resolver> inner, CacheOptions options = {});
  ~CachingResolver() override;

  Task<Answer<Mx>> mx(std::string name, Deadline deadline) override;
  Task<Answer<IpAddress>> addresses(std::string name, Deadline deadline) override;
  Task<Answer<IpAddress>> addresses_of(Family family, std::string name, Deadline deadline) override;
  Task<Answer<std::string>> names(IpAddress address, Deadline deadline) override;
  Task<Answer<std::string>> txt(std::string name, Deadline deadline) override;

 private:
  template <class T>
  class Table;
  template <class T>
  void keep(Table<T>& table, const std::string& key, const Result<Answer<T>>& answer);

  std::shared_ptr<Resolver> inner_;
  const CacheOptions options_;
  std::unique_ptr<Table<Mx>> mx_;
  std::unique_ptr<Table<IpAddress>> addresses_;
  std::unique_ptr<Table<std::string>> texts_;
};

}  // namespace merpati::dns
