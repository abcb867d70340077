#include "auth/directory.hpp"

namespace merpati::auth {
namespace {

constexpr const char* kAccountColumns =
    "a.id, a.address, a.enabled, d.enabled, a.display_name, a.quota_bytes, a.quota_messages, a.cell, "
    "a.credential_version, "
    "a.created_at, a.deleted_at, a.password_hash, a.scram_iterations, a.scram_salt, a.scram_stored_key, "
    "a.scram_server_key";

Account account_from(const pg::Row& row, int at = 0) {
  Account out;
  out.id = row.bigint(at);
  out.address = row.text(at + 1);
  out.enabled = row.boolean(at + 2);
  out.domain_enabled = row.boolean(at + 3);
  out.display_name = row.text(at + 4);
  out.quota_bytes = row.bigint(at + 5);
  out.quota_messages = row.bigint(at + 6);
  out.cell = row.text(at + 7);
  out.credential_version = row.bigint(at + 8);
  out.created_at = row.timestamptz(at + 9);
  if (!row.is_null(at + 10)) out.deleted_at = row.timestamptz(at + 10);
  out.credential.hash = row.text(at + 11);
  out.credential.scram = {row.integer(at + 12), std::string(row.bytea(at + 13)), std::string(row.bytea(at + 14)),
                          std::string(row.bytea(at + 15))};
  return out;
}

constexpr const char* kDomainColumns = "d.name, d.enabled, d.catch_all, d.subaddress_separator, d.scram, d.created_at";

Domain domain_from(const pg::Row& row) {
  Domain out;
  out.name = row.text(0);
  out.enabled = row.boolean(1);
  out.catch_all = row.text(2);
  out.subaddress_separator = row.text(3);
  out.scram = row.boolean(4);
  out.created_at = row.timestamptz(5);
  out.accounts = row.bigint(6);
  return out;
}

Alias alias_from(const pg::Row& row) {
  Alias out{std::string(row.text(0)), {}, row.timestamptz(2)};
  for (const auto target : row.texts(1)) out.targets.emplace_back(target);
  return out;
}

/// One row more than the page was asked for tells that there is another page.
template <class T, class From, class Token>
Page<T> page_from(const pg::Rows& rows, int size, From from, Token token) {
  Page<T> page;
  for (const auto row : rows) {
    if (page.items.size() == static_cast<std::size_t>(size)) {
      page.next = token(page.items.back());
      break;
    }
    page.items.push_back(from(row));
  }
  return page;
}

std::string sql(const std::string& before, const char* columns, const std::string& after) {
  return before + columns + after;
}

}  // namespace

Task<std::optional<Account>> Directory::account_by_address(std::string address, Deadline deadline) {
  static const pg::Statement kSelect{"auth_account_by_address",
                                     sql("select ", kAccountColumns,
                                         " from accounts a join domains d on d.id = a.domain_id "
                                         "where a.address = $1 and a.deleted_at is null")};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, pg::Params().text(address), deadline));
  std::optional<Account> found;
  if (!rows.empty()) found = account_from(rows.front());
  co_return found;
}

Task<std::optional<Account>> Directory::account_by_id(std::int64_t id, Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_account_by_id",
      sql("select ", kAccountColumns, " from accounts a join domains d on d.id = a.domain_id where a.id = $1")};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, pg::Params().bigint(id), deadline));
  std::optional<Account> found;
  if (!rows.empty()) found = account_from(rows.front());
  co_return found;
}

