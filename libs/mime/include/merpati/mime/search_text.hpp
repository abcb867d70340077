// Substring search as IMAP SEARCH wants it: encoded text decoded, compared by i;unicode-casemap (RFC 5051).
#pragma once

#include <string>
#include <string_view>

#include "merpati/mime/charset.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::mime {

/// A folded needle. Cheap to copy; any thread.
class Needle {
 public:
  explicit Needle(std::string_view utf8);
  bool empty() const { return folded_.empty(); }
  const std::string& folded() const { return folded_; }

  /// In one field's raw value: encoded words decoded. An empty needle is in everything.
  bool in_field(std::string_view value) const;
  /// In any field of this name (SEARCH HEADER).
  bool in_header(std::string_view block, std::string_view name) const;
  /// In any field, names included (the header part of SEARCH TEXT).
  bool in_header_block(std::string_view block) const;
  /// In text that is decoded already.
  bool in_text(std::string_view utf8) const { return in_utf8(utf8); }
  /// In the text of the body: text parts decoded, and headers of messages inside (SEARCH BODY).
  bool in_body(std::string_view message, const Part& root) const;
  /// Header and body (SEARCH TEXT).
  bool in_message(std::string_view message, const Part& root) const;

 private:
  bool in_part(std::string_view message, const Part& part) const;
  bool in_utf8(std::string_view text) const;
  std::string folded_;
};

/// Looks for a needle in the body of one text part that comes in pieces.
class TextSearch {
 public:
  /// `part` gives charset and encoding. The needle outlives the search.
  TextSearch(const Needle& needle, const Part& part);
  /// True once the needle was found; `last` with the last piece.
  bool feed(std::string_view piece, bool last);

 private:
  const Needle& needle_;
  bool readable_;
  TransferDecoder transfer_;
  CharsetDecoder charset_;
  std::string window_;
  bool found_ = false;
};

}  // namespace merpati::mime
