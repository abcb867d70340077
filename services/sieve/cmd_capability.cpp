// CAPABILITY (RFC 5804 2.4, 1.7).
#include "merpati/edge/sasl.hpp"
#include "merpati/sieve/capability.hpp"
#include "sieve/commands.hpp"

namespace merpati::managesieve {
namespace {

template <class Names>
std::string joined(const Names& names) {
  std::string out;
  for (const auto& name : names) (out += out.empty() ? "" : " ") += name;
  return out;
}

void line(std::string& out, std::string_view name, std::string_view value) {
  append_string(out, name);
  append_string(out += ' ', value);
  out += "\r\n";
}

}  // namespace

void Session::write_capabilities() {
  line(out(), "IMPLEMENTATION", "Merpati");
  line(out(), "VERSION", "1.0");
  line(out(), "SASL", joined(edge::sasl_mechanisms({is_tls(), allows_plaintext()})));
  line(out(), "SIEVE", joined(sieve::capabilities()));
  line(out(), "NOTIFY", "mailto");
  line(out(), "MAXREDIRECTS", std::to_string(site_->settings.max_redirects));
  line(out(), "LANGUAGE", "en");
  if (login_) line(out(), "OWNER", login_->authorization_id());
  if (offers_starttls()) out() += "\"STARTTLS\"\r\n";
  out() += "\"UNAUTHENTICATE\"\r\n";
}

Task<void> cmd_capability(Session& session, const Command&) {
  session.write_capabilities();
  session.ok();
  co_return Result<void>();
}

}  // namespace merpati::managesieve