Task<Lookup> Directory::lookup(Address address, Deadline deadline) {
  // The address itself, then without its detail, then the catch-all: one round trip for all of them.
  static const pg::Statement kSelect{
      "auth_lookup",
      sql("with d as (select * from domains where name = $1), "
          "c (address, rank, detail) as ("
          " select $2::text || '@' || $1::text, 0, ''"
          " union all select left($2, strpos($2, d.subaddress_separator) - 1) || '@' || $1, 1,"
          "  substr($2, strpos($2, d.subaddress_separator) + length(d.subaddress_separator))"
          "  from d where d.subaddress_separator <> '' and strpos($2, d.subaddress_separator) > 1"
          " union all select d.catch_all, 2, '' from d where d.catch_all <> '') "
          "select d.enabled, c.rank, c.detail, c.address, l.targets, ",
          kAccountColumns,
          " from d cross join c left join accounts a on c.rank < 2 and a.address = c.address and a.deleted_at is null"
          " left join aliases l on c.rank < 2 and l.address = c.address order by c.rank")};
  MERPATI_CO_TRY(const auto rows,
                 co_await pool_.query(kSelect, pg::Params().text(address.domain).text(address.local), deadline));
  Lookup out;
  for (const auto row : rows) {
    out.our_domain = true;
    out.domain_enabled = row.boolean(0);
    Candidate candidate;
    candidate.detail = row.text(2);
    candidate.catch_all = row.integer(1) == 2;
    if (candidate.catch_all) {
      candidate.targets.emplace_back(row.text(3));
    } else if (!row.is_null(5)) {
      candidate.account = account_from(row, 5);
    } else if (!row.is_null(4)) {
      for (const auto target : row.texts(4)) candidate.targets.emplace_back(target);
    } else {
      continue;
    }
    out.candidates.push_back(std::move(candidate));
  }
  co_return out;
}

Task<Domain> Directory::create_domain(std::string name, std::optional<std::string> catch_all,
                                      std::optional<std::string> separator, std::optional<bool> scram,
                                      Deadline deadline) {
  static const pg::Statement kCreate{
      "auth_create_domain", sql("select ", kDomainColumns, ", 0::bigint from create_domain($1, $2, $3, $4) d")};
  auto params = pg::Params().text(name).text(catch_all).text(separator).boolean(scram);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCreate, std::move(params), deadline));
  co_return domain_from(rows.front());
}

Task<Domain> Directory::get_domain(std::string name, Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_get_domain", sql("select ", kDomainColumns,
                             ", (select count(*) from accounts a where a.domain_id = d.id and a.deleted_at is null) "
                             "from domains d where d.name = $1")};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, pg::Params().text(name), deadline));
  if (rows.empty()) {
    const auto text = "there is no domain " + name;
    co_return Error(ErrorCode::kNotFound, text).with_public(text);
  }
  co_return domain_from(rows.front());
}

Task<Page<Domain>> Directory::list_domains(int size, std::string after, Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_list_domains", sql("select ", kDomainColumns,
                               ", (select count(*) from accounts a where a.domain_id = d.id and a.deleted_at is null) "
                               "from domains d where d.name > $1 order by d.name limit $2")};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, pg::Params().text(after).bigint(size + 1), deadline));
  co_return page_from<Domain>(rows, size, domain_from, [](const Domain& last) { return last.name; });
}

Task<Domain> Directory::update_domain(std::string name, std::optional<bool> enabled,
                                      std::optional<std::string> catch_all, std::optional<std::string> separator,
                                      std::optional<bool> scram, Deadline deadline) {
  static const pg::Statement kUpdate{
      "auth_update_domain", sql("select ", kDomainColumns,
                                ", (select count(*) from accounts a where a.domain_id = d.id and a.deleted_at is null) "
                                "from update_domain($1, $2, $3, $4, $5) d")};
  auto params = pg::Params().text(name).boolean(enabled).text(catch_all).text(separator).boolean(scram);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kUpdate, std::move(params), deadline));
  co_return domain_from(rows.front());
}

Task<void> Directory::delete_domain(std::string name, Deadline deadline) {
  static const pg::Statement kDelete{"auth_delete_domain", "select delete_domain($1)"};
  MERPATI_CO_CHECK(co_await pool_.write(kDelete, pg::Params().text(name), deadline));
  co_return Result<void>();
}

Task<std::vector<Account>> Directory::create_accounts(NewAccounts accounts, Deadline deadline) {
  static const pg::Statement kCreate{"auth_create_accounts",
                                     sql("select ", kAccountColumns,
                                         " from create_accounts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) a join "
                                         "domains d on d.id = a.domain_id")};
  const auto& scram = accounts.credential.scram;
  auto params = pg::Params()
                    .text(accounts.domain)
                    .texts(accounts.addresses)
                    .text(accounts.display_name)
                    .bigint(accounts.quota_bytes)
                    .bigint(accounts.quota_messages)
                    .text(accounts.cell)
                    .text(accounts.credential.hash)
                    .integer(scram.iterations)
                    .bytea(scram.salt)
                    .bytea(scram.stored_key)
                    .bytea(scram.server_key);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCreate, std::move(params), deadline));
  std::vector<Account> out;
  for (const auto row : rows) out.push_back(account_from(row));
  co_return out;
}

