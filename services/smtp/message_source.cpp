#include "smtp/message_source.hpp"

#include "smtp/edits.hpp"

namespace merpati::smtp {
namespace {

constexpr std::size_t kLargestHeader = 256 * 1024;
constexpr std::size_t kChunk = 256 * 1024;
constexpr int kUploads = 3;

}  // namespace

Task<void> MessageSource::load_header() {
  if (buffer_->spilled()) {
    MERPATI_CO_TRY(header_, co_await buffer_->read(0, kLargestHeader));
    header_.resize(header_size(header_));
  } else {
    header_ = buffer_->memory().substr(0, header_size(std::string_view(buffer_->memory()).substr(0, kLargestHeader)));
  }
  skip_ = header_.size();
  co_return Result<void>();
}

std::string MessageSource::whole(std::string_view header) const {
  std::string out;
  out.reserve(header.size() + buffer_->memory().size() - skip_);
  out.append(header).append(buffer_->memory(), skip_, std::string::npos);
  return out;
}

std::string MessageSource::take_whole() {
  if (!edited_) return std::move(buffer_->memory());
  return whole(header_);
}

/// A replica that is lost half way costs nothing but time: the octets are here, and the store knows them again.
Task<std::string> MessageSource::upload(Site& site, std::string_view header, const rpc::CallOptions& options) const {
  for (int attempt = 1;; ++attempt) {
    auto blob = co_await upload_once(site, header, options);
    const bool lost = blob.has_error() && blob.error().code() == ErrorCode::kUnavailable && blob.error().may_retry();
    if (!lost || attempt == kUploads) co_return blob;
    MERPATI_CO_CHECK(co_await sleep_for(std::chrono::milliseconds(10 * attempt)));
  }
}

Task<std::string> MessageSource::upload_once(Site& site, std::string_view header,
                                             const rpc::CallOptions& options) const {
  MERPATI_CO_TRY(auto call, co_await site.store.put_blob(options));
  store::v1::PutBlobRequest request;
  request.set_chunk(std::string(header));
  for (auto offset = skip_;;) {
    if (!request.chunk().empty()) {
      auto sent = co_await call->write(std::move(request));
      if (sent.has_error()) co_return std::move(sent).error();
    }
    if (offset >= buffer_->size()) break;
    MERPATI_CO_TRY(auto chunk, co_await buffer_->read(offset, kChunk));
    offset += chunk.size();
    request = {};
    request.set_chunk(std::move(chunk));
  }
  MERPATI_CO_TRY(auto response, co_await call->finish());
  co_return std::move(*response.mutable_blob_id());
}

}  // namespace merpati::smtp
