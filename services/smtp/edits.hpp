// Header edits that the filter asks for (filter.v1.HeaderEdit), applied to a header block.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>
#include <string_view>

#include "merpati/filter/v1/filter.pb.h"

namespace merpati::smtp {

using HeaderEdits = google::protobuf::RepeatedPtrField<filter::v1::HeaderEdit>;

/// Octets of the header block of `message`: its fields and the empty line. All of it when there is no empty line.
std::size_t header_size(std::string_view message);
/// The fields to prepend, each with CRLF, in the edits' order.
std::string prepended(const HeaderEdits& edits);
/// Do the edits delete or replace anything, so that the body of the message has to change?
bool edits_body(const HeaderEdits& edits);
/// The header block after deletions and replacements; nothing else in it changes by an octet.
std::string edit_header(std::string_view header, const HeaderEdits& edits);

}  // namespace merpati::smtp
