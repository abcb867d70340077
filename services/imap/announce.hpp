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
/// "* LIST (attributes) "/" name", with OLDNAME when the client has written the name otherwise (RFC 9051 6.3.9.7).
void append_list_response(Session& session, std::string_view attributes, const std::string& name,
                          const std::string& written);
/// The same, but only to a client of IMAP4rev2, and only when the names differ.
void announce_canonical_name(Session& session, std::string_view attributes, const std::string& name,
                             const std::string& written);
/// "HIGHESTMODSEQ n" for the end of EXPUNGE and MOVE (RFC 7162 3.2.7, RFC 6851 4.4): what the client has been told of,
/// which is less than what is when others change the mailbox, too. Empty before CONDSTORE is on.
std::string highest_modseq_code(const Session& session);
/// RFC 7162 3.1: HIGHESTMODSEQ among STATUS items turns CONDSTORE on.
void enable_condstore_for(Session& session, const std::vector<StatusItem>& items);
/// STATUS's list "(MESSAGES 3 UIDNEXT 9)".
void append_status_items(std::string& out, const std::vector<StatusItem>& items, const pb::MailboxCounts& counts);

}  // namespace merpati::imap
