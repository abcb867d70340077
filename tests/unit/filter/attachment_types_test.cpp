#include "filter/attachment_types.hpp"

#include <gtest/gtest.h>

#include "archives.hpp"

namespace merpati::filter {
namespace {

using namespace std::string_literals;

std::string padded(std::size_t offset, std::string octets) { return std::string(offset, '\0') + std::move(octets); }

TEST(AttachmentTypes, ContentSaysWhatItIs) {
  const std::pair<std::string, AttachmentKind> kCases[] = {
      {test::program(), AttachmentKind::kExecutable},
      {"\x7F"
       "ELF\2\1\1"s,
       AttachmentKind::kExecutable},
      {"\xCF\xFA\xED\xFE\7\0\0\1"s, AttachmentKind::kExecutable},
      {"\xCA\xFE\xBA\xBE\0\0\0\x37"s, AttachmentKind::kExecutable},
      {"dex\n035\0"s, AttachmentKind::kExecutable},
      {"L\0\0\0\1\x14\2\0\0\0\0\0\xC0\0\0\0\0\0\0F"s, AttachmentKind::kScript},
      {"#!/bin/sh\nrm -rf /\n", AttachmentKind::kShellScript},
      {"#! /usr/bin/env python3\n", AttachmentKind::kShellScript},
      {padded(32769, "CD001\1"), AttachmentKind::kDiskImage},
      {"vhdxfile", AttachmentKind::kDiskImage},
      {"MZ is how this text begins, and it has no zeros anywhere, so that it is no program", AttachmentKind::kOther},
      {"#!not a path", AttachmentKind::kOther},
      {"%PDF-1.7", AttachmentKind::kOther},
      {"", AttachmentKind::kOther},
  };
  for (const auto& [content, kind] : kCases) EXPECT_EQ(content_type(content).kind, kind) << content.substr(0, 20);
}

TEST(AttachmentTypes, ContainersAreKnown) {
  const test::Files files = {{"a.txt", "a"}};
  EXPECT_EQ(content_type(test::make_zip(files)).container, Container::kZip);
  EXPECT_EQ(content_type(test::make_zip({})).container, Container::kZip);
  EXPECT_EQ(content_type(test::make_tar(files)).container, Container::kTar);
  EXPECT_EQ(content_type(test::make_compressed("a", ARCHIVE_FILTER_GZIP)).container, Container::kGzip);
  EXPECT_EQ(content_type(test::make_compressed("a", ARCHIVE_FILTER_BZIP2)).container, Container::kBzip2);
  EXPECT_EQ(content_type(test::make_compressed("a", ARCHIVE_FILTER_XZ)).container, Container::kXz);
  EXPECT_EQ(content_type(test::make_compressed("a", ARCHIVE_FILTER_ZSTD)).container, Container::kZstd);
  EXPECT_EQ(content_type("Rar!\x1A\x07\x01"s).container, Container::kForeign);
  EXPECT_EQ(content_type("7z\xBC\xAF\x27\x1C"s).container, Container::kForeign);
}

// The root entry stands where the header says; its class makes an installer of a compound file.
std::string compound_file(std::string root_class) {
  std::string out(2048, '\0');
  out.replace(0, 8, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
  out[30] = 9;
  out[48] = 2;
  out.replace(3 * 512 + 80, 16, root_class);
  return out;
}

TEST(AttachmentTypes, AnInstallerIsNoOldDocument) {
  const auto tail = "\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0F"s;
  EXPECT_EQ(content_type(compound_file("\x84" + tail)).kind, AttachmentKind::kExecutable);
  EXPECT_EQ(content_type(compound_file("\x06\x09\x02\0\0\0\0\0\xC0\0\0\0\0\0\0F"s)).kind, AttachmentKind::kOther);
  auto wild = compound_file("\x84" + tail);
  wild.replace(48, 4, "\xFF\xFF\xFF\xFF");
  EXPECT_EQ(content_type(wild).kind, AttachmentKind::kOther);
}

TEST(AttachmentTypes, NamesSayIt) {
  EXPECT_EQ(extension_of("a/b.c/Invoice.EXE"), "exe");
  EXPECT_EQ(extension_of("C:\\x\\invoice.exe. . "), "exe") << "as Windows sees it";
  EXPECT_EQ(extension_of("README"), "");
  EXPECT_EQ(extension_of("dir.d/README"), "");
  EXPECT_EQ(kind_of_extension("scr"), AttachmentKind::kExecutable);
  EXPECT_EQ(kind_of_extension("js"), AttachmentKind::kScript);
  EXPECT_EQ(kind_of_extension("pdf"), AttachmentKind::kOther);
  EXPECT_EQ(kind_of_name("com", "server { listen 80; }\n"), AttachmentKind::kOther) << "named as its domain";
  EXPECT_EQ(kind_of_name("com", "\xB4\x09\xBA\x0D\x01\xCD\x21\0"s), AttachmentKind::kExecutable);
}

TEST(AttachmentTypes, TricksOfNames) {
  EXPECT_TRUE(has_double_extension("invoice.pdf.exe"));
  EXPECT_TRUE(has_double_extension("photo.jpg          .scr"));
  EXPECT_FALSE(has_double_extension("setup.1.2.exe"));
  EXPECT_FALSE(has_double_extension("backup.doc.zip"));
  EXPECT_TRUE(has_bidi_override("invoice_\u202Efdp.exe"));
  EXPECT_FALSE(has_bidi_override("\u0642\u0627\u0626\u0645\u0629\u200F.pdf"));
}

TEST(AttachmentTypes, KindsHaveNames) {
  for (const auto kind : {AttachmentKind::kExecutable, AttachmentKind::kMacros, AttachmentKind::kUnopenedArchive})
    EXPECT_EQ(kind_named(name_of(kind)), kind);
  EXPECT_FALSE(kind_named(""));
  EXPECT_FALSE(kind_named("exe"));
}

}  // namespace
}  // namespace merpati::filter
