// Directory: domains, accounts, aliases, keys and events in PostgreSQL. Every mutation is one statement. Thread safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/address.hpp"
#include "merpati/pg/pool.hpp"

namespace merpati::auth {

struct ScramVerifier {
  int iterations = 0;  ///< 0: none
  std::string salt, stored_key, server_key;
};

/// What a password is kept as.
struct Credential {
  std::string hash;  ///< Argon2id, string form; empty: no login
  ScramVerifier scram;
};

struct Account {
  std::int64_t id = 0;
  std::string address;
  bool enabled = false;  ///< the account's own switch
  bool domain_enabled = true;
  std::string display_name;
  std::int64_t quota_bytes = 0, quota_messages = 0;
  std::string cell;
  std::int64_t credential_version = 0;
  WallTime created_at, deleted_at;  ///< deleted_at is the epoch while it lives
  Credential credential;
  bool usable() const { return enabled && domain_enabled; }
};

struct Domain {
  std::string name;
  bool enabled = true;
  std::string catch_all, subaddress_separator;
  bool scram = true;
  std::int64_t accounts = 0;
  WallTime created_at;
};

struct Alias {
  std::string address;
  std::vector<std::string> targets;
  WallTime created_at;
};

/// One thing that an address may stand for, best first.
struct Candidate {
  std::string detail;
  bool catch_all = false;
  std::optional<Account> account;
  std::vector<std::string> targets;  ///< of an alias or a catch-all
};

struct Lookup {
  bool our_domain = false;
  bool domain_enabled = false;
  std::vector<Candidate> candidates;
};

struct StoredKey {
  std::string id, secret, pub;
  std::optional<WallTime> not_after;
  WallTime created_at{};
};

struct DirectoryEvent {
  std::int64_t position = 0;
  int kind = 0;
  std::int64_t account_id = 0;
  std::string address;
  std::int64_t credential_version = 0;  ///< the account's now; the largest number when it cannot be used; 0: no account
  bool domain_disabled = false;         ///< the domain that it is about cannot be used now
};

template <class T>
struct Page {
  std::vector<T> items;
  std::string next;  ///< token of the next page; empty: this was the last
};

class Directory {
 public:
  explicit Directory(pg::Pool& pool) : pool_(pool) {}

  Task<std::optional<Account>> account_by_address(std::string address, Deadline deadline);
  Task<std::optional<Account>> account_by_id(std::int64_t id, Deadline deadline);
  Task<Lookup> lookup(Address address, Deadline deadline);

  Task<Domain> create_domain(std::string name, std::optional<std::string> catch_all,
                             std::optional<std::string> separator, std::optional<bool> scram, Deadline deadline);
  Task<Domain> get_domain(std::string name, Deadline deadline);
  Task<Page<Domain>> list_domains(int size, std::string after, Deadline deadline);
  Task<Domain> update_domain(std::string name, std::optional<bool> enabled, std::optional<std::string> catch_all,
                             std::optional<std::string> separator, std::optional<bool> scram, Deadline deadline);
  Task<void> delete_domain(std::string name, Deadline deadline);

  struct NewAccounts {
    std::string domain;
    std::vector<std::string> addresses;
    std::string display_name;
    std::int64_t quota_bytes = 0, quota_messages = 0;
    std::string cell;
    Credential credential;
  };
  Task<std::vector<Account>> create_accounts(NewAccounts accounts, Deadline deadline);
  Task<Page<Account>> list_accounts(std::string domain, std::string query, bool deleted, int size, std::string after,
                                    Deadline deadline);
  Task<Account> update_account(std::string address, std::optional<bool> enabled, std::optional<std::string> name,
                               std::optional<std::int64_t> bytes, std::optional<std::int64_t> messages,
                               Deadline deadline);
  Task<void> delete_account(std::string address, Deadline deadline);
  /// The new credential version.
  Task<std::int64_t> set_credential(std::string address, Credential credential, Deadline deadline);
  Task<std::int64_t> revoke_tokens(std::string address, Deadline deadline);
  Task<std::int64_t> purge_deleted(Deadline deadline);

  Task<Alias> create_alias(Address address, std::vector<std::string> targets, bool replace, Deadline deadline);
  Task<Page<Alias>> list_aliases(std::string domain, int size, std::string after, Deadline deadline);
  Task<void> delete_alias(std::string address, Deadline deadline);

  Task<std::vector<StoredKey>> signing_keys(Deadline deadline);
  /// False when there is one already and `rotating` is not set.
  Task<bool> add_signing_key(StoredKey key, bool rotating, std::chrono::seconds overlap, Deadline deadline);

  /// Rotates when the key in use is older than `life`. False when it is not.
  Task<bool> replace_aged_signing_key(StoredKey key, std::chrono::seconds overlap, std::chrono::seconds life,
                                      Deadline deadline);

  /// Forgets events that are older; purges of accounts stay for `purges`.
  Task<std::int64_t> forget_events(std::chrono::seconds age, std::chrono::seconds purges, Deadline deadline);
  /// The last one that was that long ago when asked.
  Task<std::int64_t> last_event(std::chrono::seconds before, Deadline deadline);
  Task<std::vector<DirectoryEvent>> events_after(std::int64_t position, Deadline deadline);

 private:
  pg::Pool& pool_;
};

}  // namespace merpati::auth
