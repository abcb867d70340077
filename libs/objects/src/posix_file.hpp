// Thin wrappers over the file calls that DirectoryStore needs: errno becomes an Error. Blocking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "merpati/base/result.hpp"

namespace merpati::objects {

/// What `errno` of `action` on `path` means to a caller of the store.
Error file_error(int number, std::string_view action, std::string_view path);

class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~File();
  static Result<File> open(const std::string& path, int flags);

  int descriptor() const { return descriptor_; }
  Result<void> write_all(std::string_view bytes, const std::string& path);
  Result<void> sync(const std::string& path);
  /// Up to `length` octets from `offset`; fewer only at the end.
  Result<std::string> read_at(std::uint64_t offset, std::size_t length, const std::string& path);
  /// Reports what a network file system only tells on close.
  Result<void> close(const std::string& path);

 private:
  int descriptor_ = -1;
};

Result<void> sync_directory(const std::string& path);

}  // namespace merpati::objects
