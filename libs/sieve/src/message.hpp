// Message: the message as scripts see and edit it. Nothing is parsed before it is asked for.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/mime/summary.hpp"
#include "merpati/sieve/outcome.hpp"

namespace merpati::sieve {

/// The value of a field as scripts see it (RFC 5228 2.7.2): unfolded, encoded words decoded, trimmed.
std::string decoded_value(std::string_view raw);
/// Those in the value of a field.
std::vector<mime::Address> addresses_in(std::string_view raw);

class Message {
 public:
  struct Field {
    std::string_view name, value, raw;
    std::optional<std::string> decoded;
    bool plain = false;  ///< `value`, trimmed, is the decoded value already
    std::optional<std::vector<mime::Address>> addresses;
  };

  explicit Message(std::string_view raw) : raw_(raw) {}
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  /// The fields of the header as edited so far. Stays until the next edit.
  std::vector<Field>& fields();
  std::string_view decoded(Field& field);
  const std::vector<mime::Address>& addresses(Field& field);
  /// As it stands now, edits of the header not in it.
  std::string_view raw() const { return raw_; }
  const mime::Part& root_part();
  /// With its edits.
  std::uint64_t size();

  /// RFC 5293. `field` is "Name: value" folded, with CRLF.
  void add_field(std::string field, bool last);
  void delete_field(std::size_t index);

  /// The whole message in its present form, its parts renumbered from it.
  void become(std::string message);
  /// Its header with the edits.
  std::string header();
  bool header_edited() const { return header_edited_; }

  /// Index of the present form in `versions`, which grows when there were edits since the last call.
  std::size_t version(std::vector<Version>& versions);

  /// RFC 5173 5: what `body` tests. `content`: the types of :content; null for :text.
  const std::vector<std::string>& body_texts(const std::vector<std::string>* content);
  std::string_view raw_body();

 private:
  void split();

  std::string_view raw_;
  std::deque<std::string> owned_;
  std::vector<Field> fields_;
  bool split_ = false;
  bool header_edited_ = false, body_edited_ = false, changed_ = false;
  std::size_t header_size_ = 0;
  std::size_t version_ = 0;
  std::optional<mime::Parts> parts_;
  std::map<std::string, std::vector<std::string>> bodies_;
};

/// "Name: value" with CRLF, folded so that lines stay below 78 characters where there are blanks (RFC 5322 2.1.1), and
/// what is not ASCII as encoded words.
std::string make_field(std::string_view name, std::string_view value);

}  // namespace merpati::sieve
