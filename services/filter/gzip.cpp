#include "filter/gzip.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

namespace merpati::filter {

Result<std::string> gzip(std::string_view octets) {
  std::string out;
  const std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), &archive_write_free);
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), &archive_entry_free);
  if (!writer || !entry) return Error(ErrorCode::kResourceExhausted, "no memory for gzip");
  const auto append = [](archive*, void* into, const void* data, std::size_t size) -> la_ssize_t {
    static_cast<std::string*>(into)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
  };
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_pathname(entry.get(), "data");
  const bool written =
      archive_write_set_format_raw(writer.get()) == ARCHIVE_OK &&
      archive_write_add_filter_gzip(writer.get()) == ARCHIVE_OK &&
      archive_write_set_options(writer.get(), "gzip:!timestamp") == ARCHIVE_OK &&
      archive_write_set_bytes_in_last_block(writer.get(), 1) == ARCHIVE_OK &&  // no padding
      archive_write_open(writer.get(), &out, nullptr, append, nullptr) == ARCHIVE_OK &&
      archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK &&
      archive_write_data(writer.get(), octets.data(), octets.size()) == static_cast<la_ssize_t>(octets.size()) &&
      archive_write_close(writer.get()) == ARCHIVE_OK;
  if (written) return out;
  const char* why = archive_error_string(writer.get());
  return Error(ErrorCode::kInternal, std::string("gzip: ") + (why == nullptr ? "?" : why));
}

}  // namespace merpati::filter
