#include "filter/archive_reader.hpp"

#include <gtest/gtest.h>

#include "archives.hpp"

namespace merpati::filter {
namespace {

using test::Files;

struct Seen {
  ArchiveReport report;
  std::vector<ArchivedFile> files;
  std::string paths() const {
    std::string out;
    for (const auto& file : files) out += (out.empty() ? "" : " ") + file.path;
    return out;
  }
};

Seen read(const std::string& content, ArchiveLimits limits = {}, const std::string& name = "x",
          std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max()) {
  ArchiveReader reader(limits, until);
  Seen seen;
  seen.report = reader.read(content, content_type(content).container, name,
                            [&](const ArchivedFile& file) { seen.files.push_back(file); });
  return seen;
}

TEST(ArchiveReader, SeesFilesByNameAndContent) {
  const auto seen = read(test::make_zip({{"a/", ""}, {"a/notes.txt", "hello"}, {"a/pretty.txt", test::program()}}));
  EXPECT_EQ(seen.report.end, ArchiveEnd::kWhole);
  ASSERT_EQ(seen.paths(), "a/notes.txt a/pretty.txt");
  EXPECT_EQ(seen.files[0].type.kind, AttachmentKind::kOther);
  EXPECT_EQ(seen.files[1].type.kind, AttachmentKind::kExecutable);
  EXPECT_EQ(seen.files[0].files_beside, 1u);
  EXPECT_FALSE(seen.report.unreadable || seen.report.encrypted || seen.report.document);
}

TEST(ArchiveReader, NamesAreUtf8) {
  EXPECT_EQ(read(test::make_zip({{"r\u00E9sum\u00E9_\u202Efdp.exe", "x"}})).paths(), "r\u00E9sum\u00E9_\u202Efdp.exe");
}

TEST(ArchiveReader, LooksIntoArchivesInArchives) {
  const auto inner = test::make_zip({{"deep.exe", "x"}});
  const auto tar = test::make_tar({{"inner.zip", inner}});
  for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD}) {
    const auto seen = read(test::make_compressed(tar, filter), {}, "all.tgz");
    EXPECT_EQ(seen.report.end, ArchiveEnd::kWhole);
    EXPECT_FALSE(seen.report.unreadable);
    // An archive's own place waits until it is known how many files are beside it.
    EXPECT_EQ(seen.paths(), "deep.exe inner.zip all.tar") << filter;
  }
  EXPECT_EQ(read(test::make_compressed(test::program(), ARCHIVE_FILTER_GZIP), {}, "invoice.exe.gz").paths(),
            "invoice.exe");
}

TEST(ArchiveReader, ABombIsLeftAtItsRatio) {
  const auto zip = test::make_zip({{"zeros", std::string(40 << 20, '\0')}});
  ASSERT_LT(zip.size(), 100'000u);
  EXPECT_EQ(read(zip).report.end, ArchiveEnd::kRatio);
  EXPECT_EQ(read(test::make_zip({{"few", std::string(5 << 20, '\0')}})).report.end, ArchiveEnd::kWhole)
      << "a few MiB harm nobody";
  // As 42.zip: archives of archives that are small themselves.
  const auto leaf = test::make_zip({{"zeros", std::string(4 << 20, '\0')}});
  Files many;
  for (int i = 0; i < 16; ++i) many.emplace_back("lib" + std::to_string(i) + ".zip", leaf);
  const auto outer = test::make_zip(many);
  EXPECT_EQ(read(outer).report.end, ArchiveEnd::kRatio);
}

TEST(ArchiveReader, ADeepOneIsLeftAtItsDepth) {
  std::string archive = "the bottom";
  for (int i = 0; i < 100; ++i) archive = test::make_zip({{"next.zip", archive}});
  const auto seen = read(archive);
  EXPECT_EQ(seen.report.end, ArchiveEnd::kDepth);
  EXPECT_EQ(seen.files.size(), 8u);
  EXPECT_EQ(read(archive, {.max_depth = 100}).report.end, ArchiveEnd::kWhole);
}

TEST(ArchiveReader, CompressedAgainAndAgainIsDeepToo) {
  std::string content = "x";
  for (int i = 0; i < 20; ++i) content = test::make_compressed(content, ARCHIVE_FILTER_GZIP);
  EXPECT_EQ(read(content).report.end, ArchiveEnd::kDepth);
}

TEST(ArchiveReader, FilesAreCountedOverAllArchivesOfAMessage) {
  Files files;
  for (int i = 0; i < 100'000; ++i) files.emplace_back("f" + std::to_string(i), "");
  EXPECT_EQ(read(test::make_zip(files)).report.end, ArchiveEnd::kFiles);
  files.resize(20'000);  // a tar of more would be too large before
  const auto tar = test::make_tar(files);
  const auto seen = read(tar);
  EXPECT_EQ(seen.report.end, ArchiveEnd::kFiles);
  EXPECT_EQ(seen.files.size(), 10'000u);

  ArchiveReader reader({.max_files = 3}, std::chrono::steady_clock::time_point::max());
  const auto two = test::make_zip({{"a", ""}, {"b", ""}});
  const auto ignore = [](const ArchivedFile&) {};
  EXPECT_EQ(reader.read(two, Container::kZip, "1.zip", ignore).end, ArchiveEnd::kWhole);
  EXPECT_EQ(reader.read(two, Container::kZip, "2.zip", ignore).end, ArchiveEnd::kFiles);
}

TEST(ArchiveReader, OctetsAndTimeAreBounded) {
  const auto zip = test::make_zip({{"a", std::string(200'000, 'a')}, {"b", "b"}});
  EXPECT_EQ(read(zip, {.max_unpacked = 100'000}).report.end, ArchiveEnd::kSize);
  EXPECT_EQ(read(zip, {.max_size = 10}).report.end, ArchiveEnd::kSize);
  EXPECT_EQ(read(zip, {}, "x", std::chrono::steady_clock::time_point::min()).report.end, ArchiveEnd::kTime);
}

TEST(ArchiveReader, APasswordHidesContentsButNotNames) {
  const auto seen = read(test::make_encrypted_zip({{"invoice.exe", test::program()}}));
  EXPECT_TRUE(seen.report.encrypted);
  EXPECT_FALSE(seen.report.unreadable);
  ASSERT_EQ(seen.paths(), "invoice.exe");
  EXPECT_EQ(seen.files[0].by_name, AttachmentKind::kExecutable);
}

TEST(ArchiveReader, WhatIsDamagedIsSaidToBe) {
  auto zip = test::make_zip({{"a", std::string(5000, 'a')}});
  EXPECT_TRUE(read(zip.substr(0, zip.size() / 2)).report.unreadable);
  EXPECT_TRUE(read("PK\x03\x04 and nothing else").report.unreadable);
  const auto gzip = test::make_compressed(std::string(100'000, 'a'), ARCHIVE_FILTER_GZIP);
  EXPECT_TRUE(read(gzip.substr(0, 60)).report.unreadable);
}

TEST(ArchiveReader, DocumentsAndTheirMacros) {
  const auto seen = read(test::make_zip({{"[Content_Types].xml", "<x/>"}, {"word/vbaProject.bin", "x"}}));
  EXPECT_TRUE(seen.report.document);
  EXPECT_EQ(seen.files.at(1).by_name, AttachmentKind::kMacros);
}

}  // namespace
}  // namespace merpati::filter
