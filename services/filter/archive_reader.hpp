// Looks into archives by libarchive, bounded in depth, files, octets, ratio and time (ADR 20).
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "filter/attachment_types.hpp"

struct archive;

namespace merpati::filter {

/// For everything that one message carries, nested archives included.
struct ArchiveLimits {
  std::uint64_t max_size = 25 << 20;      ///< octets of an archive that is opened
  std::uint64_t max_unpacked = 64 << 20;  ///< octets
  std::uint32_t max_ratio = 250;          ///< unpacked octets to octets of the attachment, once there are some MiB
  std::uint32_t max_depth = 8;            ///< archives in archives; a .tar.gz counts two
  std::uint32_t max_files = 10'000;
};

/// Why the reading ended.
enum class ArchiveEnd : std::uint8_t { kWhole, kRatio, kDepth, kFiles, kSize, kTime };

/// A file in an archive.
struct ArchivedFile {
  std::string path;
  ContentType type;
  AttachmentKind by_name = AttachmentKind::kOther;
  bool encrypted = false;        ///< then `type` is not known
  bool unreadable = false;       ///< an archive of a foreign format, or a damaged one
  std::size_t files_beside = 0;  ///< in the same archive; of large ones those that came before
};

/// What was found out of one attachment.
struct ArchiveReport {
  ArchiveEnd end = ArchiveEnd::kWhole;
  bool encrypted = false;   ///< has a file that only a password opens
  bool unreadable = false;  ///< it is damaged
  bool document = false;    ///< an office document or the like, which is a zip inside
};

/// Reads archives of one message; several may follow each other, and share the limits. One thread.
class ArchiveReader {
 public:
  using Visit = std::function<void(const ArchivedFile&)>;
  ArchiveReader(const ArchiveLimits& limits, std::chrono::steady_clock::time_point until)
      : limits_(limits), until_(until) {}

  /// `visit` sees every file but folders. `name` is the attachment's, and names what a .gz has inside.
  ArchiveReport read(std::string_view content, Container container, std::string_view name, const Visit& visit);

 private:
  class Level;
  void open(std::string_view content, Container container, std::string_view name, std::uint32_t depth);
  void walk(archive* from, Container container, std::string_view name, std::uint32_t depth);
  std::string content_of(archive* from, ArchivedFile& file);

  bool ended() const { return report_.end != ArchiveEnd::kWhole; }
  /// Counts; false and the reason in the report when it is too much.
  bool unpacked(std::size_t octets);

  const ArchiveLimits limits_;
  const std::chrono::steady_clock::time_point until_;
  std::uint64_t files_ = 0;
  std::uint64_t octets_ = 0;
  std::uint64_t octets_here_ = 0;  ///< of the current attachment
  std::uint64_t size_here_ = 0;
  ArchiveReport report_;
  std::string buffer_;
  const Visit* visit_ = nullptr;
};

}  // namespace merpati::filter
