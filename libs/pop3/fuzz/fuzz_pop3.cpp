// The command parser, and the dot writer cut at every place against the same bytes in one piece.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "merpati/pop3/command.hpp"
#include "merpati/pop3/response.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati::pop3;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (auto command = parse_command(bytes)) {
    if (command->message && *command->message == 0) std::abort();
    if (to_string(command->verb).size() > 4) std::abort();
  }
  (void)parse_auth_line(bytes);

  DotWriter whole;
  std::string expected;
  whole.write(bytes, expected);
  whole.finish(expected);
  const std::size_t cut = size == 0 ? 0 : data[0] % (size + 1);
  DotWriter pieces;
  std::string actual;
  pieces.write(bytes.substr(0, cut), actual);
  pieces.write(bytes.substr(cut), actual);
  pieces.finish(actual);
  if (expected != actual) std::abort();
  // The end of the response is found exactly once: at its end.
  const auto end = ("\r\n" + expected).find("\r\n.\r\n");
  if (end + 5 != expected.size() + 2) std::abort();

  TopLimiter one(3), two(3);
  std::string first(one.pass(bytes)), second(two.pass(bytes.substr(0, cut)));
  second += two.pass(bytes.substr(cut));
  if (first != second) std::abort();
  return 0;
}
