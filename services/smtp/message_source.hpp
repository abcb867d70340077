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
  void prepend(std::string_view fields) { header_.insert(0, fields); }
  std::uint64_t size() const { return header_.size() + (buffer_->size() - skip_); }
  bool is_small() const { return size() <= kInlineLimit; }

  /// The whole message; only when it is small. The second form gives the octets away.
  std::string whole(std::string_view header) const;
  std::string take_whole();
  /// Uploads it with the header block given and returns the blob's id.
  Task<std::string> upload(Site& site, std::string_view header, const rpc::CallOptions& options) const;

 private:
  Task<std::string> upload_once(Site& site, std::string_view header, const rpc::CallOptions& options) const;
  MessageBuffer* buffer_;
  std::string header_;
  std::uint64_t skip_ = 0;  ///< octets of the buffer that header_ has
};

}  // namespace merpati::smtp
