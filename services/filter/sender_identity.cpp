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

std::string domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string()
                                      : boost::algorithm::to_lower_copy(std::string(address.substr(at + 1)));
}

}  // namespace merpati::filter
