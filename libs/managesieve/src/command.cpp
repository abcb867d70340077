#include "merpati/managesieve/command.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/charset.hpp"

namespace merpati::managesieve {
namespace {

/// What stands in an argument's place. A row of kShapes holds them in the order of the wire.
enum class Slot : std::uint8_t { kEnd, kName, kNameOrEmpty, kNewName, kScript, kSize, kMechanism, kResponse, kTag };

constexpr bool is_optional(Slot slot) { return slot == Slot::kEnd || slot == Slot::kResponse || slot == Slot::kTag; }

struct Shape {
  Verb verb;
  std::string_view keyword;
  std::array<Slot, 2> slots;
};
// In the order of Verb.
constexpr std::array<Shape, kVerbCount> kShapes{{
    {Verb::kAuthenticate, "AUTHENTICATE", {Slot::kMechanism, Slot::kResponse}},
    {Verb::kStartTls, "STARTTLS", {}},
    {Verb::kCapability, "CAPABILITY", {}},
    {Verb::kLogout, "LOGOUT", {}},
    {Verb::kNoop, "NOOP", {Slot::kTag}},
    {Verb::kUnauthenticate, "UNAUTHENTICATE", {}},
    {Verb::kHaveSpace, "HAVESPACE", {Slot::kName, Slot::kSize}},
    {Verb::kPutScript, "PUTSCRIPT", {Slot::kName, Slot::kScript}},
    {Verb::kCheckScript, "CHECKSCRIPT", {Slot::kScript}},
    {Verb::kListScripts, "LISTSCRIPTS", {}},
    {Verb::kSetActive, "SETACTIVE", {Slot::kNameOrEmpty}},
    {Verb::kGetScript, "GETSCRIPT", {Slot::kName}},
    {Verb::kDeleteScript, "DELETESCRIPT", {Slot::kName}},
    {Verb::kRenameScript, "RENAMESCRIPT", {Slot::kName, Slot::kNewName}},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kShapes.size(); ++i)
    if (kShapes[i].verb != static_cast<Verb>(i)) return false;
  return true;
}
static_assert(in_order());

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool equals_keyword(std::string_view word, std::string_view keyword) {
  return std::ranges::equal(word, keyword, {}, upper);
}

Error syntax(std::string text) { return Error(ErrorCode::kInvalidArgument, text).with_public(text); }

/// Whole text, digits only, no leading zero (RFC 5804 4, number).
std::optional<std::uint32_t> parse_number(std::string_view digits) {
  std::uint32_t value = 0;
  if (digits.empty() || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// Takes values from the front of a text. Every method leaves the rest in place.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view atom() {
    const auto end = std::min(rest_.find_first_of(" \"{(\r\n"), rest_.size());
    const auto word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return word;
  }
  /// Clients that write two spaces are served all the same. False: there was none.
  bool spaces() {
    const auto count = std::min(rest_.find_first_not_of(' '), rest_.size());
    rest_.remove_prefix(count);
    return count > 0;
  }
  Result<std::string> string() {
    if (rest_.starts_with('"')) return quoted();
    if (rest_.starts_with('{')) return literal();
    return syntax("a string was expected");
  }
  Result<std::uint32_t> number() {
    const auto word = atom();
    const auto value = parse_number(word);
    if (!value) return syntax("a number below 2^32 was expected");
    return *value;
  }

 private:
  /// RFC 5804 4. Longer ones than 1024 octets are welcome: the limit of lines holds.
  Result<std::string> quoted() {
    std::string value;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      char c = rest_[i];
      if (c == '"') {
        rest_.remove_prefix(i + 1);
        return value;
      }
      if (c == '\r' || c == '\n' || c == '\0') break;
      if (c == '\\') {
        if (++i == rest_.size()) break;
        c = rest_[i];
        if (c != '"' && c != '\\') return syntax("only \" and \\ may follow a \\ in a quoted string");
      }
      value += c;
    }
    return syntax("a quoted string does not end");
  }

  Result<std::string> literal() {
    const auto line_end = rest_.find("\r\n");
    if (line_end == std::string_view::npos) return syntax("a literal is malformed");
    MERPATI_TRY(const auto size, announced_literal(rest_.substr(0, line_end)));
    const bool whole = size && rest_.rfind('{', line_end) == 0 && rest_.size() - line_end - 2 >= *size;
    if (!whole) return syntax("a literal is malformed");
    std::string value(rest_.substr(line_end + 2, *size));
    rest_.remove_prefix(line_end + 2 + *size);
    return value;
  }

