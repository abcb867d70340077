// Archives for tests, made by libarchive.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "merpati/mime/transfer.hpp"

namespace merpati::test {

using Files = std::vector<std::pair<std::string, std::string>>;

/// `choose` sets format, filters and options.
template <class Choose>
std::string make_archive(const Files& files, Choose choose) {
  archive* to = archive_write_new();
  choose(to);
  std::string out;
  archive_write_set_bytes_per_block(to, 0);
  archive_write_open(
      to, &out, nullptr,
      [](archive*, void* into, const void* data, std::size_t size) -> la_ssize_t {
        static_cast<std::string*>(into)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  archive_entry* entry = archive_entry_new();
  for (const auto& [name, content] : files) {
    archive_entry_clear(entry);
    archive_entry_set_pathname_utf8(entry, name.c_str());
    archive_entry_set_filetype(entry, name.ends_with('/') ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    EXPECT_EQ(archive_write_header(to, entry), ARCHIVE_OK) << name << ": " << archive_error_string(to);
    archive_write_data(to, content.data(), content.size());
  }
  archive_entry_free(entry);
  EXPECT_EQ(archive_write_close(to), ARCHIVE_OK);
  archive_write_free(to);
  return out;
}

inline std::string make_zip(const Files& files) {
  return make_archive(files, [](archive* to) { archive_write_set_format_zip(to); });
}
inline std::string make_encrypted_zip(const Files& files) {
  return make_archive(files, [](archive* to) {
    archive_write_set_format_zip(to);
    EXPECT_EQ(archive_write_set_options(to, "zip:encryption=traditional"), ARCHIVE_OK);
    archive_write_set_passphrase(to, "secret");
  });
}
inline std::string make_tar(const Files& files) {
  return make_archive(files, [](archive* to) { archive_write_set_format_ustar(to); });
}
inline std::string make_compressed(const std::string& content, int filter) {
  return make_archive({{"data", content}}, [filter](archive* to) {
    archive_write_set_format_raw(to);
    archive_write_add_filter(to, filter);
  });
}

/// The first octets of a program for Windows.
inline std::string program() {
  std::string out(256, '\0');
  out.replace(0, 2, "MZ");
  out[60] = '\x80';
  out.replace(128, 4, std::string("PE\0\0", 4));
  return out;
}

struct Attached {
  std::string name;
  std::string content;
  std::string type = "application/octet-stream";
};
/// A multipart message with a text and these.
inline std::string message_with(const std::vector<Attached>& attachments) {
  std::string out =
      "From: a@sender.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
      "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n";
  for (const auto& each : attachments) {
    out += "--b\r\nContent-Type: " + each.type + "\r\nContent-Disposition: attachment; filename=\"" + each.name +
           "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + mime::encode_base64_lines(each.content) + "\r\n";
  }
  return out + "--b--\r\n";
}

}  // namespace merpati::test
