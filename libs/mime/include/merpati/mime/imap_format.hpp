// ENVELOPE, BODY and BODYSTRUCTURE as they stand after their names in a FETCH response (RFC 9051 7.5.2).
#pragma once

#include <string>
#include <string_view>

#include "merpati/mime/summary.hpp"

namespace merpati::mime {

/// A quoted string, or a literal {n} when the text has CR, LF or 8-bit bytes. NUL is dropped: no form can carry it.
void append_imap_string(std::string_view text, std::string& out);

std::string render_envelope(const Envelope& envelope);
std::string render_body(const Part& root);           ///< without extension data
std::string render_bodystructure(const Part& root);  ///< with it

}  // namespace merpati::mime
