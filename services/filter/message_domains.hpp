// Domains that a message leads to: those of the URLs in its text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace merpati::filter {

struct DomainLimits {
  std::size_t max_domains = 30;
  std::size_t max_text = 1 << 20;  ///< decoded octets that are looked at
};

/// Registered domains ("example.co.uk" of http://www.example.co.uk/x) and addresses in URLs ("192.0.2.1"), A-labels,
/// each once, in the order of the text. Linear in the message's size.
std::vector<std::string> domains_in(std::string_view message, const DomainLimits& limits = {});

/// The same of one decoded text.
void add_domains(std::string_view text, std::size_t max_domains, std::vector<std::string>& into);

/// What may be registered below a public suffix (publicsuffix.org); nothing for a suffix itself or no domain name.
std::string registered_domain(std::string_view host);

}  // namespace merpati::filter