Task<Page<Account>> Directory::list_accounts(std::string domain, std::string query, bool deleted, int size,
                                             std::string after, Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_list_accounts",
      sql("select ", kAccountColumns,
          " from accounts a join domains d on d.id = a.domain_id where ($1 = '' or d.name = $1) and"
          " ($2 = '' or strpos(a.address, lower($2)) > 0 or strpos(lower(a.display_name), lower($2)) > 0) and"
          " ($3 or a.deleted_at is null) and (a.address, a.id) > ($4, $5) order by a.address, a.id limit $6")};
  const auto space = after.find(' ');
  const std::int64_t after_id = space == std::string::npos ? 0 : std::strtoll(after.c_str() + space, nullptr, 10);
  auto params = pg::Params()
                    .text(domain)
                    .text(query)
                    .boolean(deleted)
                    .text(after.substr(0, space))
                    .bigint(after_id)
                    .bigint(size + 1);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, std::move(params), deadline));
  co_return page_from<Account>(
      rows, size, [](const pg::Row& row) { return account_from(row); },
      [](const Account& last) { return last.address + " " + std::to_string(last.id); });
}

Task<Account> Directory::update_account(std::string address, std::optional<bool> enabled,
                                        std::optional<std::string> name, std::optional<std::int64_t> bytes,
                                        std::optional<std::int64_t> messages, Deadline deadline) {
  static const pg::Statement kUpdate{
      "auth_update_account", sql("select ", kAccountColumns,
                                 " from update_account($1, $2, $3, $4, $5) a join domains d on d.id = a.domain_id")};
  auto params = pg::Params().text(address).boolean(enabled).text(name).bigint(bytes).bigint(messages);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kUpdate, std::move(params), deadline));
  co_return account_from(rows.front());
}

Task<void> Directory::delete_account(std::string address, Deadline deadline) {
  static const pg::Statement kDelete{"auth_delete_account", "select delete_account($1)"};
  MERPATI_CO_CHECK(co_await pool_.write(kDelete, pg::Params().text(address), deadline));
  co_return Result<void>();
}

Task<std::int64_t> Directory::set_credential(std::string address, Credential credential, Deadline deadline) {
  static const pg::Statement kSet{"auth_set_password", "select set_password($1, $2, $3, $4, $5, $6)"};
  const auto& scram = credential.scram;
  auto params = pg::Params()
                    .text(address)
                    .text(credential.hash)
                    .integer(scram.iterations)
                    .bytea(scram.salt)
                    .bytea(scram.stored_key)
                    .bytea(scram.server_key);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kSet, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<std::int64_t> Directory::revoke_tokens(std::string address, Deadline deadline) {
  static const pg::Statement kRevoke{"auth_revoke_tokens", "select revoke_tokens($1)"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kRevoke, pg::Params().text(address), deadline));
  co_return rows.front().bigint(0);
}

Task<std::int64_t> Directory::purge_deleted(Deadline deadline) {
  static const pg::Statement kPurge{"auth_purge_deleted", "select purge_deleted()"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kPurge, {}, deadline));
  co_return rows.front().bigint(0);
}

Task<Alias> Directory::create_alias(Address address, std::vector<std::string> targets, bool replace,
                                    Deadline deadline) {
  static const pg::Statement kCreate{"auth_create_alias",
                                     "select address, targets, created_at from create_alias($1, $2, $3, $4)"};
  auto params = pg::Params().text(address.domain).text(address.text()).texts(targets).boolean(replace);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCreate, std::move(params), deadline));
  co_return alias_from(rows.front());
}

Task<Page<Alias>> Directory::list_aliases(std::string domain, int size, std::string after, Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_list_aliases",
      "select l.address, l.targets, l.created_at from aliases l join domains d on d.id = l.domain_id "
      "where ($1 = '' or d.name = $1) and l.address > $2 order by l.address limit $3"};
  auto params = pg::Params().text(domain).text(after).bigint(size + 1);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, std::move(params), deadline));
  co_return page_from<Alias>(rows, size, alias_from, [](const Alias& last) { return last.address; });
}

