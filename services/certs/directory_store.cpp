#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "certs/secret_store.hpp"

namespace merpati::certs {
namespace {

namespace fs = std::filesystem;

Error failed(const std::string& path, const char* what) {
  return {ErrorCode::kUnavailable, fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Result<void> replace(const fs::path& path, const std::string& text) {
  const std::string fresh = path.string() + ".new";
  const bool secret = path.extension() == ".key";
  {
    const File file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0644));
    if (file.fd() < 0) return failed(fresh, "cannot be made");
    if (::write(file.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file.fd()) != 0)
      return failed(fresh, "cannot be written");
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "cannot be replaced");
  return {};
}

class DirectoryStore : public SecretStore {
 public:
  DirectoryStore(fs::path folder, int lock) : folder_(std::move(folder)), lock_(lock) {}

  Result<Secret> read(const std::string& name) override {
    Secret secret;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_ / name, error)) {
      if (!entry.is_regular_file(error) || entry.path().extension() == ".new") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      std::ostringstream text;
      text << in.rdbuf();
      if (!in) return failed(entry.path(), "cannot be read");
      secret.files[entry.path().filename()] = std::move(text).str();
    }
    return secret;
  }

  Result<void> write(const std::string& name, const Secret& secret) override {
    const auto folder = folder_ / name;
    std::error_code error;
    fs::create_directories(folder, error);
    // In the order of names: authorities (ca.crt) come before what they sign (tls.crt).
    for (const auto& [file, text] : secret.files) MERPATI_CHECK(replace(folder / file, text));
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (!secret.files.contains(entry.path().filename())) fs::remove(entry.path(), error);
    return {};
  }

 private:
  fs::path folder_;
  File lock_;
};

}  // namespace

Result<std::unique_ptr<SecretStore>> directory_store(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  const std::string path = folder + "/.lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return failed(path, "cannot be made");
  auto store = std::make_unique<DirectoryStore>(folder, lock);
  if (::flock(lock, LOCK_EX) != 0) return failed(path, "cannot be locked");
  return std::unique_ptr<SecretStore>(std::move(store));
}

}  // namespace merpati::certs
