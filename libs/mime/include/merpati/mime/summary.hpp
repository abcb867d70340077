// Summary: what is known of a message after one pass over its bytes. Owned by the caller; holds no view into the bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/mime/address.hpp"
#include "merpati/mime/content_type.hpp"
#include "merpati/mime/date.hpp"

namespace merpati::mime {

/// A byte range of the message.
struct Span {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t end() const { return offset + size; }
  std::string_view of(std::string_view message) const { return message.substr(offset, size); }
  friend bool operator==(const Span&, const Span&) = default;
};

/// RFC 9051 7.5.2 ENVELOPE. Texts are unfolded but not decoded. `sender` and `reply_to` are as in the message: the
/// default (From) is applied when the envelope is rendered.
struct Envelope {
  std::optional<std::string> date;
  std::optional<std::string> subject;
  std::vector<Address> from, sender, reply_to, to, cc, bcc;
  std::optional<std::string> in_reply_to;
  std::optional<std::string> message_id;
};

/// A body part. Offsets count from the first byte of the outermost message.
struct Part {
  std::string type;       ///< lower case; "text" when the message does not say
  std::string subtype;    ///< lower case
  Parameters parameters;  ///< of Content-Type
  std::string encoding;   ///< Content-Transfer-Encoding in lower case, "7bit" when the message does not say
  std::optional<std::string> id, description, md5, location;
  std::optional<Disposition> disposition;
  std::vector<std::string> language;
  Span header;              ///< with the empty line that ends it
  Span body;                ///< without the line end that belongs to the boundary after it
  std::uint64_t lines = 0;  ///< line ends in the body
  /// Of message/rfc822 and message/global: the envelope of the message inside, whose root is children[0].
  std::unique_ptr<Envelope> envelope;
  std::vector<Part> children;
  std::string filename;     ///< of Content-Disposition, else Content-Type's name; UTF-8, empty when there is none
  bool attachment = false;  ///< what clients list as one

  bool is_multipart() const { return type == "multipart"; }
  bool is_message() const { return envelope != nullptr; }
};

struct Limits {
  std::size_t max_depth = 64;             ///< nested parts; a deeper one is shown as application/octet-stream
  std::size_t max_parts = 2000;           ///< in the whole message; the rest stays in the body of its multipart
  std::size_t max_addresses = 10'000;     ///< for each envelope
  std::size_t max_text = 64 * 1024;       ///< of one unfolded field value; the rest is cut off
  std::size_t max_header = 256 * 1024;    ///< octets of one header block that are read; the rest is not looked at
  std::size_t max_headers = 1024 * 1024;  ///< of all header blocks together, which bounds the summary's own size
  std::size_t preview_characters = 200;   ///< RFC 8970 3.1
};

/// The tree of body parts.
struct Parts {
  Part root;
  std::uint32_t part_count = 0;
  std::uint32_t depth = 0;  ///< 1 for a message without parts
  bool limited = false;     ///< a limit cut the tree
};

struct Summary : Parts {
  std::uint64_t size = 0;
  Envelope envelope;
  std::vector<std::string> references;   ///< References, else In-Reply-To's first id (RFC 5256 3); "<id>" each
  std::vector<std::string> message_ids;  ///< Message-ID as parsed, at most one
  std::optional<Date> date;
  std::string base_subject;  ///< RFC 5256 2.1, UTF-8
  bool subject_is_reply = false;
  std::string preview;  ///< RFC 8970: UTF-8, white space collapsed
  bool has_attachments = false;
  std::uint32_t received_count = 0;  ///< Received fields of the outermost header
  bool has_8bit_header = false;      ///< needs SMTPUTF8 or conversion
  bool has_8bit = false;             ///< in header or body
  bool is_binary = false;            ///< NUL, bare CR or bare LF: needs BINARYMIME
};

/// Never fails. Linear in the message's size. Any thread.
Summary summarize(std::string_view message, const Limits& limits = {});
/// The same without what the message's own header and text are read for.
Parts read_parts(std::string_view message, const Limits& limits = {});

/// What an IMAP section names (RFC 9051 6.4.5.1).
enum class SectionKind : std::uint8_t { kContent, kHeader, kText, kMime };

/// The part with this number, or null. An empty path is the root.
const Part* find_part(const Part& root, std::span<const std::uint32_t> path);
/// The bytes of a section, or nothing when the message has no such part (an empty string on the wire).
std::optional<Span> find_section(const Summary& summary, std::span<const std::uint32_t> path, SectionKind kind);

/// Decodes the body of a leaf part into UTF-8 text without markup, at most `max_bytes` of it. For previews.
std::string readable_text(std::string_view message, const Part& part, std::size_t max_bytes);

}  // namespace merpati::mime
