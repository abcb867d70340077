// Any bytes are a message: the filter's checks of its links, names, attachments and archives end within their limits.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filter/attachment_checks.hpp"
#include "filter/content_engine.hpp"
#include "filter/link_checks.hpp"
#include "filter/printable.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"

namespace filter = merpati::filter;

namespace {

void fit_for_a_proto(const filter::Findings& findings) {
  for (const auto& symbol : findings.symbols)
    if (!merpati::mime::is_valid_utf8(symbol.detail)) std::abort();
  for (const auto& refusal : findings.refusals)
    if (!merpati::mime::is_valid_utf8(refusal.text)) std::abort();
}

void read_archive(std::string_view bytes, filter::Container container) {
  filter::ArchiveLimits limits;
  limits.max_unpacked = 1 << 20;
  limits.max_files = 100;
  filter::ArchiveReader reader(limits, std::chrono::steady_clock::now() + std::chrono::seconds(5));
  std::size_t files = 0;
  reader.read(bytes, container, "x.gz", [&](const filter::ArchivedFile&) { ++files; });
  if (files > limits.max_files) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = bytes.substr(0, merpati::mime::header_block_size(bytes));
  fit_for_a_proto(filter::check_content(header, bytes, nullptr, 1 << 16));
  filter::AttachmentPolicy policy;
  policy.archives.max_unpacked = 1 << 20;
  policy.archives.max_files = 100;
  fit_for_a_proto(filter::check_attachments(bytes, policy));
  for (const auto keep : {filter::Keep::kStart, filter::Keep::kEnd}) {
    const auto out = filter::printable(bytes, 100, keep);
    if (out.size() > 100 || !merpati::mime::is_valid_utf8(out)) std::abort();
  }
  filter::host_trick(bytes.substr(0, 300));
  filter::has_double_extension(bytes);
  read_archive(bytes, filter::content_type(bytes).container);
  return 0;
}
