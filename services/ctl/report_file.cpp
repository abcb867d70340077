#include "ctl/report_file.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::ctl {
namespace {

enum class Kind { kXml, kGzip, kZip, kOther };

Kind kind_of(std::string_view octets) {
  if (octets.starts_with("\x1f\x8b")) return Kind::kGzip;
  if (octets.starts_with("PK\x03\x04")) return Kind::kZip;
  if (octets.starts_with("\xef\xbb\xbf")) octets.remove_prefix(3);
  if (octets.starts_with("\xff\xfe") || octets.starts_with("\xfe\xff")) return Kind::kXml;  // UTF-16
  return mime::trim(octets).starts_with('<') ? Kind::kXml : Kind::kOther;
}

class Unpacker {
 public:
  explicit Unpacker(const UnpackLimits& limits) : limits_(limits) {}

  Result<std::vector<std::string>> run(std::string_view octets) {
    if (kind_of(octets) == Kind::kOther) {
      MERPATI_CHECK(take_parts(octets, mime::read_parts(octets).root));
      if (documents_.empty())
        return Error(ErrorCode::kInvalidArgument, "this is no XML, gzip or zip, and no mail with one of them attached");
    } else {
      MERPATI_CHECK(take(octets));
    }
    if (documents_.empty()) return Error(ErrorCode::kInvalidArgument, "the archive holds no XML document");
    return std::move(documents_);
  }

 private:
  static Error too_much() {
    return {ErrorCode::kResourceExhausted, "it unpacks to more than a report does, so it is not unpacked"};
  }

  Result<void> take(std::string_view octets) {
    switch (kind_of(octets)) {
      case Kind::kXml:
        return add(std::string(octets));
      case Kind::kGzip:
      case Kind::kZip:
        return unpack(octets);
      case Kind::kOther:
        break;
    }
    return {};
  }

  Result<void> add(std::string document) {
    total_ += document.size();
    if (total_ > limits_.octets || documents_.size() >= limits_.documents) return too_much();
    documents_.push_back(std::move(document));
    return {};
  }

  /// Leaf parts by what they hold, not by what they are called: there is no agreement about that.
  Result<void> take_parts(std::string_view message, const mime::Part& part) {
    for (const auto& child : part.children) MERPATI_CHECK(take_parts(message, child));
    const auto encoding = mime::encoding_from_name(part.encoding);
    if (!part.children.empty() || !encoding) return {};
    const std::string octets = mime::decode_transfer(*encoding, part.body.of(message));
    const bool markup = part.type == "text" && part.subtype != "xml";
    if (kind_of(octets) == Kind::kXml && markup) return {};  // HTML for the reader
    return take(octets);
  }

  Result<void> unpack(std::string_view packed) {
    const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), &archive_read_free);
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_format_zip(reader.get());
    archive_read_support_format_raw(reader.get());
    const auto damaged = [&] {
      const char* why = archive_error_string(reader.get());
      return Error(ErrorCode::kInvalidArgument, std::string("the archive is damaged: ") + (why == nullptr ? "?" : why));
    };
    if (archive_read_open_memory(reader.get(), packed.data(), packed.size()) != ARCHIVE_OK) return damaged();
    for (;;) {
      archive_entry* entry = nullptr;
      const int next = archive_read_next_header(reader.get(), &entry);
      if (next == ARCHIVE_EOF) return {};
      if (next < ARCHIVE_WARN) return damaged();
      if (archive_entry_filetype(entry) == AE_IFDIR) continue;
      std::string document;
      for (;;) {
        char piece[16 * 1024];
        const auto got = archive_read_data(reader.get(), piece, sizeof piece);
        if (got < 0) return damaged();
        if (got == 0) break;
        document.append(piece, static_cast<std::size_t>(got));
        const std::size_t all = total_ + document.size();
        if (all > limits_.octets || (all > limits_.free && all / limits_.ratio > packed.size())) return too_much();
      }
      if (kind_of(document) == Kind::kXml) {
        MERPATI_CHECK(add(std::move(document)));
      } else {
        total_ += document.size();
      }
    }
  }

  const UnpackLimits limits_;
  std::size_t total_ = 0;
  std::vector<std::string> documents_;
};

}  // namespace

Result<std::vector<std::string>> unpack_reports(std::string_view octets, const UnpackLimits& limits) {
  return Unpacker(limits).run(octets);
}

}  // namespace merpati::ctl
