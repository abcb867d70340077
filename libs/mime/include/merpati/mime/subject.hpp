// The base subject (RFC 5256 2.1), by which SORT orders and threads are joined.
#pragma once

#include <string>
#include <string_view>

namespace merpati::mime {

struct BaseSubject {
  std::string text;                  ///< UTF-8, not case folded
  bool is_reply_or_forward = false;  ///< something like "Re:", "Fwd:" or "(fwd)" was removed
};

/// Takes the raw (unfolded, still encoded) Subject.
BaseSubject base_subject(std::string_view subject);

}  // namespace merpati::mime
