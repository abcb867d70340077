#include "ctl/mbox.hpp"

#include <string_view>

namespace merpati::ctl {

std::vector<std::string> messages_in(std::string octets) {
  constexpr std::string_view kFrom = "From ";
  std::vector<std::string> out;
  if (!octets.starts_with(kFrom)) {
    if (!octets.empty()) out.push_back(std::move(octets));
    return out;
  }
  bool after_empty_line = true;
  for (std::string_view rest = octets; !rest.empty();) {
    const auto end = rest.find('\n');
    auto line = rest.substr(0, end == std::string_view::npos ? end : end + 1);
    rest.remove_prefix(line.size());
    if (after_empty_line && line.starts_with(kFrom)) {
      out.emplace_back();
      after_empty_line = false;
      continue;
    }
    after_empty_line = line == "\n" || line == "\r\n";
    const auto quoted = line.find_first_not_of('>');
    if (quoted != 0 && quoted != std::string_view::npos && line.substr(quoted).starts_with(kFrom))
      line.remove_prefix(1);
    out.back() += line;
  }
  return out;
}

}  // namespace merpati::ctl
