#include "filter/address_patterns.hpp"

#include "merpati/dns/domain_name.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::filter {

Result<std::string> address_pattern(std::string_view entry) {
  const auto wrong = [&] {
    return Error(ErrorCode::kInvalidArgument,
                 "\"" + std::string(entry) +
                     "\" is neither user@example.com, nor example.com, nor *.example.com for what is below it");
  };
  std::string before;
  auto domain = entry;
  if (entry.starts_with("*.")) {
    before = ".";
    domain.remove_prefix(2);
  } else if (const auto at = entry.rfind('@'); at != std::string_view::npos) {
    if (at == 0) return wrong();
    before = mime::to_lower(entry.substr(0, at + 1));
    domain.remove_prefix(at + 1);
  }
  const auto name = dns::to_ascii(domain);
  if (!name || name->empty()) return wrong();
  return before + *name;
}

std::vector<std::string> patterns_for(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos) return {};
  const auto name = dns::to_ascii(address.substr(at + 1));
  if (!name) return {};
  std::vector<std::string> keys = {mime::to_lower(address.substr(0, at + 1)) + *name, *name};
  for (auto dot = name->find('.'); dot != std::string::npos; dot = name->find('.', dot + 1))
    keys.push_back(name->substr(dot));
  return keys;
}

}  // namespace merpati::filter
