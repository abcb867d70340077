// Tag lists "a=b; c=d" of DKIM (RFC 6376 3.2), also of ARC and DMARC.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::mailauth {

class TagList {
 public:
  /// kInvalidArgument for what is no tag list, and for a tag that stands twice. At most 100 tags.
  static Result<TagList> parse(std::string_view text);
  /// The value without white space at its ends, folds as received.
  std::optional<std::string_view> find(std::string_view name) const;
  std::string_view get(std::string_view name, std::string_view otherwise = {}) const;
  const std::vector<std::pair<std::string_view, std::string_view>>& tags() const { return tags_; }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> tags_;  // views of the text
};

/// `text` without any white space, as base64 values and lists are read.
std::string without_space(std::string_view text);
/// Decimal digits only, at most 12 (RFC 6376 3.5 t=, x=, l=).
std::optional<long long> parse_number(std::string_view text);
/// Base64 that may be folded; padding may be missing.
std::optional<std::string> parse_base64(std::string_view text);
/// The pieces between `separator`, without white space at their ends.
std::vector<std::string_view> split_list(std::string_view text, char separator);

}  // namespace merpati::mailauth
