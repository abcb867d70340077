// What an attachment is: by its content (signatures of our own, ADR 20) and by its name's extension.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace merpati::filter {

/// Kinds that policies speak of.
enum class AttachmentKind : std::uint8_t {
  kOther,
  kExecutable,        ///< programs, libraries and installers
  kScript,            ///< what Windows runs when it is opened
  kShellScript,       ///< starts with "#!"
  kDiskImage,         ///< what a desktop mounts when it is opened
  kMacros,            ///< an Office document with macros
  kArchive,           ///< an archive, but no document that is one inside
  kEncryptedArchive,  ///< has files that only a password opens
  kUnopenedArchive,   ///< of a format that is not opened here, or damaged
};
/// "executable"; "" for kOther. What configuration and symbols call it.
std::string_view name_of(AttachmentKind kind);
std::optional<AttachmentKind> kind_named(std::string_view name);

/// Formats that have files or a file inside. kForeign: known, but not opened here.
enum class Container : std::uint8_t { kNone, kZip, kTar, kGzip, kBzip2, kXz, kZstd, kForeign };

struct ContentType {
  AttachmentKind kind = AttachmentKind::kOther;
  Container container = Container::kNone;
  const char* format = "";  ///< "PE", "zip", for people
};

/// As many octets from the start as content_type() looks at.
inline constexpr std::size_t kTypeOctets = 36 * 1024;

/// By the content's first octets alone. Any bytes will do.
ContentType content_type(std::string_view start);

/// Of the last component of a path, in lower case without dot, as systems see it: dots and blanks at the end do not
/// count. Empty: there is none.
std::string extension_of(std::string_view filename);

/// By an extension in lower case.
AttachmentKind kind_of_extension(std::string_view extension);

/// Of a name with this extension whose content starts like that: where the extension alone says too little (".com" is a
/// domain's name, too), the content must not be text.
AttachmentKind kind_of_name(std::string_view extension, std::string_view start);

/// "invoice.pdf.exe": a program behind the extension of a document.
bool has_double_extension(std::string_view filename);
/// U+202D or U+202E: what is read is not what the name is.
bool has_bidi_override(std::string_view filename);

}  // namespace merpati::filter