  std::string_view rest_;
};

Result<void> take_name(std::string& name, std::string_view raw) {
  MERPATI_TRY(name, script_name(raw));
  return {};
}

Result<void> fill(Command& command, Slot slot, Scanner& scanner) {
  if (slot == Slot::kSize) {
    MERPATI_TRY(command.size, scanner.number());
    return {};
  }
  MERPATI_TRY(auto value, scanner.string());
  switch (slot) {
    case Slot::kName:
      return take_name(command.name, value);
    case Slot::kNameOrEmpty:
      return value.empty() ? Result<void>() : take_name(command.name, value);
    case Slot::kNewName:
      return take_name(command.new_name, value);
    case Slot::kScript:
      command.script = std::move(value);
      return {};
    case Slot::kMechanism:
      // RFC 4422 3.1: 1 to 20 characters.
      if (value.empty() || value.size() > 20) return syntax("no such mechanism");
      std::ranges::transform(value, std::back_inserter(command.mechanism), upper);
      return {};
    case Slot::kResponse:
      command.initial_response = from_base64(value);
      if (!command.initial_response) return syntax("the initial response is not base64");
      return {};
    case Slot::kTag:
      command.tag = std::move(value);
      return {};
    case Slot::kEnd:
    case Slot::kSize:
      break;
  }
  return {};
}

std::size_t count_characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// RFC 5804 1.6. `name` is valid UTF-8.
bool has_forbidden_character(std::string_view name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto octet = static_cast<unsigned char>(name[i]);
    if (octet < 0x20 || octet == 0x7F) return true;
    if (octet == 0xC2 && static_cast<unsigned char>(name[i + 1]) < 0xA0) return true;  // U+0080 to U+009F
    const auto three = name.substr(i, 3);
    if (three == "\xE2\x80\xA8" || three == "\xE2\x80\xA9") return true;  // U+2028, U+2029
  }
  return false;
}

}  // namespace

std::string_view to_string(Verb verb) { return kShapes[static_cast<std::size_t>(verb)].keyword; }

Result<std::string> script_name(std::string_view raw) {
  if (raw.empty()) return syntax("a script's name must not be empty");
  if (!mime::is_valid_utf8(raw)) return syntax("a script's name must be UTF-8");
  if (has_forbidden_character(raw)) return syntax("a script's name must not have control characters");
  auto name = mime::to_nfc(raw);
  if (count_characters(name) > kMaxNameCharacters) return syntax("a script's name may have 128 characters");
  return name;
}

Result<std::optional<std::uint32_t>> announced_literal(std::string_view line) {
  std::optional<std::uint32_t> none;
  if (!line.ends_with('}')) return none;
  const auto open = line.rfind('{');
  if (open == std::string_view::npos) return none;
  auto inside = line.substr(open + 1, line.size() - open - 2);
  const bool waits = !inside.ends_with('+');
  if (!waits) inside.remove_suffix(1);
  const bool digits = !inside.empty() && std::ranges::all_of(inside, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return none;  // the end of something else: the parser says what is wrong
  if (waits) return syntax("a client's literal is written {n+}");
  const auto size = parse_number(inside);
  if (!size) return syntax("a literal's size is not a number below 2^32");
  return size;
}

Result<Command> parse_command(std::string_view text) {
  Scanner scanner(text);
  const auto word = scanner.atom();
  const auto* shape = std::ranges::find_if(kShapes, [&](const Shape& s) { return equals_keyword(word, s.keyword); });
  if (shape == kShapes.end()) return Error(ErrorCode::kUnimplemented, "unknown command").with_public("unknown command");
  Command command;
  command.verb = shape->verb;
  for (const auto slot : shape->slots) {
    const bool more = scanner.spaces() && !scanner.at_end();
    if (!more && is_optional(slot)) break;
    if (!more) return syntax(std::string(shape->keyword) + " needs more arguments");
    if (slot == Slot::kEnd) return syntax("too many arguments");
    MERPATI_CHECK(fill(command, slot, scanner));
  }
  scanner.spaces();
  if (!scanner.at_end()) return syntax("too many arguments");
  return command;
}

Result<std::string> parse_sasl_response(std::string_view text) {
  Scanner scanner(text);
  MERPATI_TRY(const auto value, scanner.string());
  if (!scanner.at_end()) return syntax("one string was expected");
  if (value == "*") return Error(ErrorCode::kCancelled, "the client gave up").with_public("authentication cancelled");
  auto decoded = from_base64(value);
  if (!decoded) return syntax("not base64");
  return *std::move(decoded);
}

}  // namespace merpati::managesieve
