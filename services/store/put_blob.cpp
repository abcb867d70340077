// PutBlob: a large body on its way to the object store. It is spooled first, since its name (SHA-256) and its summary
// are only known at the end, and since a body that is there already need not be stored twice.
#include "merpati/base/encoding.hpp"
#include "merpati/base/fail_point.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/base/spool.hpp"
#include "merpati/store/v1/summary.pb.h"
#include "store/body.hpp"
#include "store/content.hpp"
#include "store/operations.hpp"
#include "store/summary.hpp"

namespace merpati::store {
namespace {

struct Packed {
  StoredBody body;
  std::string key;
  std::string frames;  ///< end offsets, 4 octets each
  std::uint64_t stored = 0;
  bool binary = false;  ///< it has a view
};

void add_frame_end(std::string& frames, std::uint64_t end) {
  for (int shift = 24; shift >= 0; shift -= 8) frames += static_cast<char>(end >> shift);
}

/// A mebibyte's frames, each compressed alone, so that a part of the message is a range of the object.
std::string pack(std::string_view octets, Packed& packed) {
  std::string out;
  for (std::size_t at = 0; at < octets.size(); at += kFrameOctets) {
    auto frame = encode_always(octets.substr(at, kFrameOctets));
    out += frame;
    add_frame_end(packed.frames, packed.stored + out.size());
  }
  packed.stored += out.size();
  return out;
}

Task<bool> touch_existing(Core& core, const std::string& blob_id, Deadline deadline) {
  static const pg::Statement kTouch{
      "store_touch_object",
      "update objects set leased_until = greatest(coalesce(leased_until, now()), now() + make_interval(secs => $2)), "
      "unused_since = case when refs <= 0 then now() end where blob_id = $1 and collecting_since is null"};
  pg::Params params;
  params.bytea(blob_id).float8(static_cast<double>(core.settings.blob_lease.count()));
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kTouch, std::move(params), deadline));
  co_return rows.affected() > 0;
}

Task<void> upload(Core& core, std::string_view octets, Packed& packed, Deadline deadline) {
  constexpr std::size_t kStep = 16 * kFrameOctets;
  // What does not compress (most attachments do, being base64) is kept raw: a range needs no frame then.
  const bool raw = encode(octets.substr(0, kFrameOctets)).codec == Codec::kRaw;
  packed.body.codec = raw ? Codec::kRaw : Codec::kZstd;
  if (packed.binary) packed.body.codec = as_binary(packed.body.codec);
  MERPATI_CO_TRY(auto writer, co_await core.objects->open_writer(packed.key, deadline));
  for (std::size_t at = 0; at < octets.size(); at += kStep) {
    const auto piece = octets.substr(at, kStep);
    std::string out;
    if (raw) {
      out = std::string(piece);
      packed.stored += out.size();
    } else {
      auto work = [piece, &packed] { return pack(piece, packed); };
      out = co_await run_blocking(core.blocking, std::move(work));
    }
    MERPATI_CO_CHECK(co_await writer->write(std::move(out), deadline));
  }
  MERPATI_CO_FAIL_POINT("store_before_object");
  co_return co_await writer->commit(deadline);
}

Task<void> record(Core& core, const Packed& packed, Deadline deadline) {
  // Somebody may have stored the same octets meanwhile: theirs stays, ours is removed. One that is being collected is
  // replaced.
  static const pg::Statement kRecord{
      "store_record_object",
      "insert into objects (blob_id, key, size, stored_size, codec, frames, leased_until, envelope, structure, detail) "
      "values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, $9, $10) "
      "on conflict (blob_id) do update set leased_until = excluded.leased_until, collecting_since = null, "
      "key = case when objects.collecting_since is null then objects.key else excluded.key end, "
      "codec = case when objects.collecting_since is null then objects.codec else excluded.codec end, "
      "frames = case when objects.collecting_since is null then objects.frames else excluded.frames end, "
      "stored_size = case when objects.collecting_since is null then objects.stored_size else excluded.stored_size end "
      "returning key"};
  pg::Params params;
  params.bytea(packed.body.blob_id).text(packed.key).bigint(static_cast<std::int64_t>(packed.body.size));
  params.bigint(static_cast<std::int64_t>(packed.stored))
      .integer(static_cast<int>(packed.body.codec))
      .bytea(packed.frames);
  params.float8(static_cast<double>(core.settings.blob_lease.count()));
  params.bytea(packed.body.envelope).bytea(packed.body.structure).bytea(packed.body.detail);
  MERPATI_CO_TRY(auto rows, co_await core.pool.write(kRecord, std::move(params), deadline));
  if (rows.front().text(0) != packed.key) static_cast<void>(co_await core.objects->remove(packed.key, deadline));
  co_return Result<void>();
}

}  // namespace

Task<v1::PutBlobResponse> put_blob(Core& core, const Caller& caller, rpc::Reader<v1::PutBlobRequest>& in) {
  Spool spool;
  MERPATI_CO_CHECK(spool.open());
  Sha256 hash;
  for (;;) {
    MERPATI_CO_TRY(auto request, co_await in.read());
    if (!request) break;
    if (spool.size() + request->chunk().size() > core.settings.max_message_size)
      co_return Error(ErrorCode::kResourceExhausted, "the body is too large")
          .with_public("message too large")
          .with_status("5.3.4");
    hash.update(request->chunk());
    MERPATI_CO_CHECK(spool.add(request->chunk()));
  }
  Packed packed;
  packed.body.blob_id = hash.finish();
  packed.body.size = spool.size();
  packed.body.is_object = true;
  packed.key = "blobs/" + new_uuid();
  v1::PutBlobResponse response;
  response.set_blob_id(packed.body.blob_id);
  response.set_size(packed.body.size);
  MERPATI_CO_TRY(const bool there, co_await touch_existing(core, packed.body.blob_id, caller.deadline));
  if (there) co_return response;
  if (!core.objects) co_return Error(ErrorCode::kUnavailable, "no object store");
  MERPATI_CO_TRY(auto octets, spool.view());
  auto parse = [octets, &packed] {
    v1::MessageSummary summary;
    summarize_message(octets, summary);
    packed.binary = summary.view_size() > 0;
    set_summary(packed.body, std::move(summary));
    return 0;
  };
  co_await run_blocking(core.blocking, std::move(parse));
  MERPATI_CO_CHECK(co_await upload(core, octets, packed, caller.deadline));
  MERPATI_CO_FAIL_POINT("store_after_object");
  MERPATI_CO_CHECK(co_await record(core, packed, caller.deadline));
  MERPATI_CO_FAIL_POINT("store_after_record");
  co_return response;
}

}  // namespace merpati::store
