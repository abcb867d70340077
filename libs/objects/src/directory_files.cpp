#include "directory_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "merpati/base/encoding.hpp"
#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"

namespace merpati::objects {
namespace {

std::string file_name_of(std::string key) {
  std::replace(key.begin(), key.end(), '/', '+');
  return key;
}

std::string key_of(std::string file_name) {
  std::replace(file_name.begin(), file_name.end(), '+', '/');
  return file_name;
}

std::string fan_out_of(const std::string& key) { return to_hex(sha256(key)).substr(0, 3); }

std::size_t number_of(const std::string& fan_out) { return std::stoul(fan_out, nullptr, 16); }

WallTime modified_of(const struct stat& status) { return std::chrono::system_clock::from_time_t(status.st_mtime); }

/// The names in a directory, sorted; none when it does not exist.
Result<std::vector<std::string>> names_in(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  std::vector<std::string> names;
  if (!directory) {
    if (errno == ENOENT) return names;
    return file_error(errno, "read directory", path);
  }
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get()))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  if (errno != 0) return file_error(errno, "read directory", path);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

DirectoryFiles::DirectoryFiles(std::filesystem::path root, std::uint64_t answer_limit)
    : objects_((root / "objects").string()), drafts_((root / "tmp").string()), answer_limit_(answer_limit) {}

std::string DirectoryFiles::folder_of(const std::string& key) const { return objects_ + "/" + fan_out_of(key); }
std::string DirectoryFiles::path_of(const std::string& key) const { return folder_of(key) + "/" + file_name_of(key); }

Result<void> DirectoryFiles::prepare() {
  for (const auto& path : {objects_, drafts_}) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error)
      return Error(ErrorCode::kFailedPrecondition, "cannot make the directory " + path + ": " + error.message());
  }
  MERPATI_CHECK(sync_directory(std::filesystem::path(objects_).parent_path().string()));
  return check();
}

Result<void> DirectoryFiles::check() {
  for (const auto& path : {objects_, drafts_})
    if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0)
      return Error(ErrorCode::kFailedPrecondition,
                   "cannot use the directory " + path + ": " + std::generic_category().message(errno));
  return {};
}

Result<void> DirectoryFiles::make_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0750) == 0 || errno == EEXIST) return {};
  return file_error(errno, "make directory", folder);
}

Result<void> DirectoryFiles::sync_folder(const std::string& fan_out) {
  MERPATI_CHECK(sync_directory(objects_ + "/" + fan_out));
  // Another thread, or a process that was killed, may have made the folder and not have synced its name.
  auto& synced = synced_[number_of(fan_out)];
  if (synced) return {};
  MERPATI_CHECK(sync_directory(objects_));
  synced = true;
  return {};
}

Result<std::unique_ptr<DirectoryFiles::Draft>> DirectoryFiles::Draft::make(DirectoryFiles& files) {
  std::unique_ptr<Draft> draft(new Draft(files));
  const auto path = files.drafts_ + "/" + new_uuid();
  MERPATI_TRY(draft->file_, File::open(path, O_WRONLY | O_CREAT | O_EXCL));
  draft->path_ = path;
  return draft;
}

DirectoryFiles::Draft::~Draft() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<void> DirectoryFiles::Draft::publish(const std::string& key) {
  MERPATI_CHECK(file_.sync(path_));
  MERPATI_CHECK(file_.close(path_));
  MERPATI_FAIL_POINT("objects_before_rename");
  const auto folder = files_.folder_of(key), target = files_.path_of(key);
  // The folder exists but for the first object in it: try the rename first.
  if (::rename(path_.c_str(), target.c_str()) != 0) {
    if (errno != ENOENT) return file_error(errno, "rename to", target);
    MERPATI_CHECK(files_.make_folder(folder));
    if (::rename(path_.c_str(), target.c_str()) != 0) return file_error(errno, "rename to", target);
  }
  path_.clear();
  MERPATI_FAIL_POINT("objects_after_rename");
  return files_.sync_folder(fan_out_of(key));
}

Result<void> DirectoryFiles::put(const std::string& key, std::string_view bytes) {
  MERPATI_TRY(auto draft, Draft::make(*this));
  MERPATI_CHECK(draft->write(bytes));
  return draft->publish(key);
}

Result<std::string> DirectoryFiles::get(const std::string& key, Range range) {
  const auto path = path_of(key);
  MERPATI_TRY(auto file, File::open(path, O_RDONLY));
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) return file_error(errno, "stat", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (range.offset > size || (range.offset == size && size > 0 && range.length > 0))
    return Error(ErrorCode::kOutOfRange, "the range starts behind the end of " + key);
  const auto length = std::min(range.length, size - range.offset);
  if (length > answer_limit_) return Error(ErrorCode::kResourceExhausted, "too large to read at once: " + key);
  MERPATI_TRY(auto bytes, file.read_at(range.offset, length, path));
  if (bytes.size() != length) return Error(ErrorCode::kDataLoss, "shorter than its size: " + path);
  return bytes;
}

Result<ObjectInfo> DirectoryFiles::head(const std::string& key) {
  const auto path = path_of(key);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return file_error(errno, "stat", path);
  return ObjectInfo{key, static_cast<std::uint64_t>(status.st_size), modified_of(status)};
}

Result<void> DirectoryFiles::remove(const std::string& key) {
  const auto path = path_of(key);
  // Not synced: a removal that a power cut undoes is found again by the collector.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return file_error(errno, "remove", path);
  return {};
}

Result<ListPage> DirectoryFiles::list(const std::string& prefix, const std::string& continuation, std::size_t limit) {
  // A continuation is "HHH/FILE" of the last object given.
  const auto slash = continuation.find('/');
  const auto last_folder = continuation.substr(0, slash);
  const auto last_name = slash == std::string::npos ? "" : continuation.substr(slash + 1);
  const auto wanted = file_name_of(prefix);
  ListPage page;
  MERPATI_TRY(const auto folders, names_in(objects_));
  for (auto folder = std::lower_bound(folders.begin(), folders.end(), last_folder); folder != folders.end(); ++folder) {
    const auto path = objects_ + "/" + *folder;
    MERPATI_TRY(auto names, names_in(path));
    std::erase_if(names, [&](const std::string& name) { return !name.starts_with(wanted); });
    auto name = *folder == last_folder ? std::upper_bound(names.begin(), names.end(), last_name) : names.begin();
    for (; name != names.end(); ++name) {
      struct stat status {};
      if (::stat((path + "/" + *name).c_str(), &status) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        return file_error(errno, "stat", path + "/" + *name);
      }
      if (page.objects.size() == limit) {
        page.next = fan_out_of(page.objects.back().key) + "/" + file_name_of(page.objects.back().key);
        return page;
      }
      page.objects.push_back({key_of(*name), static_cast<std::uint64_t>(status.st_size), modified_of(status)});
    }
  }
  return page;
}

Result<std::size_t> DirectoryFiles::remove_abandoned(std::chrono::seconds age) {
  MERPATI_TRY(const auto names, names_in(drafts_));
  const auto oldest = std::chrono::system_clock::now() - age;
  std::size_t removed = 0;
  for (const auto& name : names) {
    const auto path = drafts_ + "/" + name;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || modified_of(status) > oldest) continue;
    if (::unlink(path.c_str()) == 0) ++removed;
  }
  return removed;
}

}  // namespace merpati::objects
