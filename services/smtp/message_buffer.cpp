#include "smtp/message_buffer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace merpati::smtp {
namespace {

Error disk_error(const char* what) {
  return Error(ErrorCode::kUnavailable, std::string("spill file: ") + what + ": " + std::strerror(errno))
      .with_status("4.3.1");
}

}  // namespace

MessageBuffer::~MessageBuffer() {
  if (file_ >= 0) ::close(file_);
}

void MessageBuffer::drop() {
  std::string().swap(memory_);
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  spilled_ = 0;
}

Result<void> MessageBuffer::append_to_file(const std::string& octets) {
  if (file_ < 0) file_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ < 0) return disk_error("open");
  for (std::size_t done = 0; done < octets.size();) {
    const auto wrote = ::pwrite(file_, octets.data() + done, octets.size() - done, static_cast<off_t>(spilled_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return disk_error("write");
    done += static_cast<std::size_t>(wrote);
  }
  spilled_ += octets.size();
  return {};
}

Task<void> MessageBuffer::spill_if_large() {
  if (memory_.size() <= spill_above_) co_return Result<void>();
  auto write = [this] { return append_to_file(memory_); };
  MERPATI_CO_CHECK(co_await run_blocking(*blocking_, write));
  memory_.clear();
  co_return Result<void>();
}

Task<std::string> MessageBuffer::read(std::uint64_t offset, std::size_t length) const {
  length = static_cast<std::size_t>(std::min<std::uint64_t>(length, size() - std::min(size(), offset)));
  if (offset >= spilled_) co_return memory_.substr(static_cast<std::size_t>(offset - spilled_), length);
  const auto from_file = static_cast<std::size_t>(std::min<std::uint64_t>(length, spilled_ - offset));
  auto load = [file = file_, offset, from_file]() -> Result<std::string> {
    std::string out(from_file, '\0');
    for (std::size_t done = 0; done < from_file;) {
      const auto got = ::pread(file, out.data() + done, from_file - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return disk_error("read");
      done += static_cast<std::size_t>(got);
    }
    return out;
  };
  MERPATI_CO_TRY(auto out, co_await run_blocking(*blocking_, load));
  out.append(memory_, 0, length - from_file);
  co_return out;
}

}  // namespace merpati::smtp
