// A received message as something that can be handed on: its header block apart, the rest in memory or in a file.
#pragma once

#include <string>
#include <string_view>

#include "merpati/rpc/channel.hpp"
#include "merpati/store/v1/store.pb.h"
#include "smtp/message_buffer.hpp"
#include "smtp/site.hpp"

namespace merpati::smtp {

/// Bodies up to this travel inside the request, larger ones as a blob (proto/merpati/store/v1/store.proto, Body).
inline constexpr std::uint64_t kInlineLimit = 64 * 1024;

class MessageSource {
 public:
  explicit MessageSource(MessageBuffer& buffer) : buffer_(&buffer) {}

  /// Reads the header block. Before anything else.
  Task<void> load_header();
  std::string_view header() const { return header_; }
  /// Puts whole fields before the message (what a submitted message lacked).
  void prepend(std::string_view fields) {
    header_.insert(0, fields);
    edited_ = edited_ || !fields.empty();
  }
  /// Another header block in place of the one that came.
  void set_header(std::string header) {
    header_ = std::move(header);
    edited_ = true;
  }
  /// Whether the header block is not as it came.
  bool edited() const { return edited_; }
  std::uint64_t size() const { return header_.size() + (buffer_->size() - skip_); }
  bool is_small() const { return size() <= kInlineLimit; }
  std::uint64_t body_size() const { return buffer_->size() - skip_; }
  /// Octets of the body, from `offset`; at most `length`.
  Task<std::string> read_body(std::uint64_t offset, std::size_t length) const {
    return buffer_->read(skip_ + offset, length);
  }

  /// The whole message; only when it is small. The second form gives the octets away.
  std::string whole(std::string_view header) const;
  std::string take_whole();
  /// Uploads it with the header block given and returns the blob's id.
  Task<std::string> upload(Site& site, std::string_view header, const rpc::CallOptions& options) const;

 private:
  Task<std::string> upload_once(Site& site, std::string_view header, const rpc::CallOptions& options) const;
  MessageBuffer* buffer_;
  std::string header_;
  std::uint64_t skip_ = 0;  ///< octets of the buffer that header_ stands for
  bool edited_ = false;     ///< header_ is not as it came
};

}  // namespace merpati::smtp
