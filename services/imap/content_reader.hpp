// ContentReader: octets of messages for FETCH. What is wanted next is asked for together, and before the client's turn
// comes to it; what is large is streamed.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "imap/pending_reply.hpp"
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
  /// Calls consume(chunk) for a range of any size, in order. When the store that answers goes away, another one goes on
  /// where it ended. kDataLoss when fewer octets come than were promised.
  template <class Consume>
  Task<void> stream(std::uint32_t uid, OctetRange range, Consume& consume) {
    MERPATI_CO_TRY(auto reader, co_await open(uid, range, 0));
    std::uint64_t have = 0, begun_at = 0;
    while (have < range.length) {
      auto chunk = co_await reader->read();
      if (chunk.has_error() && chunk.error().code() == ErrorCode::kUnavailable && chunk.error().may_retry() &&
          have > begun_at) {
        begun_at = have;
        MERPATI_CO_TRY(reader, co_await open(uid, range, have));
        continue;
      }
      if (chunk.has_error()) co_return std::move(chunk).error();
      if (!chunk->has_value()) co_return Error(ErrorCode::kDataLoss, "content ended early");
      const std::string& octets = (*chunk)->chunk();
      if (octets.size() > range.length - have) co_return Error(ErrorCode::kDataLoss, "more content than asked for");
      have += octets.size();
      MERPATI_CO_CHECK(co_await consume(octets));
    }
    co_return Result<void>();
  }

 private:
  using Stream = rpc::Reader<pb::StreamContentResponse>;
  struct Wanted {
    std::uint32_t uid;
    OctetRange range;
    std::string octets;
    bool asked = false;  // part of a call under way
    bool read = false;
  };
  /// A call for some of what is wanted, each by its number in the order of the plan.
  struct Asked {
    StartedCall<pb::ReadContentResponse> call;
    std::vector<std::uint64_t> numbers;
  };
  Task<std::unique_ptr<Stream>> open(std::uint32_t uid, OctetRange range, std::uint64_t have);
  void ask();
  Task<void> take_answer();
  Task<std::string> read_alone(std::uint32_t uid, OctetRange range);

  Session& session_;
  std::deque<Wanted> wanted_;
  std::uint64_t first_ = 0;  // the number of wanted_.front()
  std::deque<Asked> asked_;  // in the order of their asking
};

}  // namespace merpati::imap
