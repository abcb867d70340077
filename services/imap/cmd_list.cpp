// LIST and LSUB (RFC 9051 6.3.9, RFC 3501 6.3.9), CHILDREN (RFC 3348), LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC
// 5819), SPECIAL-USE (RFC 6154).
#include <set>

#include "imap/announce.hpp"
#include "imap/mailbox_tree.hpp"
#include "imap/session.hpp"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

struct Patterns {
  std::vector<std::string> utf8;     // for names as they are
  std::vector<std::string> encoded;  // for names in modified UTF-7
};

// The reference and each pattern together (RFC 9051 6.3.9), in NFC as names are. Before IMAP4rev2 they are in modified
// UTF-7, and a wildcard may stand within a shifted run: such a one is compared with the encoded name.
Patterns full_patterns(const Session& session, const ListArguments& arguments) {
  Patterns out;
  for (const auto& pattern : arguments.patterns) {
    const auto full = arguments.reference + pattern;
    if (session.rev2 || !is_ascii(full)) {
      out.utf8.push_back(mime::to_nfc(full));
    } else if (auto decoded = from_modified_utf7(full)) {
      out.utf8.push_back(mime::to_nfc(*decoded));
    } else {
      out.encoded.push_back(full);
    }
  }
  return out;
}

bool is_listed(const Patterns& patterns, const std::string& name) {
  return matches_any(patterns.utf8, name) ||
         (!patterns.encoded.empty() && matches_any(patterns.encoded, to_modified_utf7(name)));
}

bool selects(const ListArguments& options, const ListEntry& entry) {
  if (options.select_subscribed && !entry.subscribed) return false;
  if (options.select_special_use &&
      (entry.mailbox == nullptr || entry.mailbox->special_use() == pb::SPECIAL_USE_UNSPECIFIED))
    return false;
  // A subscribed name without a mailbox shows only when subscriptions are asked for; a missing parent only for its
  // children.
  return entry.mailbox != nullptr || entry.has_children || options.select_subscribed;
}

bool selects_child(const ListArguments& options, const ListEntry& entry) {
  if (!options.select_recursive_match) return false;
  return (options.select_subscribed && entry.subscribed_child) ||
         (options.select_special_use && entry.special_use_child);
}

void append_attributes(std::string& out, const Session& session, const ListArguments& options, const ListEntry& entry) {
  const std::size_t from = out.size();
  const auto add = [&out, from](std::string_view attribute) {
    if (out.size() != from) out += ' ';
    out += attribute;
  };
  const bool exists = entry.mailbox != nullptr && !entry.mailbox->no_select();
  if (!exists) add(options.extended || session.rev2 ? "\\NonExistent" : "\\Noselect");
  // RFC 5258 4: the extended form tells of children when it is asked to.
  if (!options.extended || options.return_children) add(entry.has_children ? "\\HasChildren" : "\\HasNoChildren");
  if (entry.subscribed && (options.return_subscribed || options.select_subscribed)) add("\\Subscribed");
  if (entry.mailbox != nullptr) {
    const auto use = special_use_name(entry.mailbox->special_use());
    if (!use.empty()) add(use);
  }
}

void append_list(Session& session, const ListArguments& options, const ListEntry& entry, bool child_info) {
  auto& out = session.out();
  out += "* LIST (";
  append_attributes(out, session, options, entry);
  out += ") \"/\" ";
  append_mailbox(out, entry.name, session.name_form());
  if (child_info) {
    out += " (\"CHILDINFO\" (";
    if (options.select_subscribed && entry.subscribed_child) out += "\"SUBSCRIBED\"";
    if (options.select_special_use && entry.special_use_child)
      out += options.select_subscribed && entry.subscribed_child ? " \"SPECIAL-USE\"" : "\"SPECIAL-USE\"";
    out += "))";
  }
  out += "\r\n";
}

