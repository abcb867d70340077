#include "merpati/cells/copy_blob.hpp"

#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::cells {

Task<std::string> copy_blob(store::v1::StoreClient store, std::string blob_id, std::string from, std::string to,
                            rpc::CallOptions options) {
  store::v1::ReadBlobRequest wanted;
  wanted.set_blob_id(std::move(blob_id));
  options.cell = std::move(from);
  MERPATI_CO_TRY(auto reader, co_await store.read_blob(wanted, options));
  options.cell = std::move(to);
  MERPATI_CO_TRY(auto upload, co_await store.put_blob(options));
  for (;;) {
    MERPATI_CO_TRY(auto piece, co_await reader->read());
    if (!piece) break;
    store::v1::PutBlobRequest request;
    request.set_chunk(std::move(*piece->mutable_chunk()));
    MERPATI_CO_CHECK(co_await upload->write(std::move(request)));
  }
  MERPATI_CO_TRY(auto response, co_await upload->finish());
  co_return std::move(*response.mutable_blob_id());
}

}  // namespace merpati::cells
