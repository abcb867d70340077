// ContentReader: octets of messages for FETCH. What is wanted next is asked for together; what is large is streamed.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "imap/sections.hpp"
#include "imap/session.hpp"

namespace merpati::imap {

class ContentReader {
 public:
  /// Longer ranges are streamed to the client, shorter ones are read in batches.
  static constexpr std::uint64_t kSmall = 60 * 1024;

  explicit ContentReader(Session& session) : session_(session) {}
  /// Says what will be read, in order. Ranges above kSmall or empty are not remembered.
  void plan(std::uint32_t uid, OctetRange range);
  void forget_plan();
  /// The octets of a small range. kNotFound when the message is gone.
  Task<std::string> read(std::uint32_t uid, OctetRange range);
  /// Calls consume(chunk) for a range of any size, in order. kDataLoss when fewer octets come than were promised.
  template <class Consume>
  Task<void> stream(std::uint32_t uid, OctetRange range, Consume& consume) {
    MERPATI_CO_TRY(auto reader, co_await open(uid, range));
    std::uint64_t left = range.length;
    while (left > 0) {
      MERPATI_CO_TRY(auto chunk, co_await reader->read());
      if (!chunk) co_return Error(ErrorCode::kDataLoss, "content ended early");
      if (chunk->chunk().size() > left) co_return Error(ErrorCode::kDataLoss, "more content than asked for");
      left -= chunk->chunk().size();
      MERPATI_CO_CHECK(co_await consume(chunk->chunk()));
    }
    co_return Result<void>();
  }

 private:
  using Stream = rpc::Reader<pb::StreamContentResponse>;
  struct Wanted {
    std::uint32_t uid;
    OctetRange range;
    std::string octets;
    bool read = false;
  };
  Task<std::unique_ptr<Stream>> open(std::uint32_t uid, OctetRange range);
  Task<void> read_ahead();

  Session& session_;
  std::deque<Wanted> wanted_;
};

}  // namespace merpati::imap
