#include "admin/tokens.hpp"

#include "merpati/base/encoding.hpp"

namespace merpati::admin {
namespace {

#define TOKEN_COLUMNS                                                           \
  "token_id, name, role::int, domain, extract(epoch from created_at)::bigint, " \
  "extract(epoch from expires_at)::bigint, extract(epoch from last_used_at)::bigint"

// The time of last use is kept to the minute, so that a busy script does not cost a write for each call.
const pg::Statement kAuthenticate{"admin_token_authenticate",
                                  "with touched as (update tokens set last_used_at = now() where hash = $1 and "
                                  "(last_used_at is null or last_used_at < now() - interval '1 minute')) "
                                  "select " TOKEN_COLUMNS
                                  " from tokens where hash = $1 and (expires_at is null or expires_at > now())"};
const pg::Statement kCreate{"admin_token_create",
                            "insert into tokens (name, role, domain, hash, expires_at) values ($1, $2, $3, $4, $5) "
                            "on conflict (name) do nothing returning " TOKEN_COLUMNS};
const pg::Statement kList{"admin_token_list", "select " TOKEN_COLUMNS " from tokens order by name"};
const pg::Statement kRevoke{"admin_token_revoke", "delete from tokens where name = $1"};
const pg::Statement kBootstrap{
    "admin_token_bootstrap",
    "insert into tokens (name, role, hash) values ('bootstrap', 1, $1) "
    "on conflict (name) do update set hash = excluded.hash, role = 1, domain = '', expires_at = null"};

Token read(const pg::Row& row) {
  Token token;
  token.id = row.bigint(0);
  token.name = row.text(1);
  token.role = static_cast<Role>(row.integer(2));
  token.domain = row.text(3);
  token.created_at = row.bigint(4);
  token.expires_at = row.bigint_or(5, 0);
  token.last_used_at = row.bigint_or(6, 0);
  return token;
}

}  // namespace

Task<Token> Tokens::authenticate(std::string_view secret, Deadline deadline) {
  if (secret.empty())
    co_return Error(ErrorCode::kUnauthenticated, "no API token").with_public("an API token is needed");
  pg::Params params;
  params.bytea(sha256(secret));
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kAuthenticate, std::move(params), deadline));
  if (rows.empty()) {
    co_return Error(ErrorCode::kUnauthenticated, "unknown or expired API token")
        .with_public("the API token is unknown or has expired");
  }
  co_return read(rows.front());
}

Task<Tokens::Made> Tokens::create(Token wanted, Deadline deadline) {
  Made made;
  made.secret = "mpt_" + to_base64url(random_bytes(32));
  std::optional<WallTime> expires;
  if (wanted.expires_at != 0) expires = WallTime(std::chrono::seconds(wanted.expires_at));
  pg::Params params;
  params.text(wanted.name)
      .integer(static_cast<int>(wanted.role))
      .text(wanted.domain)
      .bytea(sha256(made.secret))
      .timestamptz(expires);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kCreate, std::move(params), deadline));
  if (rows.empty()) {
    co_return Error(ErrorCode::kAlreadyExists, "token name in use").with_public("there is a token of this name");
  }
  made.token = read(rows.front());
  co_return made;
}

Task<std::vector<Token>> Tokens::list(Deadline deadline) {
  MERPATI_CO_TRY(const auto rows, co_await pool_.query(kList, {}, deadline));
  std::vector<Token> tokens;
  for (const auto& row : rows) tokens.push_back(read(row));
  co_return tokens;
}

Task<void> Tokens::revoke(std::string_view name, Deadline deadline) {
  pg::Params params;
  params.text(name);
  MERPATI_CO_TRY(const auto rows, co_await pool_.write(kRevoke, std::move(params), deadline));
  if (rows.affected() == 0)
    co_return Error(ErrorCode::kNotFound, "no such token").with_public("there is no token of this name");
  co_return Result<void>();
}

Task<void> Tokens::ensure_bootstrap(std::string_view secret, Deadline deadline) {
  pg::Params params;
  params.bytea(sha256(secret));
  MERPATI_CO_CHECK(co_await pool_.write(kBootstrap, std::move(params), deadline));
  co_return Result<void>();
}

}  // namespace merpati::admin
