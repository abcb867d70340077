// The account's mailboxes as LIST sees them: real ones, names that exist only for their children, and subscriptions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "imap/convert.hpp"
#include "merpati/imap/command.hpp"

namespace merpati::imap {

struct ListEntry {
  std::string name;
  const pb::Mailbox* mailbox = nullptr;  ///< null: no such mailbox
  bool has_children = false;
  bool subscribed = false;
  bool subscribed_child = false;  ///< a descendant is subscribed and does not itself match (CHILDINFO)
  bool special_use_child = false;
};

/// Sorted with INBOX first; parents that are missing are added.
std::vector<ListEntry> mailbox_tree(const pb::ListMailboxesResponse& mailboxes);
bool matches_any(const std::vector<std::string>& patterns, const std::string& name);

}  // namespace merpati::imap
