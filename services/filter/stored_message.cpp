#include "filter/stored_message.hpp"

#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {

Task<void> read_blob(std::shared_ptr<rpc::Channel> store, std::string blob_id, rpc::CallOptions call,
                     std::uint64_t most, Spool& into) {
  store::v1::StoreClient client(std::move(store));
  store::v1::ReadBlobRequest wanted;
  wanted.set_blob_id(std::move(blob_id));
  MERPATI_CO_TRY(auto reader, co_await client.read_blob(wanted, call));
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await reader->read());
    if (!chunk) break;
    if (into.size() + chunk->chunk().size() > most)
      co_return Error(ErrorCode::kInvalidArgument, "the blob is larger than the request says");
    MERPATI_CO_CHECK(into.add(chunk->chunk()));
  }
  co_return Result<void>();
}

}  // namespace merpati::filter
