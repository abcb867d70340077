#include "filter/attachment_checks.hpp"

#include <algorithm>

#include "filter/printable.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kMostDetail = 300;  // octets
constexpr std::size_t kLongestName = 80;  // octets of a file's name that are told
// Scripts of web sites are in many archives; one that is alone is there to be opened.
constexpr std::size_t kFewFiles = 3;

struct KindRow {
  AttachmentKind kind;
  const char* symbol;
  double score;
  const char* what;
};
constexpr KindRow kKinds[] = {
    {AttachmentKind::kExecutable, "ATTACHMENT_EXECUTABLE", 5, "a program"},
    {AttachmentKind::kScript, "ATTACHMENT_SCRIPT", 4, "a script"},
    {AttachmentKind::kShellScript, "ATTACHMENT_SHELL_SCRIPT", 0.5, "a shell script"},
    {AttachmentKind::kDiskImage, "ATTACHMENT_DISK_IMAGE", 2, "a disk image"},
    {AttachmentKind::kMacros, "ATTACHMENT_MACROS", 1, "a document with macros"},
    {AttachmentKind::kArchive, "ATTACHMENT_ARCHIVE", 0, "an archive"},
    {AttachmentKind::kEncryptedArchive, "ARCHIVE_ENCRYPTED", 1, "an archive with a password"},
    {AttachmentKind::kUnopenedArchive, "ARCHIVE_UNOPENED", 0.5, "an archive that cannot be looked into"},
};

struct EndRow {
  ArchiveEnd end;
  const char* symbol;
  double score;
  bool refuse;
  bool not_checked;
};
constexpr EndRow kEnds[] = {
    {ArchiveEnd::kRatio, "ARCHIVE_BOMB", 0, true, false},   {ArchiveEnd::kDepth, "ARCHIVE_DEPTH", 0, true, false},
    {ArchiveEnd::kFiles, "ARCHIVE_FILES", 1, false, false}, {ArchiveEnd::kSize, "ARCHIVE_SIZE", 0, false, true},
    {ArchiveEnd::kTime, "ARCHIVE_TIME", 1, false, false},
};

bool is_candidate(const mime::Part& part) {
  return part.children.empty() && (part.type != "text" || part.attachment || !part.filename.empty());
}

bool any_candidate(const mime::Part& part) {
  return is_candidate(part) || std::ranges::any_of(part.children, any_candidate);
}

/// The extension is what matters.
std::string told(std::string_view name) {
  return name.empty() ? "(no name)" : printable(name, kLongestName, Keep::kEnd);
}

/// As many octets of the encoded form as have `octets` decoded ones.
std::string decoded_start(const mime::Part& part, std::string_view message, std::size_t octets) {
  const auto encoding = mime::encoding_from_name(part.encoding).value_or(mime::Encoding::kIdentity);
  const auto raw = part.body.of(message);
  const auto enough = encoding == mime::Encoding::kIdentity ? octets : octets * 3 + 1024;
  return mime::decode_transfer(encoding, raw.substr(0, enough));
}

std::string decoded(const mime::Part& part, std::string_view message) {
  const auto encoding = mime::encoding_from_name(part.encoding).value_or(mime::Encoding::kIdentity);
  return mime::decode_transfer(encoding, part.body.of(message));
}

class AttachmentCheck {
 public:
  AttachmentCheck(std::string_view message, const AttachmentPolicy& policy)
      : message_(message), policy_(policy), reader_(policy.archives, std::chrono::steady_clock::now() + policy.time) {}

  void visit(const mime::Part& part) {
    for (const mime::Part& child : part.children) visit(child);
    if (is_candidate(part)) look_at(part);
  }
  Findings findings() && { return std::move(findings_); }

 private:
  void look_at(const mime::Part& part) {
    const std::string& name = part.filename;
    const std::string start = decoded_start(part, message_, kTypeOctets);
    const ContentType type = content_type(start);
    const auto extension = extension_of(name);
    look_at_name(name);
    note(kind_of_name(extension, start), name);
    note(type.kind, name);
    note_extension(extension, name);
    if (type.kind == AttachmentKind::kExecutable && !extension.empty() &&
        kind_of_extension(extension) != AttachmentKind::kExecutable)
      add("ATTACHMENT_DISGUISED", 4, told(name) + " is a " + type.format);
    if (type.container == Container::kForeign) note(AttachmentKind::kUnopenedArchive, name);
    const bool opened = type.container != Container::kNone && type.container != Container::kForeign;
    if (opened && policy_.open_archives) look_into(part, type.container);
    if (type.container != Container::kNone && !document_) note(AttachmentKind::kArchive, name);
    document_ = false;
  }

