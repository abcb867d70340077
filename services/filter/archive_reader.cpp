#include "filter/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <memory>
#include <vector>

namespace merpati::filter {
namespace {

constexpr std::uint64_t kHarmless = 10 << 20;  // octets: no ratio makes a bomb of less
constexpr std::size_t kBlock = 64 * 1024;      // octets
constexpr std::size_t kFew = 3;                // files of which it is told how many there are

/// libarchive reads names by the thread's locale.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t kUtf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (kUtf8 != nullptr) before_ = uselocale(kUtf8);
  }
  ~Utf8Locale() {
    if (before_ != nullptr) uselocale(before_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t before_ = nullptr;
};

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

/// One format, and of compressed files one layer: what is below comes back as a file and counts.
bool choose_format(archive* from, Container container) {
  const auto layer = [&](int filter) {
    return archive_read_support_format_raw(from) == ARCHIVE_OK &&
           archive_read_append_filter(from, filter) == ARCHIVE_OK;
  };
  switch (container) {
    case Container::kZip:
      return archive_read_support_format_zip_seekable(from) == ARCHIVE_OK;
    case Container::kTar:
      return archive_read_support_format_tar(from) == ARCHIVE_OK;
    case Container::kGzip:
      return layer(ARCHIVE_FILTER_GZIP);
    case Container::kBzip2:
      return layer(ARCHIVE_FILTER_BZIP2);
    case Container::kXz:
      return layer(ARCHIVE_FILTER_XZ);
    case Container::kZstd:
      return layer(ARCHIVE_FILTER_ZSTD);
    case Container::kNone:
    case Container::kForeign:
      break;
  }
  return false;
}

bool is_opened(Container container) { return container != Container::kNone && container != Container::kForeign; }

/// libarchive reads a zip's whole directory before it tells of the first file.
bool has_more_files(std::string_view zip, std::size_t most) {
  constexpr std::string_view kDirectoryEntry = "PK\x01\x02";
  std::size_t count = 0;
  for (auto at = zip.find(kDirectoryEntry); at != std::string_view::npos; at = zip.find(kDirectoryEntry, at + 4))
    if (++count > most) return true;
  return false;
}

/// "notes.txt" of "notes.txt.gz".
std::string name_inside(std::string_view name) {
  const auto extension = extension_of(name);
  std::string inside(name.substr(0, name.rfind('.')));
  if (extension == "tgz" || extension == "tbz" || extension == "tbz2" || extension == "txz" || extension == "tzst")
    inside += ".tar";
  return inside;
}

std::string path_of(archive_entry* entry) {
  if (const char* utf8 = archive_entry_pathname_utf8(entry)) return utf8;
  const char* raw = archive_entry_pathname(entry);
  return raw == nullptr ? std::string() : raw;
}

bool makes_a_document(std::string_view path) { return path == "[Content_Types].xml" || path == "mimetype"; }

}  // namespace

/// The files of one archive: the first ones wait until it is known how many there are.
class ArchiveReader::Level {
 public:
  explicit Level(const Visit& visit) : visit_(visit) {}
  void add(ArchivedFile file) {
    ++count_;
    if (count_ <= kFew) return first_.push_back(std::move(file));
    flush();
    file.files_beside = count_ - 1;
    visit_(file);
  }
  void flush() {
    for (ArchivedFile& file : first_) {
      file.files_beside = count_ - 1;
      visit_(file);
    }
    first_.clear();
  }

 private:
  const Visit& visit_;
  std::size_t count_ = 0;
  std::vector<ArchivedFile> first_;
};

ArchiveReport ArchiveReader::read(std::string_view content, Container container, std::string_view name,
                                  const Visit& visit) {
  const Utf8Locale locale;
  report_ = {};
  octets_here_ = 0;
  size_here_ = content.size();
  visit_ = &visit;
  if (content.size() > limits_.max_size)
    report_.end = ArchiveEnd::kSize;
  else
    open(content, container, name, 1);
  return report_;
}

void ArchiveReader::open(std::string_view content, Container container, std::string_view name, std::uint32_t depth) {
  if (depth > limits_.max_depth) {
    report_.end = ArchiveEnd::kDepth;
    return;
  }
  if (container == Container::kZip && has_more_files(content, limits_.max_files)) {
    report_.end = ArchiveEnd::kFiles;
    return;
  }
  const Archive from(archive_read_new(), archive_read_free);
  const bool opened = from && choose_format(from.get(), container) &&
                      archive_read_open_memory(from.get(), content.data(), content.size()) >= ARCHIVE_WARN;
  if (opened)
    walk(from.get(), container, name, depth);
  else
    report_.unreadable = true;
}

void ArchiveReader::walk(archive* from, Container container, std::string_view name, std::uint32_t depth) {
  const bool one_file = container != Container::kZip && container != Container::kTar;
  Level level(*visit_);
  for (archive_entry* entry = nullptr; !ended();) {
    const int got = archive_read_next_header(from, &entry);
    if (got == ARCHIVE_EOF) break;
    if (got < ARCHIVE_WARN) {
      report_.unreadable = true;
      break;
    }
    if (++files_ > limits_.max_files) report_.end = ArchiveEnd::kFiles;
    if (ended() || !unpacked(0)) break;
    if (archive_entry_filetype(entry) == AE_IFDIR) continue;
    ArchivedFile file;
    file.path = one_file ? name_inside(name) : path_of(entry);
    file.encrypted = archive_entry_is_encrypted(entry) != 0;
    if (depth == 1 && makes_a_document(file.path)) report_.document = true;
    const std::string content = file.encrypted ? std::string() : content_of(from, file);
    file.unreadable = file.type.container == Container::kForeign;
    report_.encrypted = report_.encrypted || file.encrypted;
    const auto extension = extension_of(file.path);
    file.by_name = file.encrypted ? kind_of_extension(extension) : kind_of_name(extension, content);
    if (file.path.ends_with("vbaProject.bin")) file.by_name = AttachmentKind::kMacros;
    const Container inside = file.type.container;
    const std::string path = file.path;
    level.add(std::move(file));
    if (!ended() && is_opened(inside)) open(content, inside, path, depth + 1);
  }
  level.flush();
}

/// Reads to the file's end, so that its octets count; keeps them when it is an archive itself, else the first ones.
std::string ArchiveReader::content_of(archive* from, ArchivedFile& file) {
  buffer_.resize(kBlock);
  std::string content;
  bool keep = true;
  for (;;) {
    const auto count = archive_read_data(from, buffer_.data(), buffer_.size());
    if (count < 0) report_.unreadable = true;
    if (count <= 0 || !unpacked(static_cast<std::size_t>(count))) break;
    if (!keep) continue;
    content.append(buffer_, 0, static_cast<std::size_t>(count));
    if (content.size() >= kTypeOctets) keep = is_opened(content_type(content).container);
  }
  file.type = content_type(content);
  return content;
}

bool ArchiveReader::unpacked(std::size_t octets) {
  octets_ += octets;
  octets_here_ += octets;
  if (octets_here_ > kHarmless && octets_here_ > size_here_ * limits_.max_ratio)
    report_.end = ArchiveEnd::kRatio;
  else if (octets_ > limits_.max_unpacked)
    report_.end = ArchiveEnd::kSize;
  else if (std::chrono::steady_clock::now() > until_)
    report_.end = ArchiveEnd::kTime;
  return !ended();
}

}  // namespace merpati::filter
