#include "filter/attachment_types.hpp"

#include <algorithm>
#include <array>

#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {

using namespace std::string_view_literals;

constexpr std::pair<AttachmentKind, std::string_view> kNames[] = {
    {AttachmentKind::kExecutable, "executable"},
    {AttachmentKind::kScript, "script"},
    {AttachmentKind::kShellScript, "shell_script"},
    {AttachmentKind::kDiskImage, "disk_image"},
    {AttachmentKind::kMacros, "macros"},
    {AttachmentKind::kArchive, "archive"},
    {AttachmentKind::kEncryptedArchive, "encrypted_archive"},
    {AttachmentKind::kUnopenedArchive, "unopened_archive"},
};

struct Signature {
  std::size_t offset;
  std::string_view octets;
  ContentType type;
};
constexpr auto kProgram = AttachmentKind::kExecutable;
constexpr auto kImage = AttachmentKind::kDiskImage;
constexpr auto kOther = AttachmentKind::kOther;

// The first that fits.
constexpr Signature kSignatures[] = {
    {0,
     "\x7F"
     "ELF"sv,
     {kProgram, Container::kNone, "ELF"}},
    {0, "\xFE\xED\xFA\xCE"sv, {kProgram, Container::kNone, "Mach-O"}},
    {0, "\xFE\xED\xFA\xCF"sv, {kProgram, Container::kNone, "Mach-O"}},
    {0, "\xCE\xFA\xED\xFE"sv, {kProgram, Container::kNone, "Mach-O"}},
    {0, "\xCF\xFA\xED\xFE"sv, {kProgram, Container::kNone, "Mach-O"}},
    {0, "\xCA\xFE\xBA\xBE\x00"sv, {kProgram, Container::kNone, "Java class or Mach-O"}},
    {0, "dex\n03"sv, {kProgram, Container::kNone, "DEX"}},
    {0, "ITSF\x03\x00\x00\x00"sv, {kProgram, Container::kNone, "compiled HTML help"}},
    // [MS-SHLLINK] 2.1: HeaderSize and LinkCLSID.
    {0,
     "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00"
     "F"sv,
     {AttachmentKind::kScript, Container::kNone, "Windows shortcut"}},
    {0, "#@~^"sv, {AttachmentKind::kScript, Container::kNone, "encoded script"}},
    {0, "PK\x03\x04"sv, {kOther, Container::kZip, "zip"}},
    {0, "PK\x05\x06"sv, {kOther, Container::kZip, "zip"}},
    {0, "PK\x07\x08PK"sv, {kOther, Container::kZip, "zip"}},
    {0, "\x1F\x8B\x08"sv, {kOther, Container::kGzip, "gzip"}},
    {0,
     "\xFD"
     "7zXZ\x00"sv,
     {kOther, Container::kXz, "xz"}},
    {0, "\x28\xB5\x2F\xFD"sv, {kOther, Container::kZstd, "zstd"}},
    {0, "7z\xBC\xAF\x27\x1C"sv, {kOther, Container::kForeign, "7z"}},
    {0, "Rar!\x1A\x07"sv, {kOther, Container::kForeign, "RAR"}},
    {0, "MSCF\x00\x00\x00\x00"sv, {kOther, Container::kForeign, "cabinet"}},
    {7, "**ACE**"sv, {kOther, Container::kForeign, "ACE"}},
    {0, "xar!\x00"sv, {kOther, Container::kForeign, "xar"}},
    {257, "ustar"sv, {kOther, Container::kTar, "tar"}},
    {32769, "CD001"sv, {kImage, Container::kNone, "ISO 9660"}},
    {32769, "BEA01"sv, {kImage, Container::kNone, "UDF"}},
    {0, "conectix"sv, {kImage, Container::kNone, "VHD"}},
    {0, "vhdxfile"sv, {kImage, Container::kNone, "VHDX"}},
    {0, "KDMV"sv, {kImage, Container::kNone, "VMDK"}},
    {0, "QFI\xFB"sv, {kImage, Container::kNone, "QCOW"}},
    {0, "MSWIM\x00\x00\x00"sv, {kImage, Container::kNone, "WIM"}},
    {54, "FAT1"sv, {kImage, Container::kNone, "FAT"}},
    {82, "FAT32 "sv, {kImage, Container::kNone, "FAT"}},
};

constexpr std::string_view kPrograms[] = {
    "exe",
    "com",
    "scr",
    "pif",
    "cpl",
    "dll",
    "ocx",
    "sys",
    "drv",
    "vxd",
    "msi",
    "msp",
    "mst",
    "msix",
    "appx",
    "msixbundle",
    "jar",
    "class",
    "jnlp",
    "apk",
    "dex",
    "chm",
    "xll",
    "xbap",
    "appref-ms",
    "msc",
    "application",
    "ade",
    "adp",
    "mde",
    "diagcab",
    "appxbundle",
    "gadget",
    "elf",
    "ex_",
    "appinstaller",
    "settingcontent-ms",
};
constexpr std::string_view kScripts[] = {
    "bat", "cmd",  "js",  "jse",  "mjs", "vb",  "vbe", "vbs", "wsf", "wsh", "wsc", "sct",        "hta",       "lnk",
    "ps1", "psm1", "ps2", "psc1", "scf", "ins", "isp", "reg", "shb", "shs", "url", "library-ms", "search-ms",
};
constexpr std::string_view kShell[] = {"sh", "bash", "zsh", "csh", "ksh", "command"};
constexpr std::string_view kImages[] = {"iso", "img", "vhd", "vhdx", "dmg", "udf", "vmdk", "wim", "qcow2"};
constexpr std::string_view kMacros[] = {"docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppam", "ppsm", "sldm"};
constexpr std::string_view kDocuments[] = {
    "pdf", "doc", "docx", "rtf", "odt", "xls", "xlsx", "csv", "ods", "ppt",  "pptx", "txt", "jpg", "jpeg",
    "png", "gif", "bmp",  "tif", "mp3", "mp4", "avi",  "mov", "htm", "html", "eml",  "xml", "zip", "wav",
};

