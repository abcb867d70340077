// The command parser and the literal's announcement; and that every string that is written can be read again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "merpati/managesieve/command.hpp"
#include "merpati/managesieve/response.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati::managesieve;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (auto command = parse_command(bytes)) {
    if (to_string(command->verb).empty()) std::abort();
    for (const auto& name : {command->name, command->new_name}) {
      if (name.empty()) continue;
      const auto again = script_name(name);
      if (again.has_error() || *again != name) std::abort();
    }
  }
  (void)parse_sasl_response(bytes);
  (void)announced_literal(bytes);

  // A server's literal has no "+"; a client's has.
  std::string written = "NOOP ";
  append_string(written, bytes);
  if (written[5] == '{') written.insert(written.find('}'), "+");
  const auto read = parse_command(written);
  if (read.has_error() || read->tag != bytes) std::abort();
  return 0;
}
