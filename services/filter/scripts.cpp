#include "filter/scripts.hpp"

#include "merpati/base/encoding.hpp"

namespace merpati::filter {
namespace {

constexpr const char* kColumns =
    "select name, active, octet_length(source)::bigint, extract(epoch from changed_at)::bigint, source from scripts ";
const pg::Statement kList{"filter_list_scripts",
                          "select name, active, octet_length(source)::bigint, extract(epoch from changed_at)::bigint "
                          "from scripts where account_id = $1 order by name"};
const pg::Statement kGet{"filter_get_script", std::string(kColumns) + "where account_id = $1 and name = $2"};
const pg::Statement kRoom{"filter_script_room", "select script_room($1, $2, $3, $4, $5)"};
const pg::Statement kPut{"filter_put_script", "select put_script($1, $2, $3, $4, $5, $6)"};
const pg::Statement kActivate{"filter_activate_script", "select activate_script($1, $2)::text"};
const pg::Statement kDelete{"filter_delete_script", "select delete_script($1, $2)::text"};
const pg::Statement kRename{"filter_rename_script", "select rename_script($1, $2, $3)::text"};
const pg::Statement kPurge{"filter_purge_account", "select purge_account($1)::text"};
const pg::Statement kActive{
    "filter_active_scripts",
    "select s.account_id, s.name, s.hash, case when s.hash = k.hash then null else s.source end "
    "from unnest($1::bigint[], $2::bytea[]) k (account_id, hash) "
    "join scripts s on s.account_id = k.account_id and s.active"};

StoredScript script_of(const pg::Row& row) {
  return {std::string(row.text(0)), row.boolean(1), static_cast<std::uint64_t>(row.bigint(2)), row.bigint(3)};
}

constexpr std::size_t kMostReads = 200;        // that share a statement
constexpr std::size_t kMostAccounts = 2'000;   // in it
constexpr std::size_t kMostWaiting = 100'000;  // reads

}  // namespace

Scripts::Scripts(pg::Pool& pool, TaskGroup& group, ScriptLimits limits)
    : pool_(pool),
      limits_(limits),
      reads_(group, {kMostReads, kMostAccounts, kMostWaiting, 2, true},
             [this](Reads::Batch& batch) { return read_together(batch); }) {}

Task<std::vector<StoredScript>> Scripts::list(std::int64_t account, Deadline deadline) {
  pg::Params params;
  params.bigint(account);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kList, std::move(params), deadline));
  std::vector<StoredScript> out;
  for (const auto row : rows) out.push_back(script_of(row));
  co_return out;
}

Task<std::pair<StoredScript, std::string>> Scripts::get(std::int64_t account, std::string name, Deadline deadline) {
  pg::Params params;
  params.bigint(account).text(name);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kGet, std::move(params), deadline));
  if (rows.empty()) {
    const std::string text = "there is no script of that name";
    co_return Error(ErrorCode::kNotFound, text).with_public(text);
  }
  co_return std::pair(script_of(rows.front()), std::string(rows.front().bytea(4)));
}

Task<ScriptRoom> Scripts::room(std::int64_t account, std::string name, std::uint64_t size, Deadline deadline) {
  if (size > limits_.max_script_size) co_return ScriptRoom::kTooLarge;
  pg::Params params;
  params.bigint(account).text(name).bigint(static_cast<std::int64_t>(size)).integer(limits_.max_scripts);
  params.bigint(static_cast<std::int64_t>(limits_.max_total_size));
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kRoom, std::move(params), deadline));
  co_return static_cast<ScriptRoom>(rows.front().integer(0));
}

Task<ScriptRoom> Scripts::put(std::int64_t account, std::string name, std::string source, Deadline deadline) {
  if (source.size() > limits_.max_script_size) co_return ScriptRoom::kTooLarge;
  pg::Params params;
  params.bigint(account).text(name).bytea(source).bytea(sha256(source)).integer(limits_.max_scripts);
  params.bigint(static_cast<std::int64_t>(limits_.max_total_size));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kPut, std::move(params), deadline));
  co_return static_cast<ScriptRoom>(rows.front().integer(0));
}

Task<void> Scripts::activate(std::int64_t account, std::string name, Deadline deadline) {
  pg::Params params;
  params.bigint(account).text(name);
  MERPATI_CO_CHECK(co_await pool_.write(kActivate, std::move(params), deadline));
  co_return Result<void>();
}

Task<void> Scripts::remove(std::int64_t account, std::string name, Deadline deadline) {
  pg::Params params;
  params.bigint(account).text(name);
  MERPATI_CO_CHECK(co_await pool_.write(kDelete, std::move(params), deadline));
  co_return Result<void>();
}

Task<void> Scripts::rename(std::int64_t account, std::string name, std::string new_name, Deadline deadline) {
  pg::Params params;
  params.bigint(account).text(name).text(new_name);
  MERPATI_CO_CHECK(co_await pool_.write(kRename, std::move(params), deadline));
  co_return Result<void>();
}

Task<void> Scripts::purge(std::int64_t account, Deadline deadline) {
  pg::Params params;
  params.bigint(account);
  MERPATI_CO_CHECK(co_await pool_.write(kPurge, std::move(params), deadline));
  co_return Result<void>();
}

Task<std::vector<ActiveScript>> Scripts::active(std::vector<std::int64_t> accounts, std::vector<std::string> known,
                                                Deadline deadline) {
  const auto weight = accounts.size();
  co_return co_await reads_.call({std::move(accounts), std::move(known)}, weight, deadline);
}

asio::awaitable<void> Scripts::read_together(Reads::Batch& batch) {
  const auto found = co_await read_active(batch);
  for (auto& item : batch) {
    if (found.has_error()) {
      item->answer = found.error();
      continue;
    }
    std::vector<ActiveScript> active;
    for (const auto account : item->work.accounts)
      if (const auto at = found->find(account); at != found->end()) active.push_back(at->second);
    item->answer = std::move(active);
  }
}

Task<std::map<std::int64_t, ActiveScript>> Scripts::read_active(const Reads::Batch& batch) {
  std::map<std::int64_t, std::string> known;
  auto deadline = batch.front()->deadline;
  for (const auto& item : batch) {
    deadline = std::max(deadline, item->deadline, [](auto& a, auto& b) { return a.at() < b.at(); });
    for (std::size_t i = 0; i < item->work.accounts.size(); ++i) {
      const auto [at, is_new] = known.emplace(item->work.accounts[i], item->work.known[i]);
      if (!is_new && at->second != item->work.known[i]) at->second.clear();  // both get the source
    }
  }
  std::vector<std::int64_t> accounts;
  std::vector<std::string> hashes;
  for (auto& [account, hash] : known) {
    accounts.push_back(account);
    hashes.push_back(std::move(hash));
  }
  pg::Params params;
  params.bigints(accounts).byteas(hashes);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kActive, std::move(params), deadline));
  std::map<std::int64_t, ActiveScript> out;
  for (const auto row : rows) {
    auto& script = out[row.bigint(0)];
    script.account_id = row.bigint(0);
    script.name = row.text(1);
    script.hash = row.bytea(2);
    if (!row.is_null(3)) script.source = std::string(row.bytea(3));
  }
  co_return out;
}

Task<std::optional<std::string>> Scripts::source(std::int64_t account, std::string name, Deadline deadline) {
  pg::Params params;
  params.bigint(account).text(name);
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kGet, std::move(params), deadline));
  if (rows.empty()) co_return std::optional<std::string>();
  co_return std::optional(std::string(rows.front().bytea(4)));
}

}  // namespace merpati::filter