template <std::size_t N>
bool is_one_of(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

std::uint32_t little_endian(std::string_view octets, std::size_t at, int count) {
  std::uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(octets[at + static_cast<std::size_t>(i)]);
  return value;
}

/// MZ begins programs, and words: the header has zeros, or leads to another one.
bool is_windows_program(std::string_view start) {
  if (!start.starts_with("MZ") && !start.starts_with("ZM")) return false;
  return start.size() >= 64 && start.substr(0, 64).find('\0') != std::string_view::npos;
}

/// Installers are compound files, as old documents are: the root entry's class says which ([MS-CFB] 2.6).
bool is_windows_installer(std::string_view start) {
  if (!start.starts_with("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv) || start.size() < 76) return false;
  const auto shift = little_endian(start, 30, 2);
  if (shift != 9 && shift != 12) return false;
  const std::uint64_t sector = std::uint64_t{1} << shift;
  const std::uint64_t root = (std::uint64_t{little_endian(start, 48, 4)} + 1) * sector;
  constexpr std::string_view kClassTail = "\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x46"sv;
  if (root + 96 > start.size()) return false;
  const auto id = start.substr(root + 80, 16);
  // {000C1082-…}: transform, {000C1084-…}: package, {000C1086-…}: patch.
  const bool installer = id[0] == '\x82' || id[0] == '\x84' || id[0] == '\x86';
  return installer && id.substr(1, 2) == "\x10\x0C"sv && id.substr(3) == kClassTail;
}

bool is_text(std::string_view start) {
  return std::ranges::none_of(start.substr(0, 512), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 32 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\x1B';
  });
}

std::string_view file_name(std::string_view path) {
  const auto slash = path.find_last_of("/\\");
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  while (!path.empty() && (path.back() == '.' || static_cast<unsigned char>(path.back()) <= ' ')) path.remove_suffix(1);
  return path;
}

}  // namespace

std::string_view name_of(AttachmentKind kind) {
  const auto found = std::ranges::find(kNames, kind, &std::pair<AttachmentKind, std::string_view>::first);
  return found == std::end(kNames) ? std::string_view() : found->second;
}

std::optional<AttachmentKind> kind_named(std::string_view name) {
  for (const auto& [kind, each] : kNames)
    if (each == name) return kind;
  return std::nullopt;
}

ContentType content_type(std::string_view start) {
  if (is_windows_program(start)) return {kProgram, Container::kNone, "Windows or DOS program"};
  if (is_windows_installer(start)) return {kProgram, Container::kNone, "Windows installer"};
  if (start.starts_with("BZh") && start.size() > 10 && start.substr(4, 6) == "1AY&SY")
    return {kOther, Container::kBzip2, "bzip2"};
  for (const Signature& signature : kSignatures) {
    if (start.size() < signature.offset + signature.octets.size()) continue;
    if (start.substr(signature.offset, signature.octets.size()) == signature.octets) return signature.type;
  }
  if (start.starts_with("#!") && start.substr(0, 64).find('/') != std::string_view::npos)
    return {AttachmentKind::kShellScript, Container::kNone, "script"};
  return {};
}

std::string extension_of(std::string_view filename) {
  const auto name = file_name(filename);
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string() : mime::to_lower(name.substr(dot + 1));
}

AttachmentKind kind_of_extension(std::string_view extension) {
  if (is_one_of(kPrograms, extension)) return AttachmentKind::kExecutable;
  if (is_one_of(kScripts, extension)) return AttachmentKind::kScript;
  if (is_one_of(kShell, extension)) return AttachmentKind::kShellScript;
  if (is_one_of(kImages, extension)) return AttachmentKind::kDiskImage;
  if (is_one_of(kMacros, extension)) return AttachmentKind::kMacros;
  return AttachmentKind::kOther;
}

AttachmentKind kind_of_name(std::string_view extension, std::string_view start) {
  // Such a file may be named as its domain is ("example.com"), or be somebody's notes.
  constexpr std::string_view kDoubtful[] = {"com", "sys", "class", "elf"};
  if (is_one_of(kDoubtful, extension) && is_text(start)) return AttachmentKind::kOther;
  return kind_of_extension(extension);
}

bool has_double_extension(std::string_view filename) {
  const auto name = file_name(filename);
  const auto last = name.rfind('.');
  if (last == std::string_view::npos) return false;
  const auto kind = kind_of_extension(mime::to_lower(name.substr(last + 1)));
  if (kind != AttachmentKind::kExecutable && kind != AttachmentKind::kScript) return false;
  return is_one_of(kDocuments, extension_of(name.substr(0, last)));
}

bool has_bidi_override(std::string_view filename) {
  return filename.find("\u202D"sv) != std::string_view::npos || filename.find("\u202E"sv) != std::string_view::npos;
}

}  // namespace merpati::filter
