// ReadBlob and KeepBlob: uploaded blobs that no message refers to, for the queue's mail.
#include <algorithm>

#include "store/content.hpp"
#include "store/operations.hpp"

namespace merpati::store {

Task<void> read_blob(Core& core, const Caller& caller, const v1::ReadBlobRequest& request,
                     rpc::Writer<v1::ReadBlobResponse>& out) {
  constexpr std::uint64_t kStep = 256 * 1024;
  MERPATI_CO_TRY(auto source, co_await load_object(core, request.blob_id(), caller.deadline));
  for (std::uint64_t at = 0; at < source.size; at += kStep) {
    MERPATI_CO_TRY(auto octets, co_await read_octets(core, source, at, kStep, caller.deadline));
    v1::ReadBlobResponse chunk;
    chunk.set_chunk(std::move(octets));
    MERPATI_CO_CHECK(co_await out.write(std::move(chunk)));
  }
  co_return Result<void>();
}

Task<v1::KeepBlobResponse> keep_blob(Core& core, const Caller& caller, const v1::KeepBlobRequest& request) {
  static const pg::Statement kKeep{
      "store_keep_object",
      "update objects set leased_until = greatest(coalesce(leased_until, now()), now() + make_interval(secs => $2)) "
      "where blob_id = $1 and collecting_since is null returning size"};
  if (request.blob_id().size() != 32) co_return Error(ErrorCode::kInvalidArgument, "a blob id has 32 octets");
  pg::Params params;
  params.bytea(request.blob_id())
      .float8(static_cast<double>(std::clamp<std::int64_t>(request.seconds(), 0, 60LL * 24 * 3600)));
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kKeep, std::move(params), caller.deadline));
  if (rows.empty()) co_return Error(ErrorCode::kNotFound, "the blob is gone");
  v1::KeepBlobResponse response;
  response.set_size(static_cast<std::uint64_t>(rows.front().bigint(0)));
  co_return response;
}

}  // namespace merpati::store
