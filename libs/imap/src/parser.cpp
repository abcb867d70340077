#include "merpati/imap/parser.hpp"

#include <array>

#include "cursor.hpp"

namespace merpati::imap {
namespace {

constexpr std::array<std::string_view, kVerbCount> kVerbs = {
    "CAPABILITY", "NOOP",      "LOGOUT", "ID",     "STARTTLS", "AUTHENTICATE", "LOGIN",       "ENABLE",
    "SELECT",     "EXAMINE",   "CREATE", "DELETE", "RENAME",   "SUBSCRIBE",    "UNSUBSCRIBE", "LIST",
    "LSUB",       "NAMESPACE", "STATUS", "APPEND", "IDLE",     "CHECK",        "CLOSE",       "UNSELECT",
    "EXPUNGE",    "SEARCH",    "FETCH",  "STORE",  "COPY",     "MOVE"};

bool is_tag_char(unsigned char c) { return (is_atom_char(c) || c == ']') && c != '+'; }

Error bad(const char* reason) {
  return Error(ErrorCode::kInvalidArgument, reason == nullptr ? "syntax error" : reason)
      .with_public(reason == nullptr ? "Syntax error" : reason);
}

bool parse_id(Cursor& in, IdArguments& out) {
  if (in.keyword("NIL")) return true;
  if (!in.expect('(', "Expected a list or NIL")) return false;
  if (in.maybe(')')) return true;
  do {
    std::string name;
    std::string value;
    if (!in.string(name) || !in.space() || !in.nstring(value)) return false;
    out.fields.emplace_back(std::move(name), std::move(value));
    if (out.fields.size() > 30) return in.fail("Too many ID fields");  // RFC 2971 3.3
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the ID fields");
}

bool parse_authenticate(Cursor& in, AuthenticateArguments& out) {
  if (!in.atom(out.mechanism, true)) return false;
  if (!in.maybe(' ')) return true;
  out.initial_response = std::string(in.rest());
  in.rewind(in.position() + in.rest().size());
  return !out.initial_response->empty() || in.fail("Empty initial response");
}

bool parse_enable(Cursor& in, EnableArguments& out) {
  do {
    std::string name;
    if (!in.atom(name, true)) return false;
    out.capabilities.push_back(std::move(name));
  } while (in.maybe(' '));
  return true;
}

bool parse_select(Cursor& in, SelectArguments& out) {
  if (!in.astring(out.mailbox)) return false;
  if (!in.maybe(' ')) return true;
  if (!in.expect('(', "Expected SELECT parameters")) return false;
  do {
    if (!in.keyword_or_fail("CONDSTORE", "Unknown SELECT parameter")) return false;
    out.condstore = true;
  } while (in.maybe(' '));
  return in.expect(')', "Expected ) after the parameters");
}

bool parse_create(Cursor& in, CreateArguments& out) {
  if (!in.astring(out.mailbox)) return false;
  if (!in.maybe(' ')) return true;
  if (!in.expect('(', "Expected CREATE parameters") || !in.keyword_or_fail("USE", "Unknown CREATE parameter") ||
      !in.space())
    return false;
  return in.flag_list(out.special_use, false) && in.expect(')', "Expected ) after the parameters");
}

bool parse_lsub(Cursor& in, ListArguments& out) {
  std::string pattern;
  if (!in.astring(out.reference) || !in.space() || !in.list_mailbox(pattern)) return false;
  out.patterns.push_back(std::move(pattern));
  return true;
}

template <class T, class Parse>
bool with(Cursor& in, Command& out, Parse parse) {
  return in.space() && parse(in, out.arguments.template emplace<T>());
}

bool parse_arguments(Cursor& in, Command& out) {
  switch (out.verb) {
    case Verb::kCapability:
    case Verb::kNoop:
    case Verb::kLogout:
    case Verb::kStartTls:
    case Verb::kNamespace:
    case Verb::kIdle:
    case Verb::kCheck:
    case Verb::kClose:
    case Verb::kUnselect:
      return true;
    case Verb::kId:
      return with<IdArguments>(in, out, parse_id);
    case Verb::kAuthenticate:
      return with<AuthenticateArguments>(in, out, parse_authenticate);
    case Verb::kLogin:
      return with<LoginArguments>(in, out, [](Cursor& c, LoginArguments& a) {
        return c.astring(a.user) && c.space() && c.astring(a.password);
      });
    case Verb::kEnable:
      return with<EnableArguments>(in, out, parse_enable);
    case Verb::kSelect:
    case Verb::kExamine:
      return with<SelectArguments>(in, out, parse_select);
    case Verb::kCreate:
      return with<CreateArguments>(in, out, parse_create);
    case Verb::kDelete:
    case Verb::kSubscribe:
    case Verb::kUnsubscribe:
      return with<MailboxArguments>(in, out, [](Cursor& c, MailboxArguments& a) { return c.astring(a.mailbox); });
    case Verb::kRename:
      return with<RenameArguments>(
          in, out, [](Cursor& c, RenameArguments& a) { return c.astring(a.from) && c.space() && c.astring(a.to); });
    case Verb::kList:
      return with<ListArguments>(in, out, parse_list);
    case Verb::kLsub:
      return with<ListArguments>(in, out, parse_lsub);
    case Verb::kStatus:
      return with<StatusArguments>(in, out, [](Cursor& c, StatusArguments& a) {
        return c.astring(a.mailbox) && c.space() && parse_status_items(c, a.items);
      });
    case Verb::kAppend:
      return with<AppendArguments>(in, out, parse_append);
    case Verb::kExpunge:
      if (!out.uid) return true;
      return with<ExpungeArguments>(in, out, [](Cursor& c, ExpungeArguments& a) { return c.sequence_set(a.uids); });
    case Verb::kSearch:
      return with<SearchArguments>(in, out, parse_search);
    case Verb::kFetch:
      return with<FetchArguments>(in, out, parse_fetch);
    case Verb::kStore:
      return with<StoreArguments>(in, out, parse_store);
    case Verb::kCopy:
    case Verb::kMove:
      return with<CopyArguments>(in, out, [](Cursor& c, CopyArguments& a) {
        return c.sequence_set(a.set) && c.space() && c.astring(a.mailbox);
      });
  }
  return in.fail("Unknown command");
}

bool takes_uid(Verb verb) {
  return verb == Verb::kFetch || verb == Verb::kStore || verb == Verb::kCopy || verb == Verb::kMove ||
         verb == Verb::kSearch || verb == Verb::kExpunge;
}

bool parse_verb(Cursor& in, Command& out) {
  std::string word;
  if (!in.atom(word, true)) return in.fail("Missing command");
  if (word == "UID") {
    out.uid = true;
    if (!in.space() || !in.atom(word, true)) return in.fail("Missing command after UID");
  }
  for (std::size_t i = 0; i < kVerbs.size(); ++i) {
    if (kVerbs[i] != word) continue;
    out.verb = static_cast<Verb>(i);
    return !out.uid || takes_uid(out.verb) || in.fail("This command has no UID form");
  }
  return in.fail("Unknown command");
}

}  // namespace

std::string_view to_string(Verb verb) { return kVerbs[static_cast<std::size_t>(verb)]; }

std::string tag_of(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_tag_char(static_cast<unsigned char>(text[length]))) ++length;
  if (length == 0 || length > 200 || (length < text.size() && text[length] != ' ')) return "*";
  return std::string(text.substr(0, length));
}

Result<std::optional<Literal>> announced_literal(std::string_view line) {
  using Announced = std::optional<Literal>;
  if (line.empty() || line.back() != '}') return Announced();
  Literal literal;
  std::size_t end = line.size() - 1;
  if (end > 0 && line[end - 1] == '+') {
    literal.synchronizing = false;
    --end;
  }
  std::size_t start = end;
  while (start > 0 && line[start - 1] >= '0' && line[start - 1] <= '9') --start;
  if (start == end || start == 0 || line[start - 1] != '{') return Announced();
  for (std::size_t i = start; i < end; ++i) {
    if (literal.size > 0x7fffffffffffffffULL / 10 - 10) {
      return Error(ErrorCode::kOutOfRange, "literal size does not fit").with_public("Literal is too large");
    }
    literal.size = literal.size * 10 + static_cast<std::uint64_t>(line[i] - '0');
  }
  literal.binary = start > 1 && line[start - 2] == '~';
  return Announced(literal);
}

Result<Command> parse_command(std::string_view text) {
  Command command;
  command.tag = tag_of(text);
  if (command.tag == "*") return bad("Missing tag");
  Cursor in(text);
  in.rewind(command.tag.size());
  if (!in.space() || !parse_verb(in, command) || !parse_arguments(in, command) || !in.end()) return bad(in.reason());
  return command;
}

Result<Command> parse_append_head(std::string_view text) { return parse_command(text); }

bool announces_append_message(std::string_view text) {
  const auto command = parse_command(text);
  return command.has_value() && command->verb == Verb::kAppend;
}

}  // namespace merpati::imap
