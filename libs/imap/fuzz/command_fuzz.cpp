// Any bytes as one command: the parser must neither crash nor hang, and what it accepts must hold its own promises.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "merpati/imap/mailbox_name.hpp"
#include "merpati/imap/parser.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati::imap;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  static_cast<void>(announced_literal(text));
  static_cast<void>(announces_append_message(text));
  const auto command = parse_command(text);
  if (command.has_value() && command->tag.empty()) std::abort();
  if (const auto* fetch = command.has_value() ? std::get_if<FetchArguments>(&command->arguments) : nullptr) {
    const auto ranges = fetch->set.resolve(1000);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      if (ranges[i].first > ranges[i].last || (i > 0 && ranges[i].first <= ranges[i - 1].last)) std::abort();
    }
  }
  if (const auto name = from_modified_utf7(text)) {
    if (!is_utf8(*name)) std::abort();
  }
  static_cast<void>(matches_pattern(text.substr(0, text.size() / 2), text.substr(text.size() / 2)));
  return 0;
}
