// RowReader: rows of messages from the store in uid order, in chunks: one call for few, a stream for many.
#pragma once

#include <memory>
#include <optional>

#include "imap/convert.hpp"
#include "imap/session.hpp"
#include "merpati/rpc/reader_writer.hpp"

namespace merpati::imap {

class RowReader {
 public:
  /// `uids` must not be empty (the store would take that for all).
  RowReader(Session& session, Ranges uids, pb::FetchMask mask, std::uint64_t changed_since = 0);
  ~RowReader();
  /// Nothing at the end. A chunk may be empty.
  Task<std::optional<pb::FetchMessagesResponse>> next();

 private:
  Task<std::optional<pb::FetchMessagesResponse>> next_page();
  Session& session_;
  pb::FetchMessagesRequest request_;
  Ranges uids_;
  bool streamed_;
  bool done_ = false;
  std::unique_ptr<rpc::Reader<pb::FetchMessagesResponse>> stream_;
};

}  // namespace merpati::imap
