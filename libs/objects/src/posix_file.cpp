#include "posix_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace merpati::objects {

Error file_error(int number, std::string_view action, std::string_view path) {
  auto code = ErrorCode::kInternal;
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      code = ErrorCode::kResourceExhausted;
      break;
    case ENOENT:
      code = ErrorCode::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
      code = ErrorCode::kFailedPrecondition;
      break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
    case ESTALE:
      code = ErrorCode::kUnavailable;
      break;
    default:
      break;
  }
  return Error(code, std::string(action) + " " + std::string(path) + ": " + std::generic_category().message(number));
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<File> File::open(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (descriptor < 0) return file_error(errno, "open", path);
  return File(descriptor);
}

Result<void> File::write_all(std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return file_error(errno, "write", path);
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> File::sync(const std::string& path) {
  if (::fsync(descriptor_) != 0) return file_error(errno, "fsync", path);
  return {};
}

Result<std::string> File::read_at(std::uint64_t offset, std::size_t length, const std::string& path) {
  std::string out(length, '\0');
  std::size_t have = 0;
  while (have < length) {
    const auto count = ::pread(descriptor_, out.data() + have, length - have, static_cast<off_t>(offset + have));
    if (count < 0) {
      if (errno == EINTR) continue;
      return file_error(errno, "read", path);
    }
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  out.resize(have);
  return out;
}

Result<void> File::close(const std::string& path) {
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0 && errno != EINTR) return file_error(errno, "close", path);
  return {};
}

Result<void> sync_directory(const std::string& path) {
  MERPATI_TRY(auto directory, File::open(path, O_RDONLY | O_DIRECTORY));
  return directory.sync(path);
}

}  // namespace merpati::objects