  void look_into(const mime::Part& part, Container container) {
    const std::string& name = part.filename;
    const std::string content = decoded(part, message_);
    const auto report = reader_.read(content, container, name, [&](const ArchivedFile& file) { see(file, name); });
    document_ = report.document;
    if (report.encrypted) note(AttachmentKind::kEncryptedArchive, name);
    if (report.unreadable) note(AttachmentKind::kUnopenedArchive, name);
    for (const EndRow& row : kEnds) {
      if (row.end != report.end) continue;
      if (row.refuse)
        refuse(row.symbol, "The message carries an archive that unpacks without end: " + told(name));
      else
        add(row.symbol, row.score, told(name), row.not_checked);
    }
  }

  void see(const ArchivedFile& file, const std::string& archive) {
    const std::string where = archive.empty() ? file.path : archive + ": " + file.path;
    const auto extension = extension_of(file.path);
    look_at_name(file.path);
    const bool of_web_sites = extension == "js" || extension == "mjs";
    if (!of_web_sites || file.files_beside < kFewFiles) note(file.by_name, where);
    note(file.type.kind, where);
    note_extension(extension, where);
    if (file.unreadable) note(AttachmentKind::kUnopenedArchive, where);
  }

  void look_at_name(const std::string& name) {
    if (has_double_extension(name)) add("DOUBLE_EXTENSION", 3, told(name));
    if (has_bidi_override(name)) add("BIDI_FILE_NAME", 4, told(name));
  }

  void note(AttachmentKind kind, const std::string& name) {
    const auto row = std::ranges::find(kKinds, kind, &KindRow::kind);
    if (row == std::end(kKinds)) return;
    if (policy_.refuse.kinds.contains(kind))
      refuse(row->symbol, std::string("The message carries ") + row->what + ": " + told(name));
    else if (const bool junk = policy_.junk.kinds.contains(kind); kind != AttachmentKind::kArchive || junk)
      add(row->symbol, row->score, told(name), false, junk);
  }
  void note_extension(const std::string& extension, const std::string& name) {
    if (extension.empty()) return;
    if (policy_.refuse.extensions.contains(extension))
      refuse("ATTACHMENT_EXTENSION", "The message carries a file that is not accepted here: " + told(name));
    else if (policy_.junk.extensions.contains(extension))
      add("ATTACHMENT_EXTENSION", 0, told(name), false, true);
  }

  void add(const char* symbol, double score, const std::string& detail, bool not_checked = false, bool junk = false) {
    const auto found = std::ranges::find(findings_.symbols, symbol, &Symbol::name);
    if (found == findings_.symbols.end()) {
      findings_.symbols.push_back({symbol, score, detail, not_checked, junk});
    } else if (found->detail.find(detail) == std::string::npos && found->detail.size() + detail.size() < kMostDetail) {
      found->detail += ", " + detail;
    }
  }
  void refuse(const char* symbol, std::string text) {
    const auto found = std::ranges::find(findings_.refusals, symbol, &Refusal::symbol);
    if (found != findings_.refusals.end()) return;
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) >= 127; }, '?');
    findings_.refusals.push_back({symbol, 554, "5.7.1", std::move(text), true});
  }

  const std::string_view message_;
  const AttachmentPolicy& policy_;
  ArchiveReader reader_;
  bool document_ = false;  ///< of the current part
  Findings findings_;
};

}  // namespace

Result<AttachmentList> AttachmentList::parse(std::span<const std::string> words) {
  AttachmentList list;
  for (const std::string& word : words) {
    if (word.size() > 1 && word.starts_with('.') && word.find('.', 1) == std::string::npos) {
      list.extensions.insert(mime::to_lower(word.substr(1)));
    } else if (const auto kind = kind_named(word)) {
      list.kinds.insert(*kind);
    } else {
      return Error(ErrorCode::kInvalidArgument,
                   word +
                       " is neither an extension (\".xyz\") nor executable, script, shell_script, disk_image, macros, "
                       "archive, encrypted_archive or unopened_archive");
    }
  }
  return list;
}

bool has_attachments(std::string_view message) { return any_candidate(mime::read_parts(message).root); }

Findings check_attachments(std::string_view message, const AttachmentPolicy& policy) {
  const auto parts = mime::read_parts(message);
  AttachmentCheck check(message, policy);
  check.visit(parts.root);
  return std::move(check).findings();
}

}  // namespace merpati::filter
