// Tricks with URLs: what they say and where they lead (RFC 3986, WHATWG URL).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "filter/engine.hpp"

namespace merpati::filter {

/// The authority of an http or https URL, as browsers take it.
struct UrlAuthority {
  std::string_view userinfo;  ///< before the last "@"
  std::string_view host;      ///< without port, brackets and final dots
  bool has_userinfo = false;
};
/// Nothing when it is no such URL.
std::optional<UrlAuthority> parse_web_url(std::string_view url);

enum class HostTrick : std::uint8_t {
  kNone,
  kAddress,            ///< 192.0.2.1, [2001:db8::1]
  kObfuscatedAddress,  ///< 3221225985, 0xc0.0.2.1
  kMixedScripts,       ///< letters of scripts that no language mixes (UTS 39 5.2, "highly restrictive" is exceeded)
  kConfusable,         ///< letters of another script that look like ASCII throughout (UTS 39 4)
};
/// Of U-labels or A-labels.
HostTrick host_trick(std::string_view host);

/// What one message's links show. `sender_domains` are registered domains that are known to have sent the message: they
/// may be shown on links that lead elsewhere, to who counts clicks for them.
class LinkChecks {
 public:
  explicit LinkChecks(std::set<std::string> sender_domains) : sender_domains_(std::move(sender_domains)) {}
  void add_text(std::string_view text);
  void add_html(std::string_view html);
  std::vector<Symbol> symbols() && { return std::move(symbols_); }

 private:
  void check(std::string_view url);
  void check_shown(std::string_view href, std::string_view text);
  void add(const char* symbol, double score, std::string_view detail);

  const std::set<std::string> sender_domains_;
  std::vector<Symbol> symbols_;
  std::size_t checked_ = 0;
};

}  // namespace merpati::filter
