// DirectoryFiles: the blocking half of DirectoryStore; knows the layout on disk and the order of fsync and rename.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "merpati/objects/directory_store.hpp"
#include "posix_file.hpp"

namespace merpati::objects {

class DirectoryFiles {
 public:
  DirectoryFiles(std::filesystem::path root, std::uint64_t answer_limit);

  Result<void> prepare();
  Result<void> put(const std::string& key, std::string_view bytes);
  Result<std::string> get(const std::string& key, Range range);
  Result<ObjectInfo> head(const std::string& key);
  Result<void> remove(const std::string& key);
  Result<ListPage> list(const std::string& prefix, const std::string& continuation, std::size_t limit);
  Result<std::size_t> remove_abandoned(std::chrono::seconds age);
  Result<void> check();

  /// A file being written below tmp/; removed by its destructor unless published.
  class Draft {
   public:
    static Result<std::unique_ptr<Draft>> make(DirectoryFiles& files);
    ~Draft();
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    Result<void> write(std::string_view bytes) { return file_.write_all(bytes, path_); }
    /// fsync, rename to the key's place, fsync of that directory: durable and visible after it, not before.
    Result<void> publish(const std::string& key);

   private:
    explicit Draft(DirectoryFiles& files) : files_(files) {}
    DirectoryFiles& files_;
    std::string path_;  // empty once renamed
    File file_;
  };

 private:
  std::string folder_of(const std::string& key) const;
  std::string path_of(const std::string& key) const;
  Result<void> make_folder(const std::string& folder);
  /// What was renamed into the folder, and once in this object's life the folder itself.
  Result<void> sync_folder(const std::string& fan_out);

  const std::string objects_;
  const std::string drafts_;
  const std::uint64_t answer_limit_;
  std::array<std::atomic<bool>, 4096> synced_{};  ///< folders whose own name is known to be on disk
};

}  // namespace merpati::objects
