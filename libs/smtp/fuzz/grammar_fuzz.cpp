// Any octets as a command line, a path, a reply and as DATA: nothing crashes, and what is parsed prints and parses
// again.
#include <cstdint>
#include <cstdlib>

#include "merpati/smtp/client.hpp"
#include "merpati/smtp/command.hpp"
#include "merpati/smtp/data.hpp"

using namespace merpati::smtp;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void lines(std::string_view text) {
  const auto command = split_command(text);
  const Offered all{.max_size = 1000, .smtputf8 = true, .binarymime = true, .dsn = true, .auth = true};
  if (auto mail = parse_mail(command.argument, all); mail && mail->reverse_path) {
    const auto again = parse_address(mail->reverse_path->str(), Utf8::kYes);
    require(again && *again == *mail->reverse_path);
  }
  if (auto rcpt = parse_rcpt(command.argument, all, Utf8::kYes); rcpt && !rcpt->forward_path.domain.empty()) {
    const auto again = parse_address(rcpt->forward_path.str(), Utf8::kYes);
    require(again && *again == rcpt->forward_path);
  }
  static_cast<void>(parse_bdat(command.argument));
  static_cast<void>(parse_auth(command.argument));
  static_cast<void>(parse_hello(command.argument));
  ReplyParser parser;
  static_cast<void>(parser.feed(text));
  if (const auto plain = decode_xtext(text)) require(decode_xtext(encode_xtext(*plain)) == plain);
}

void data(std::string_view text) {
  // The same in one piece and octet by octet.
  DotDecoder whole, single;
  std::string whole_out, single_out;
  const auto taken = whole.feed(text, whole_out);
  std::size_t taken_single = 0;
  while (taken_single < text.size() && !single.done())
    taken_single += single.feed(text.substr(taken_single, 1), single_out);
  require(taken == taken_single && whole_out == single_out && whole.done() == single.done());
  require(whole.bare_line_end() == single.bare_line_end());
  // What the client stuffs comes out again.
  DotEncoder encoder;
  DotDecoder decoder;
  std::string wire, message;
  encoder.feed(text, wire);
  encoder.finish(wire);
  require(decoder.feed(wire, message) <= wire.size() && decoder.done());
  LineEndChecker checker;
  checker.feed(text);
  if (!checker.bare_line_end() && (text.empty() || text.ends_with("\r\n")))
    require(message == text && !decoder.bare_line_end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  lines(text);
  data(text);
  return 0;
}
