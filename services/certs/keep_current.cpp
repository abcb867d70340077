#include "certs/keep_current.hpp"

#include "merpati/rpc/role.hpp"
#include "merpati/runtime/duration.hpp"

namespace merpati::certs {
namespace {

constexpr int kAttempts = 5;

/// Why a certificate cannot stay, or nothing.
bool is_current(const KeyPair& pair, const Wanted& wanted, const KeyPair& authority, const Lives& lives, Time now) {
  const auto view = read_certificate(pair.certificate);
  if (view.has_error() || !is_of(pair, authority.certificate)) return false;
  const std::set<std::string> uris =
      wanted.subject.uri.empty() ? std::set<std::string>() : std::set<std::string>{wanted.subject.uri};
  if (view->uris != uris || view->dns_names != wanted.subject.dns_names) return false;
  return view->not_after - now > lives.certificate / 3;
}

Result<void> keep_one(SecretStore& store, const Wanted& wanted, const Authorities& authorities, const Lives& lives,
                      Time now, Round& round) {
  MERPATI_TRY(auto secret, store.read(wanted.name));
  KeyPair pair{secret.files["tls.crt"], secret.files["tls.key"]};
  const std::string bundle = authorities.bundle();
  const bool current = is_current(pair, wanted, *authorities.current, lives, now);
  if (current && secret.files["ca.crt"] == bundle) return {};
  if (!current) {
    MERPATI_TRY(pair, issue(*authorities.current, wanted.subject, now, lives.certificate));
  }
  secret.files = {{"ca.crt", bundle}, {"tls.crt", pair.certificate}, {"tls.key", pair.key}};
  MERPATI_CHECK(store.write(wanted.name, secret));
  (current ? round.updated : round.issued).push_back(wanted.name);
  return {};
}

Result<void> round_once(SecretStore& store, const Plan& plan, Time now, Round& round) {
  MERPATI_TRY(auto secret, store.read(plan.authority_name));
  MERPATI_TRY(auto authorities, read_authorities(secret));
  MERPATI_TRY(const bool changed, advance(authorities, plan.lives, now, plan.rotate && !round.authorities_changed));
  if (changed) {
    // Before what it signs: a certificate of an authority that nobody kept would be worthless.
    write_authorities(authorities, secret);
    MERPATI_CHECK(store.write(plan.authority_name, secret));
    round.authorities_changed = true;
  }
  for (const auto& wanted : plan.certificates)
    MERPATI_CHECK(keep_one(store, wanted, authorities, plan.lives, now, round));
  return {};
}

Result<void> check_lives(const Lives& lives) {
  if (lives.certificate <= std::chrono::seconds(0) || lives.overlap < std::chrono::seconds(0))
    return Error(ErrorCode::kInvalidArgument, "certs.life must be positive, and certs.overlap not negative");
  if (lives.authority / 3 < lives.overlap + lives.certificate)
    return Error(ErrorCode::kInvalidArgument,
                 "certs.authority_life must be at least three times certs.life and certs.overlap together");
  return {};
}

}  // namespace

Result<Plan> plan_of(const config::v1::Config& config, const std::vector<std::string_view>& services) {
  const auto& certs = config.certs();
  Plan plan;
  plan.authority_name = certs.directory().empty() ? certs.kubernetes().authority_secret() : "authority";
  const auto seconds = [](const auto& duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(runtime::to_chrono(duration));
  };
  plan.lives = {seconds(certs.authority_life()), seconds(certs.life()), seconds(certs.overlap())};
  MERPATI_CHECK(check_lives(plan.lives));
  const std::string domain = "spiffe://" + config.trust().trust_domain() + "/";
  for (const auto& one : certs.certificates()) {
    if (one.name().empty()) return Error(ErrorCode::kInvalidArgument, "certs.certificates: a name is missing");
    if (!one.service().empty() && !rpc::role_from(one.service()))
      return Error(ErrorCode::kInvalidArgument, "certs.certificates: there is no service \"" + one.service() + "\"");
    if (one.service().empty() && one.dns_names().empty())
      return Error(ErrorCode::kInvalidArgument,
                   "certs.certificates: " + one.name() + " has neither service nor dns_names");
    plan.certificates.push_back({one.name(),
                                 {one.service().empty() ? one.dns_names(0) : one.service(),
                                  one.service().empty() ? "" : domain + one.service(),
                                  {one.dns_names().begin(), one.dns_names().end()}}});
  }
  if (!plan.certificates.empty()) return plan;
  for (const auto service : services) {
    const std::string name(service);
    plan.certificates.push_back({name, {name, domain + name, {name, "localhost"}}});
  }
  return plan;
}

Result<Round> keep_current(SecretStore& store, const Plan& plan, Time now) {
  Round round;
  for (int attempt = 1;; ++attempt) {
    auto done = round_once(store, plan, now, round);
    if (done.has_value()) return round;
    if (done.error().code() != ErrorCode::kAborted || attempt == kAttempts) return std::move(done).error();
  }
}

}  // namespace merpati::certs
