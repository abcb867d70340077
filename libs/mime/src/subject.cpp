#include "merpati/mime/subject.hpp"

#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::mime {
namespace {
// RFC 5256 2.1 (1): tabs become spaces, runs of spaces one.
std::string collapse(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\t' || c == '\r' || c == '\n') c = ' ';
    if (c != ' ' || !out.ends_with(' ')) out.push_back(c);
  }
  return out;
}

// subj-blob = "[" *BLOBCHAR "]" *WSP. The length, 0 when there is none.
std::size_t blob_size(std::string_view text) {
  if (!text.starts_with('[')) return 0;
  const std::size_t end = text.find_first_of("[]", 1);
  if (end == std::string_view::npos || text[end] != ']') return 0;
  std::size_t size = end + 1;
  while (size < text.size() && text[size] == ' ') ++size;
  return size;
}

// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
std::size_t refwd_size(std::string_view text) {
  std::size_t size = 0;
  if (iequals(text.substr(0, 2), "re"))
    size = 2;
  else if (iequals(text.substr(0, 3), "fwd"))
    size = 3;
  else if (iequals(text.substr(0, 2), "fw"))
    size = 2;
  else
    return 0;
  while (size < text.size() && text[size] == ' ') ++size;
  size += blob_size(text.substr(size));
  return size < text.size() && text[size] == ':' ? size + 1 : 0;
}

// subj-leader = (*subj-blob subj-refwd) / WSP
bool remove_leader(std::string_view& text, bool& reply) {
  if (text.starts_with(' ')) {
    text.remove_prefix(1);
    return true;
  }
  std::size_t at = 0;
  while (const std::size_t blob = blob_size(text.substr(at))) at += blob;
  const std::size_t refwd = refwd_size(text.substr(at));
  if (refwd == 0) return false;
  text.remove_prefix(at + refwd);
  reply = true;
  return true;
}
}  // namespace

BaseSubject base_subject(std::string_view subject) {
  BaseSubject out;
  const std::string text = collapse(decode_encoded_words(subject));
  std::string_view rest = text;
  for (bool again = true; again;) {
    again = false;
    // (2) trailing "(fwd)" and white space
    for (;;) {
      if (rest.ends_with(' ')) {
        rest.remove_suffix(1);
      } else if (rest.size() >= 5 && iequals(rest.substr(rest.size() - 5), "(fwd)")) {
        rest.remove_suffix(5);
        out.is_reply_or_forward = true;
      } else {
        break;
      }
    }
    // (3) to (5) leaders, and a blob when something is left after it
    for (bool changed = true; changed;) {
      changed = false;
      while (remove_leader(rest, out.is_reply_or_forward)) changed = true;
      const std::size_t blob = blob_size(rest);
      if (blob > 0 && blob < rest.size()) {
        rest.remove_prefix(blob);
        changed = true;
      }
    }
    // (6) "[fwd: ...]"
    if (rest.size() >= 6 && iequals(rest.substr(0, 5), "[fwd:") && rest.ends_with(']')) {
      rest.remove_prefix(5);
      rest.remove_suffix(1);
      out.is_reply_or_forward = true;
      again = true;
    }
  }
  out.text = std::string(rest);
  return out;
}

}  // namespace merpati::mime
