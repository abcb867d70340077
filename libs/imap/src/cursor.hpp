// Cursor: the terminals of the grammar (RFC 9051 9) over the bytes of one command. Every method returns false, with the
// reason kept, when the input does not fit; the position is then of no meaning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/imap/command.hpp"

namespace merpati::imap {

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  std::string_view rest() const { return text_.substr(at_); }
  std::size_t position() const { return at_; }
  void rewind(std::size_t position) { at_ = position; }
  const char* reason() const { return reason_; }
  bool fail(const char* reason) {
    if (reason_ == nullptr) reason_ = reason;
    return false;
  }

  /// Consumes `c` if it is next.
  bool maybe(char c) {
    if (peek() != c || at_end()) return false;
    ++at_;
    return true;
  }
  bool expect(char c, const char* reason) { return maybe(c) || fail(reason); }
  bool space() { return expect(' ', "Missing argument or space"); }
  bool end() { return at_end() || fail("Unexpected text after the command"); }
  /// Consumes `word` if it is next, in any case, and not followed by more of an atom.
  bool keyword(std::string_view word);
  bool keyword_or_fail(std::string_view word, const char* reason) { return keyword(word) || fail(reason); }

  /// 1*ATOM-CHAR. `upper` gives it in upper case.
  bool atom(std::string& out, bool upper = false);
  /// Like atom, with ']' (astring) but not '\\'.
  bool astring(std::string& out);
  /// quoted or literal.
  bool string(std::string& out);
  /// string or NIL (empty).
  bool nstring(std::string& out);
  /// list-mailbox: an astring that may hold '%' and '*'.
  bool list_mailbox(std::string& out);
  bool number(std::uint64_t& out, std::uint64_t most = 0xffffffffULL);
  bool nz_number(std::uint32_t& out);
  bool sequence_set(SequenceSet& out);
  /// "\Seen" or a keyword.
  bool flag(std::string& out);
  /// "(" flags ")", or bare flags when `parentheses_optional` (STORE).
  bool flag_list(std::vector<std::string>& out, bool parentheses_optional);
  /// date or quoted date: days since 1970-01-01.
  bool date(std::uint64_t& out);

 private:
  template <class Accept>
  std::string_view run(Accept accept) {
    const std::size_t from = at_;
    while (at_ < text_.size() && accept(static_cast<unsigned char>(text_[at_]))) ++at_;
    return text_.substr(from, at_ - from);
  }
  bool literal(std::string& out);
  bool quoted(std::string& out);
  bool sequence_number(std::uint32_t& out);

  std::string_view text_;
  std::size_t at_ = 0;
  const char* reason_ = nullptr;
};

bool is_atom_char(unsigned char c);
std::string to_upper(std::string_view text);
/// Days since 1970-01-01 of a civil date.
std::int64_t days_of(int year, unsigned month, unsigned day);
/// 1..12, 0 for none.
unsigned month_of(std::string_view name);

// The commands with a grammar of their own; each parses what follows "COMMAND SP".
bool parse_fetch(Cursor& in, FetchArguments& out);
bool parse_search(Cursor& in, SearchArguments& out);
bool parse_list(Cursor& in, ListArguments& out);
bool parse_status_items(Cursor& in, std::vector<StatusItem>& out);
bool parse_append(Cursor& in, AppendArguments& out);
bool parse_store(Cursor& in, StoreArguments& out);

}  // namespace merpati::imap
