// The grammar of SPF records (RFC 7208 12), without I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/dns/resolver.hpp"

namespace merpati::mailauth {

struct SpfTerm {
  enum class Kind : std::uint8_t { kAll, kInclude, kA, kMx, kPtr, kIp4, kIp6, kExists };
  Kind kind = Kind::kAll;
  char qualifier = '+';
  std::string domain_spec;  ///< unexpanded; empty: the domain of the check
  dns::IpAddress network;   ///< of ip4 and ip6
  int prefix4 = 32;
  int prefix6 = 128;
  std::string text;  ///< as it stands in the record
};

struct SpfRecord {
  std::vector<SpfTerm> terms;
  std::optional<std::string> redirect;
  std::optional<std::string> explanation;
};

/// Whether a TXT record is an SPF record of version 1, well-formed or not (4.5).
bool is_spf_record(std::string_view text);
/// kInvalidArgument says which term is wrong: a syntax error anywhere is a permerror before anything is evaluated
/// (4.6).
Result<SpfRecord> parse_spf_record(std::string_view text);

enum class MacroUse : std::uint8_t { kDomain, kExplanation };

/// What macros stand for (7.2).
struct SpfMacros {
  std::string sender_local = "postmaster";
  std::string sender_domain;
  std::string domain;
  dns::IpAddress client;
  std::string validated_name = "unknown";  ///< %{p}
  std::string helo;
  std::string receiver = "unknown";
  std::int64_t unix_time = 0;
};

/// Whether `spec` may stand in a record; %{c}, %{r} and %{t} only in explanations (7.2).
bool valid_macro_string(std::string_view spec, MacroUse use);
/// `spec` is valid.
std::string expand_macros(std::string_view spec, const SpfMacros& macros);
/// Whether %{p} is in it, which costs DNS lookups.
bool uses_validated_name(std::string_view spec);

}  // namespace merpati::mailauth
