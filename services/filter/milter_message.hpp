// A message on its way through milters: as it came, with the changes of those that have seen it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"
#include "merpati/milter/edited_header.hpp"
#include "merpati/milter/response.hpp"

namespace merpati::filter {

struct MilterMessage {
  milter::EditedHeader header;
  std::string_view received_body;       ///< outlives this
  std::optional<std::string> new_body;  ///< in its place
  std::optional<std::string> reverse_path;
  std::vector<std::string> added_recipients, deleted_recipients;
  std::optional<std::string> quarantine;

  std::string_view body() const { return new_body ? std::string_view(*new_body) : received_body; }
};

/// The changes that one milter asks for, which count together or not at all.
class MilterChanges {
 public:
  /// How its header values begin, and how large a new body may become.
  MilterChanges(const MilterMessage& message, milter::EditedHeader::Space space, std::uint64_t most_body)
      : message_(message), space_(space), most_body_(most_body) {}

  /// kResourceExhausted when it asks for too much.
  Result<void> add(const milter::Response& change);
  /// What it asked for, in words, at most 500 octets.
  const std::string& words() const { return words_; }
  MilterMessage take() { return std::move(message_); }

 private:
  void note(std::string_view what, std::string_view detail);

  MilterMessage message_;
  const milter::EditedHeader::Space space_;
  const std::uint64_t most_body_;
  bool replaces_ = false;  ///< this milter has begun a new body
  std::size_t changes_ = 0;
  std::string words_;
};

}  // namespace merpati::filter
