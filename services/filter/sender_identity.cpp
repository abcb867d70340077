#include "filter/sender_identity.hpp"

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "filter/message_domains.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "merpati/net/address.hpp"

namespace merpati::filter {
namespace {
constexpr unsigned short kIpv4Bits = 24;
constexpr unsigned short kIpv6Bits = 64;
constexpr std::size_t kLongestName = 40;  // octets; longer local parts are new for each message

/// The domain itself where nobody can have registered it ("localhost"): it is somebody's all the same.
std::string organization(const std::string& domain) {
  std::string registered = registered_domain(domain);
  return registered.empty() ? boost::algorithm::to_lower_copy(domain) : registered;
}
}  // namespace

std::string network_of(const boost::asio::ip::address& client) {
  const auto address = net::unmapped(client);
  if (address.is_unspecified()) return {};
  if (address.is_v4()) return boost::asio::ip::make_network_v4(address.to_v4(), kIpv4Bits).canonical().to_string();
  return boost::asio::ip::make_network_v6(address.to_v6(), kIpv6Bits).canonical().to_string();
}

std::string authenticated_domain(const MessageView& view) {
  if (view.authentication == nullptr) return {};
  const mailauth::Authentication& found = *view.authentication;
  if (found.dmarc && found.dmarc->result == mailauth::DmarcResult::kPass && !found.dmarc->evaluations.empty())
    return organization(found.dmarc->evaluations.front().author_domain);
  if (found.dkim) {
    for (const auto& signature : found.dkim->signatures)
      if (signature.result == mailauth::DkimResult::kPass) return organization(signature.domain);
  }
  if (found.spf && found.spf->result == mailauth::SpfResult::kPass) return organization(found.spf->domain);
  return {};
}

std::string sender_of(const MessageView& view) {
  const std::string domain = domain_of(view.reverse_path);
  if (domain.empty()) return {};
  const std::string_view local = view.reverse_path.substr(0, view.reverse_path.rfind('@'));
  const std::string_view name = local.substr(0, local.find_first_of("+="));
  if (name.empty() || name.size() > kLongestName) return {};
  std::string out = boost::algorithm::to_lower_copy(std::string(name)) + "@" + domain;
  const mailauth::Authentication* found = view.authentication;
  const bool by_spf = found != nullptr && found->spf && found->spf->result == mailauth::SpfResult::kPass;
  if (!by_spf && organization(domain) != authenticated_domain(view)) out += " from " + network_of(view.client);
  return out;
}

std::string domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string()
                                      : boost::algorithm::to_lower_copy(std::string(address.substr(at + 1)));
}

}  // namespace merpati::filter
