// Untagged responses about the selected mailbox that several commands write.
#pragma once

#include "imap/convert.hpp"
#include "imap/session.hpp"

namespace merpati::imap {

/// Tells FLAGS again when a keyword appears for the first time.
void announce_keywords(Session& session, const google::protobuf::RepeatedPtrField<std::string>& keywords);
/// What the client is about to be told by this answer; the next synchronize need not tell it again.
void remember_own_changes(SelectedMailbox& box, const pb::StoreFlagsResponse& response);
/// "* FLAGS" and PERMANENTFLAGS.
void append_flags_response(Session& session, const SelectedMailbox& box);
/// "* n FETCH (...)" with a message's flags; UID and MODSEQ as the session needs them.
void append_flags_fetch(Session& session, std::uint32_t sequence, const pb::MessageFlags& message, bool with_uid,
                        bool with_flags);
/// STATUS's list "(MESSAGES 3 UIDNEXT 9)".
void append_status_items(std::string& out, const std::vector<StatusItem>& items, const pb::MailboxCounts& counts);

}  // namespace merpati::imap
