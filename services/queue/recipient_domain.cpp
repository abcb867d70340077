#include "queue/recipient_domain.hpp"

#include "merpati/dns/domain_name.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::queue {

std::string recipient_domain(std::string_view address) {
  const auto at = address.rfind('@');
  const std::string_view domain = at == std::string_view::npos ? std::string_view() : address.substr(at + 1);
  if (auto ascii = dns::to_ascii(domain)) return *std::move(ascii);
  return mime::to_lower(domain);
}

}  // namespace merpati::queue
