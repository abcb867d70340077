// A header block with the changes that milters ask for, one after the other, in the order in which they do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::milter {

/// Owns its fields.
class EditedHeader {
 public:
  struct Field {
    std::string name;  ///< empty: a line that is no field
    std::string raw;   ///< with its line ends
    bool deleted = false;

    /// Behind the colon, folded as it stands, without the last line end.
    std::string_view value() const;
  };

  /// `block` ends with the empty line, unless the message is nothing but a header.
  explicit EditedHeader(std::string_view block);

  /// How a milter's values begin: with the space behind the colon (SMFIP_HDR_LEADSPC), or without it.
  enum class Space : std::uint8_t { kOurs, kTheirs };
  /// Behind the last field.
  void add(std::string_view name, std::string_view value, Space space);
  /// In front of the index-th of the fields that are there, counted from 0; behind the last one when there are fewer.
  void insert(std::uint32_t index, std::string_view name, std::string_view value, Space space);
  /// The index-th field of this name, counted from 1 (0 means 1, too): deletes it when `value` is empty, else replaces
  /// it, or adds it where there is none. What was deleted is still counted, as Sendmail does, so that a milter may
  /// count in the message as it was sent to it.
  void change(std::uint32_t index, std::string_view name, std::string_view value, Space space);
  /// Deletes the fields that are neither kept nor to be seen by milters, before the first change: those of this name at
  /// these places, counted from 1.
  void drop(std::string_view name, const std::vector<std::size_t>& places);

  const std::vector<Field>& fields() const { return fields_; }
  bool changed() const { return changed_; }
  std::size_t size() const;
  /// The block in its present form, with an empty line where the body follows.
  std::string str() const;

 private:
  std::vector<Field> fields_;
  std::string end_;  ///< the empty line
  bool changed_ = false;
};

}  // namespace merpati::milter
