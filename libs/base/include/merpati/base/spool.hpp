// Spool: octets in an unnamed temporary file, for what is too large for memory and has to be seen as a whole.
#pragma once

#include <cstddef>
#include <string_view>

#include "merpati/base/result.hpp"

namespace merpati {

/// Used by one thread at a time. The file ends with the object. Errors are kUnavailable: the disk is full or not there.
class Spool {
 public:
  Spool() = default;
  ~Spool();
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&& other) noexcept;

  /// Makes the file, in $TMPDIR or /tmp.
  Result<void> open();
  Result<void> add(std::string_view octets);
  /// All of it, mapped; nothing is added afterwards. The view lives as long as the Spool.
  Result<std::string_view> view();
  std::size_t size() const { return size_; }

 private:
  int file_ = -1;
  std::size_t size_ = 0;
  void* map_ = nullptr;
};

}  // namespace merpati
