// FetchPlan: what a FETCH needs from the store, decided once for all its messages.
#pragma once

#include "imap/sections.hpp"

namespace merpati::imap {

struct FetchPlan {
  FetchPlan(const FetchArguments& arguments, bool uid_command, bool can_set_seen);

  pb::FetchMask mask;
  bool sets_seen = false;   ///< a body is read without PEEK
  bool contents = false;    ///< octets beyond the rows are needed
  bool add_uid = false;     ///< UID is told although it was not asked for
  bool add_modseq = false;  ///< likewise MODSEQ, for CHANGEDSINCE (RFC 7162 3.1.4)
  bool has_uid = false;
  bool has_flags = false;
  bool has_modseq = false;
};

/// HEADER and HEADER.FIELDS of the message itself come with the row.
bool in_row_header(const FetchItem& item);
/// The octets that an item reads apart from the row; nothing when there is no such part, or when it reads none.
std::optional<OctetRange> content_range(const pb::MessageRow& row, const FetchItem& item);

}  // namespace merpati::imap
