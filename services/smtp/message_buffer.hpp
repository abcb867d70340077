// The octets of a message while it comes in: in memory at first, in a temporary file without a name past a threshold.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <string>

#include "merpati/base/task.hpp"

namespace merpati::smtp {

class MessageBuffer {
 public:
  MessageBuffer(std::uint64_t spill_above, std::string directory, asio::thread_pool& blocking)
      : spill_above_(spill_above), directory_(std::move(directory)), blocking_(&blocking) {}
  ~MessageBuffer();
  MessageBuffer(const MessageBuffer&) = delete;
  MessageBuffer& operator=(const MessageBuffer&) = delete;

  /// Where new octets are appended; call spill_if_large() after each piece.
  std::string& memory() { return memory_; }
  /// Moves memory to the file when it is above the threshold. kUnavailable when the disk is full.
  Task<void> spill_if_large();
  std::uint64_t size() const { return spilled_ + memory_.size(); }
  bool spilled() const { return file_ >= 0; }
  /// Forgets everything: the message is refused anyway.
  void drop();

  /// Octets from `offset`, at most `length`; for reading back.
  Task<std::string> read(std::uint64_t offset, std::size_t length) const;

 private:
  Result<void> append_to_file(const std::string& octets);
  std::uint64_t spill_above_;
  std::string directory_;
  asio::thread_pool* blocking_;
  std::string memory_;  ///< everything, or what stands behind the file's octets
  int file_ = -1;
  std::uint64_t spilled_ = 0;
};

}  // namespace merpati::smtp
