#include "imap/mailbox_tree.hpp"

#include <algorithm>

#include "merpati/imap/mailbox_name.hpp"

namespace merpati::imap {
namespace {

struct InboxFirst {
  bool operator()(const std::string& a, const std::string& b) const {
    const bool a_inbox = a == "INBOX";
    const bool b_inbox = b == "INBOX";
    if (a_inbox != b_inbox) return a_inbox;
    return a < b;
  }
};

}  // namespace

std::vector<ListEntry> mailbox_tree(const pb::ListMailboxesResponse& mailboxes) {
  std::map<std::string, ListEntry, InboxFirst> entries;
  const auto entry = [&entries](const std::string& name) -> ListEntry& {
    auto& found = entries[name];
    found.name = name;
    return found;
  };
  for (const auto& mailbox : mailboxes.mailboxes()) {
    auto& one = entry(mailbox.name());
    one.mailbox = &mailbox;
    one.subscribed = mailbox.subscribed();
  }
  for (const auto& name : mailboxes.subscribed_missing()) entry(name).subscribed = true;

  std::vector<std::string> names;
  for (const auto& [name, unused] : entries) names.push_back(name);
  for (const auto& name : names) {
    const auto& leaf = entries[name];
    const bool exists = leaf.mailbox != nullptr;
    const bool subscribed = leaf.subscribed;
    const bool special = exists && leaf.mailbox->special_use() != pb::SPECIAL_USE_UNSPECIFIED;
    for (auto at = name.rfind(kSeparator); at != std::string::npos && at > 0; at = name.rfind(kSeparator, at - 1)) {
      auto& parent = entry(name.substr(0, at));
      parent.has_children |= exists;
      parent.subscribed_child |= subscribed;
      parent.special_use_child |= special;
    }
  }
  std::vector<ListEntry> out;
  out.reserve(entries.size());
  for (auto& [name, one] : entries) out.push_back(std::move(one));
  return out;
}

bool matches_any(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&name](const std::string& pattern) { return matches_pattern(pattern, name); });
}

}  // namespace merpati::imap
