// What the attachments of a message are, what is in its archives, and what the operator's lists say of that.
#pragma once

#include <chrono>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "filter/archive_reader.hpp"
#include "filter/engine.hpp"

namespace merpati::filter {

/// Kinds and extensions, of attachments and of files in archives.
struct AttachmentList {
  std::set<AttachmentKind> kinds;
  std::set<std::string, std::less<>> extensions;  ///< lower case, without dot

  /// Of words: "executable" (name_of()) is a kind, ".xyz" an extension. kInvalidArgument says which word is neither.
  static Result<AttachmentList> parse(std::span<const std::string> words);
};

struct AttachmentPolicy {
  AttachmentList refuse{{AttachmentKind::kExecutable, AttachmentKind::kScript}, {}};
  AttachmentList junk{{AttachmentKind::kDiskImage}, {}};
  ArchiveLimits archives;
  bool open_archives = true;
  std::chrono::milliseconds time{5000};  ///< for one message's archives
};

/// Whether check_attachments() would look at anything: text that is no attachment is none. Linear in the message's
/// size.
bool has_attachments(std::string_view message);

/// Linear in the message's size but for archives, which cost up to `policy.time`. Any thread.
Findings check_attachments(std::string_view message, const AttachmentPolicy& policy);

}  // namespace merpati::filter
