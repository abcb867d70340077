#include "filter/store_upload.hpp"

namespace merpati::filter {
namespace {
constexpr std::size_t kChunk = 256 * 1024;
}

Task<std::string> upload(store::v1::StoreClient store, std::string octets, rpc::CallOptions call) {
  MERPATI_CO_TRY(auto stream, co_await store.put_blob(call));
  for (std::size_t at = 0; at < octets.size(); at += kChunk) {
    store::v1::PutBlobRequest chunk;
    chunk.set_chunk(octets.substr(at, kChunk));
    MERPATI_CO_CHECK(co_await stream->write(std::move(chunk)));
  }
  MERPATI_CO_TRY(const auto response, co_await stream->finish());
  co_return response.blob_id();
}

}  // namespace merpati::filter
