#include "filter/store_upload.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kMostInline = 64 * 1024;
constexpr std::size_t kChunk = 256 * 1024;
}  // namespace

Task<std::string> upload(store::v1::StoreClient store, std::string octets, rpc::CallOptions call) {
  MERPATI_CO_TRY(auto stream, co_await store.put_blob(call));
  for (std::size_t at = 0; at < octets.size(); at += kChunk) {
    store::v1::PutBlobRequest chunk;
    if (!call.token.empty()) chunk.set_account_id(call.account_id);
    chunk.set_chunk(octets.substr(at, kChunk));
    MERPATI_CO_CHECK(co_await stream->write(std::move(chunk)));
  }
  MERPATI_CO_TRY(const auto response, co_await stream->finish());
  co_return response.blob_id();
}

Task<store::v1::Body> body_of(std::shared_ptr<rpc::Channel> store, std::string octets, rpc::CallOptions call) {
  store::v1::Body body;
  if (octets.size() <= kMostInline) {
    body.set_inline_(std::move(octets));
    co_return body;
  }
  if (!store) co_return Error(ErrorCode::kUnavailable, "no store");
  MERPATI_CO_TRY(*body.mutable_blob_id(), co_await upload(store::v1::StoreClient(store), std::move(octets), call));
  co_return body;
}

}  // namespace merpati::filter
