#include "merpati/mailauth/srs.hpp"

#include <openssl/crypto.h>

#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kHash = 8;  // characters: 40 bits

// Letters that survive a relay that changes case, so base 32 of the lower-cased content.
std::string hash_of(const std::string& secret, std::string_view content) {
  const std::string mac = hmac_sha256(secret, mime::to_lower(content));
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 5; ++i) bits = bits << 8 | static_cast<unsigned char>(mac[i]);
  std::string out;
  for (std::size_t i = 0; i < kHash; ++i) out.push_back(kBase32[bits >> (35 - 5 * i) & 31]);
  return out;
}

long day_of(WallTime now) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::days>(now.time_since_epoch()).count());
}

std::string stamp_of(long day) { return {kBase32[day >> 5 & 31], kBase32[day & 31]}; }

// Age in days of a stamp, which counts modulo 1024; nothing when it is none.
long age_of(std::string_view stamp, long today) {
  if (stamp.size() != 2) return -1;
  long day = 0;
  for (const char c : stamp) {
    const auto at = kBase32.find(c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
    if (at == std::string_view::npos) return -1;
    day = day << 5 | static_cast<long>(at);
  }
  return (today - day) & 1023;
}

struct Address {
  std::string_view local, domain;
};
bool split(std::string_view address, Address& out) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == address.size()) return false;
  out = {address.substr(0, at), address.substr(at + 1)};
  return true;
}

// "SRS0" or "SRS1" followed by one of its separators.
bool has_tag(std::string_view local, char digit) {
  return local.size() > 5 && mime::iequals(local.substr(0, 3), "SRS") && local[3] == digit &&
         std::string_view("=+-").find(local[4]) != std::string_view::npos;
}

// Cuts up to the next "=".
bool take(std::string_view& rest, std::string_view& part) {
  const auto equals = rest.find('=');
  if (equals == std::string_view::npos) return false;
  part = rest.substr(0, equals);
  rest.remove_prefix(equals + 1);
  return true;
}

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}
Error malformed() { return Error(ErrorCode::kInvalidArgument, "not an address of the sender rewriting scheme"); }
}  // namespace

Srs::Srs(std::string domain, std::vector<std::string> secrets, std::chrono::days life)
    : domain_(std::move(domain)), secrets_(std::move(secrets)), life_(life) {}

Result<std::string> Srs::forward(std::string_view sender, WallTime now) const {
  if (sender.empty()) return std::string();  // a bounce stays one
  Address from;
  if (!split(sender, from)) return Error(ErrorCode::kInvalidArgument, "the sender is no address");
  if (from.local.front() == '"') return Error(ErrorCode::kInvalidArgument, "a quoted local part cannot be rewritten");
  if (mime::iequals(from.domain, domain_)) return std::string(sender);  // of our own: SPF passes as it is
  std::string content;
  std::string_view rest = from.local.size() > 5 ? from.local.substr(5) : std::string_view();
  std::string_view other_hash, host;
  std::string tag = "SRS0=";
  if (has_tag(from.local, '0')) {
    content = std::string(from.domain) + "=" + std::string(from.local.substr(4));
    tag = "SRS1=";
  } else if (has_tag(from.local, '1') && take(rest, other_hash) && take(rest, host)) {
    content = std::string(host) + "=" + std::string(rest);  // the first host alone is named: bounces go to it directly
    tag = "SRS1=";
  } else {
    content = stamp_of(day_of(now)) + "=" + std::string(from.domain) + "=" + std::string(from.local);
  }
  const std::string local = tag + hash_of(secrets_.front(), content) + "=" + content;
  if (local.size() > 64) return Error(ErrorCode::kInvalidArgument, "the rewritten local part would exceed 64 octets");
  return local + "@" + domain_;
}

bool Srs::is_ours(std::string_view recipient) const {
  Address to;
  return split(recipient, to) && mime::iequals(to.domain, domain_) &&
         (has_tag(to.local, '0') || has_tag(to.local, '1'));
}

Result<std::string> Srs::reverse(std::string_view recipient, WallTime now) const {
  if (!is_ours(recipient)) return malformed();
  Address to;
  split(recipient, to);
  std::string_view rest = to.local.substr(5), hash;
  if (!take(rest, hash)) return malformed();
  std::string given(hash);
  for (char& c : given) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  const bool known = std::any_of(secrets_.begin(), secrets_.end(),
                                 [&](const std::string& secret) { return same(hash_of(secret, rest), given); });
  if (!known) return Error(ErrorCode::kPermissionDenied, "the address was not made here");
  std::string_view stamp, host;
  if (to.local[3] == '1') {
    if (!take(rest, host) || host.empty()) return malformed();
    return "SRS0" + std::string(rest) + "@" + std::string(host);
  }
  if (!take(rest, stamp) || !take(rest, host) || host.empty() || rest.empty()) return malformed();
  const long age = age_of(stamp, day_of(now));
  // A day of tolerance for clocks that differ.
  if (age < 0 || (age > life_.count() && age != 1023)) {
    return Error(ErrorCode::kPermissionDenied, "the address has expired");
  }
  return std::string(rest) + "@" + std::string(host);
}

}  // namespace merpati::mailauth