// Parents of a match that no pattern names: only they need CHILDINFO when they do not match themselves (RFC 9051
// 6.3.9.6: what would be redundant is left out).
std::set<std::string> parents_of_unlisted(const std::vector<ListEntry>& tree, const ListArguments& options,
                                          const Patterns& patterns) {
  std::set<std::string> parents;
  if (!options.select_recursive_match) return parents;
  for (const auto& entry : tree) {
    if (!selects(options, entry) || is_listed(patterns, entry.name)) continue;
    for (auto at = entry.name.rfind(kSeparator); at != std::string::npos && at > 0;
         at = entry.name.rfind(kSeparator, at - 1))
      parents.insert(entry.name.substr(0, at));
  }
  return parents;
}

Task<pb::ListMailboxesResponse> list_mailboxes(Session& session, bool with_counts) {
  pb::ListMailboxesRequest request;
  request.set_account_id(session.account());
  request.set_with_counts(with_counts);
  request.set_subscribed_names(true);
  co_return co_await session.store().list_mailboxes(request, session.call_options());
}

}  // namespace

void append_list_response(Session& session, std::string_view attributes, const std::string& name,
                          const std::string& written) {
  auto& out = session.out();
  out.append("* LIST (").append(attributes).append(") \"/\" ");
  append_mailbox(out, name, session.name_form());
  if (name != written) {
    out += " (\"OLDNAME\" (";
    append_mailbox(out, written, session.name_form());
    out += "))";
  }
  out += "\r\n";
}

void announce_canonical_name(Session& session, std::string_view attributes, const std::string& name,
                             const std::string& written) {
  if (session.rev2 && name != written) append_list_response(session, attributes, name, written);
}

Task<Reply> cmd_list(Session& session, const Command& command) {
  const auto& arguments = command.get<ListArguments>();
  if (!arguments.extended && arguments.patterns.front().empty()) {
    // RFC 9051 6.3.9: an empty name asks for the separator and the root.
    session.out() += "* LIST (\\Noselect) \"/\" \"\"\r\n";
    co_return ok();
  }
  const auto patterns = full_patterns(session, arguments);
  const bool with_status = !arguments.return_status.empty();
  enable_condstore_for(session, arguments.return_status);
  MERPATI_CO_TRY(auto mailboxes, co_await list_mailboxes(session, with_status));
  const auto tree = mailbox_tree(mailboxes);
  const auto parents = parents_of_unlisted(tree, arguments, patterns);
  for (const auto& entry : tree) {
    const bool selected = selects(arguments, entry);
    const bool child = selects_child(arguments, entry) && (selected || parents.count(entry.name) != 0);
    if ((!selected && !child) || !is_listed(patterns, entry.name)) continue;
    append_list(session, arguments, entry, child);
    if (!with_status || entry.mailbox == nullptr || entry.mailbox->no_select()) continue;
    auto& out = session.out();
    out += "* STATUS ";
    append_mailbox(out, entry.name, session.name_form());
    out += ' ';
    append_status_items(out, arguments.return_status, entry.mailbox->counts());
    out += "\r\n";
  }
  co_return ok();
}

Task<Reply> cmd_lsub(Session& session, const Command& command) {
  const auto& arguments = command.get<ListArguments>();
  const auto patterns = full_patterns(session, arguments);
  MERPATI_CO_TRY(auto mailboxes, co_await list_mailboxes(session, false));
  const bool percent = arguments.patterns.front().ends_with('%');
  for (const auto& entry : mailbox_tree(mailboxes)) {
    // RFC 3501 6.3.9: with '%', a parent of a subscribed name shows with \Noselect although it is not subscribed.
    const bool parent_only = !entry.subscribed && percent && entry.subscribed_child;
    if ((!entry.subscribed && !parent_only) || !is_listed(patterns, entry.name)) continue;
    auto& out = session.out();
    out += parent_only ? "* LSUB (\\Noselect) \"/\" " : "* LSUB () \"/\" ";
    append_mailbox(out, entry.name, session.name_form());
    out += "\r\n";
  }
  co_return ok();
}

}  // namespace merpati::imap
