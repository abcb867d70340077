#include "certs/authorities.hpp"

#include <cstdlib>

namespace merpati::certs {
namespace {

std::string file_of(const Secret& secret, const char* name) {
  const auto found = secret.files.find(name);
  return found == secret.files.end() ? std::string() : found->second;
}

Time time_from(const std::string& text) { return Time(std::chrono::seconds(std::atoll(text.c_str()))); }
std::string time_text(Time time) { return std::to_string(time.time_since_epoch().count()); }

Result<std::optional<KeyPair>> pair_of(const Secret& secret, const std::string& name) {
  KeyPair pair{file_of(secret, (name + ".crt").c_str()), file_of(secret, (name + ".key").c_str())};
  if (pair.certificate.empty() && pair.key.empty()) return std::optional<KeyPair>();
  if (!matches(pair))
    return Error(ErrorCode::kDataLoss, "the authority \"" + name +
                                           "\" cannot be read or its key is not its own; restore it, or empty the "
                                           "Secret to begin with a new one and restart every service");
  return std::optional(std::move(pair));
}

Result<void> begin_next(Authorities& a, const Lives& lives, Time now) {
  MERPATI_TRY(a.next, make_authority(now, lives.authority));
  a.next_since = now;
  return {};
}

void promote(Authorities& a, Time now) {
  a.previous = a.current->certificate;
  a.current = std::move(a.next);
  a.next.reset();
  a.promoted_at = now;
}

}  // namespace

std::string Authorities::bundle() const {
  std::string all = current ? current->certificate : "";
  if (next) all += next->certificate;
  return all + previous;
}

Result<Authorities> read_authorities(const Secret& secret) {
  Authorities a;
  MERPATI_TRY(a.current, pair_of(secret, "current"));
  MERPATI_TRY(a.next, pair_of(secret, "next"));
  a.previous = file_of(secret, "previous.crt");
  a.next_since = time_from(file_of(secret, "next-since"));
  a.promoted_at = time_from(file_of(secret, "promoted-at"));
  if (!a.current && (a.next || !a.previous.empty()))
    return Error(ErrorCode::kDataLoss, "the authorities lack the one that signs; restore current.crt and current.key");
  return a;
}

void write_authorities(const Authorities& a, Secret& secret) {
  secret.files.clear();
  secret.files["ca.crt"] = a.bundle();
  secret.files["current.crt"] = a.current->certificate;
  secret.files["current.key"] = a.current->key;
  if (a.next) {
    secret.files["next.crt"] = a.next->certificate;
    secret.files["next.key"] = a.next->key;
    secret.files["next-since"] = time_text(a.next_since);
  }
  if (!a.previous.empty()) {
    secret.files["previous.crt"] = a.previous;
    secret.files["promoted-at"] = time_text(a.promoted_at);
  }
}

Result<bool> advance(Authorities& a, const Lives& lives, Time now, bool rotate) {
  if (!a.current) {
    MERPATI_TRY(a.current, make_authority(now, lives.authority));
    return true;
  }
  MERPATI_TRY(const auto current, read_certificate(a.current->certificate));
  if (a.next) {
    // Nothing works with an authority that has ended, so there is nothing to wait for either.
    if (now - a.next_since < lives.overlap && now < current.not_after) return false;
    promote(a, now);
    return true;
  }
  if (!a.previous.empty()) {
    if (now - a.promoted_at < lives.overlap) return false;
    a.previous.clear();
    return true;
  }
  if (!rotate && current.not_after - now > lives.authority / 3) return false;
  MERPATI_CHECK(begin_next(a, lives, now));
  return true;
}

}  // namespace merpati::certs