Task<void> Directory::delete_alias(std::string address, Deadline deadline) {
  static const pg::Statement kDelete{"auth_delete_alias", "select delete_alias($1)"};
  MERPATI_CO_CHECK(co_await pool_.write(kDelete, pg::Params().text(address), deadline));
  co_return Result<void>();
}

Task<std::vector<StoredKey>> Directory::signing_keys(Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_signing_keys",
      "select id, secret, public, not_after, created_at from signing_keys where not_after is null "
      "or not_after > now() order by created_at"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, {}, deadline));
  std::vector<StoredKey> out;
  for (const auto row : rows) {
    StoredKey key{std::string(row.text(0)), std::string(row.bytea(1)), std::string(row.bytea(2)), std::nullopt,
                  row.timestamptz(4)};
    if (!row.is_null(3)) key.not_after = row.timestamptz(3);
    out.push_back(std::move(key));
  }
  co_return out;
}

Task<bool> Directory::add_signing_key(StoredKey key, bool rotating, std::chrono::seconds overlap, Deadline deadline) {
  static const pg::Statement kAdd{"auth_add_signing_key",
                                  "select add_signing_key($1, $2, $3, $4, make_interval(secs => $5))"};
  auto params = pg::Params()
                    .text(key.id)
                    .bytea(key.secret)
                    .bytea(key.pub)
                    .boolean(rotating)
                    .float8(static_cast<double>(overlap.count()));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kAdd, std::move(params), deadline));
  co_return rows.front().boolean(0);
}

Task<bool> Directory::replace_aged_signing_key(StoredKey key, std::chrono::seconds overlap, std::chrono::seconds life,
                                               Deadline deadline) {
  static const pg::Statement kReplace{
      "auth_replace_aged_key",
      "select replace_aged_signing_key($1, $2, $3, make_interval(secs => $4), make_interval(secs => $5))"};
  auto params = pg::Params()
                    .text(key.id)
                    .bytea(key.secret)
                    .bytea(key.pub)
                    .float8(static_cast<double>(overlap.count()))
                    .float8(static_cast<double>(life.count()));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kReplace, std::move(params), deadline));
  co_return rows.front().boolean(0);
}

Task<std::int64_t> Directory::forget_events(std::chrono::seconds age, std::chrono::seconds purges, Deadline deadline) {
  static const pg::Statement kForget{"auth_forget_events",
                                     "select forget_events(make_interval(secs => $1), make_interval(secs => $2))"};
  auto params = pg::Params().float8(static_cast<double>(age.count())).float8(static_cast<double>(purges.count()));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kForget, std::move(params), deadline));
  co_return rows.front().bigint(0);
}

Task<std::int64_t> Directory::last_event(std::chrono::seconds before, Deadline deadline) {
  // From the newest down to the first that is old enough: the index of the key ends the search early.
  static const pg::Statement kSelect{"auth_last_event",
                                     "select coalesce((select position from events where at <= now() - "
                                     "make_interval(secs => $1) order by position desc limit 1), 0)"};
  MERPATI_CO_TRY(const auto rows,
                 co_await pool_.query(kSelect, pg::Params().float8(static_cast<double>(before.count())), deadline));
  co_return rows.front().bigint(0);
}

Task<std::vector<DirectoryEvent>> Directory::events_after(std::int64_t position, Deadline deadline) {
  static const pg::Statement kSelect{
      "auth_events_after",
      "select e.position, e.kind, e.account_id, e.address, case when e.account_id = 0 then 0 when a.enabled and "
      "a.deleted_at is null "
      "then a.credential_version else 9223372036854775807 end, "
      "e.kind = 7 and not exists (select from domains d where d.name = e.address and d.enabled) "
      "from events e left join accounts a on a.id = e.account_id where e.position > $1 order by e.position limit 500"};
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kSelect, pg::Params().bigint(position), deadline));
  std::vector<DirectoryEvent> out;
  for (const auto row : rows)
    out.push_back(
        {row.bigint(0), row.integer(1), row.bigint(2), std::string(row.text(3)), row.bigint(4), row.boolean(5)});
  co_return out;
}

}  // namespace merpati::auth
