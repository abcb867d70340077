#include "merpati/base/spool.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace merpati {

Spool::~Spool() {
  if (map_) ::munmap(map_, size_);
  if (file_ >= 0) ::close(file_);
}

Spool::Spool(Spool&& other) noexcept
    : file_(std::exchange(other.file_, -1)), size_(other.size_), map_(std::exchange(other.map_, nullptr)) {}

Spool& Spool::operator=(Spool&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(size_, other.size_);
  std::swap(map_, other.map_);
  return *this;
}

Result<void> Spool::open() {
  const char* folder = std::getenv("TMPDIR");
  file_ = ::open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ < 0) return Error(ErrorCode::kUnavailable, "cannot make a temporary file");
  return {};
}

Result<void> Spool::add(std::string_view octets) {
  while (!octets.empty()) {
    const auto wrote = ::write(file_, octets.data(), octets.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Error(ErrorCode::kUnavailable, "cannot write to a temporary file");
    octets.remove_prefix(static_cast<std::size_t>(wrote));
    size_ += static_cast<std::size_t>(wrote);
  }
  return {};
}

Result<std::string_view> Spool::view() {
  if (size_ == 0) return std::string_view();
  if (map_ == nullptr) {
    map_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file_, 0);
    if (map_ == MAP_FAILED) {
      map_ = nullptr;
      return Error(ErrorCode::kUnavailable, "cannot map a temporary file");
    }
  }
  return std::string_view(static_cast<const char*>(map_), size_);
}

}  // namespace merpati
