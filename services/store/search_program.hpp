// A search program (RFC 9051 6.4.4), made once from the contract's form and asked for each message.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::store::v1 {
class MessageSummary;
class SearchKey;
}  // namespace merpati::store::v1

namespace merpati::store {

/// What a message's row tells without its octets.
struct SearchRow {
  std::uint32_t uid = 0;
  int flags = 0;
  std::vector<std::string_view> keywords;
  std::uint64_t modseq = 0;
  std::int64_t received_seconds = 0;  ///< Unix
  int zone_minutes = 0;               ///< of received_seconds
  std::int64_t saved_seconds = 0;
  std::uint64_t size = 0;
  std::int64_t email_id = 0;
  std::int64_t thread_id = 0;
  const v1::MessageSummary* summary = nullptr;  ///< when the program needs it
};

/// The octets of one message, or those ranges of it that a search reads.
class SearchText {
 public:
  virtual ~SearchText() = default;
  /// The whole header as BODY[HEADER] shows it.
  virtual std::string_view header() const = 0;
  /// A range of the blob (header_prefix not counted).
  virtual std::string_view range(std::uint64_t offset, std::uint64_t size) const = 0;
};

enum class Truth : std::uint8_t { kNo, kYes, kUnknown };

class SearchProgram {
 public:
  /// kInvalidArgument when it is malformed, or too large.
  static Result<SearchProgram> make(const v1::SearchKey& key);
  SearchProgram(SearchProgram&&) noexcept;
  ~SearchProgram();

  /// The rows' summaries are needed.
  bool needs_summary() const;
  /// Body parts are needed, not the header alone, when a row does not decide.
  bool needs_body() const;
  /// Only these uids can match.
  std::uint32_t lowest_uid() const;
  std::uint32_t highest_uid() const;

  /// Without `text`: kUnknown when only the octets decide. Any thread. `now` in Unix seconds.
  Truth test(const SearchRow& row, std::int64_t now, const SearchText* text) const;

  struct Node;

 private:
  explicit SearchProgram(std::unique_ptr<Node> root);
  std::unique_ptr<Node> root_;
};

}  // namespace merpati::store
