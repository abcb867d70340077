#include "store/body.hpp"

#include "merpati/base/encoding.hpp"
#include "merpati/store/v1/store.pb.h"
#include "merpati/store/v1/summary.pb.h"
#include "store/core.hpp"
#include "store/summary.hpp"
#include "store/view.hpp"

namespace merpati::store {
namespace {

/// A conversation is known by the id of its first message: the first reference, else the message's own id. So no table
/// of ids has to be read or written at delivery, and all parts agree whatever the order of arrival.
std::int64_t thread_of(const v1::MessageSummary& summary) {
  const auto& root = summary.references_size() > 0 ? summary.references(0) : summary.message_id();
  if (root.empty()) return 0;
  const auto digest = sha256(root);
  std::uint64_t id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | static_cast<unsigned char>(digest[static_cast<std::size_t>(i)]);
  return static_cast<std::int64_t>(id);
}

std::shared_ptr<const StoredBody> parse_inline(const std::string& octets) {
  auto body = std::make_shared<StoredBody>();
  body->blob_id = sha256(octets);
  body->size = octets.size();
  auto encoded = encode(octets);
  body->codec = encoded.codec;
  body->octets = std::move(encoded.octets);
  v1::MessageSummary summary;
  summarize_message(octets, summary);
  if (summary.view_size() > 0) {
    body->codec = as_binary(body->codec);
    body->size = shown_size(view_of(summary));
  }
  set_summary(*body, std::move(summary));
  return body;
}

Task<std::shared_ptr<const StoredBody>> find_object(Core& core, const std::string& blob_id, Deadline deadline) {
  static const pg::Statement kFind{
      "store_find_object",
      "select size, envelope, structure, detail from objects where blob_id = $1 and collecting_since is null"};
  if (blob_id.size() != 32) co_return Error(ErrorCode::kInvalidArgument, "a blob id has 32 octets");
  pg::Params params;
  params.bytea(blob_id);
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kFind, std::move(params), deadline));
  if (rows.empty()) co_return Error(ErrorCode::kNotFound, "the uploaded body is not there any more");
  const auto row = rows.front();
  auto body = std::make_shared<StoredBody>();
  body->blob_id = blob_id;
  body->size = static_cast<std::uint64_t>(row.bigint(0));
  body->is_object = true;
  body->envelope = row.bytea(1);
  body->structure = row.bytea(2);
  body->detail = row.bytea(3);
  const auto summary = join_summary("", "", body->detail);
  if (summary.view_size() > 0) body->size = shown_size(view_of(summary));
  body->thread = thread_of(summary);
  co_return std::shared_ptr<const StoredBody>(std::move(body));
}

}  // namespace

void set_summary(StoredBody& body, v1::MessageSummary&& summary) {
  body.thread = thread_of(summary);
  body.envelope = std::move(*summary.mutable_envelope());
  body.structure = std::move(*summary.mutable_bodystructure());
  summary.clear_envelope();
  summary.clear_bodystructure();
  body.detail = summary.SerializeAsString();
}

v1::MessageSummary join_summary(std::string_view envelope, std::string_view structure, std::string_view detail) {
  v1::MessageSummary summary;
  static_cast<void>(summary.ParseFromArray(detail.data(), static_cast<int>(detail.size())));
  summary.set_envelope(envelope.data(), envelope.size());
  summary.set_bodystructure(structure.data(), structure.size());
  return summary;
}

Task<std::shared_ptr<const StoredBody>> prepare_body(Core& core, const v1::Body& body, Deadline deadline) {
  if (body.source_case() == v1::Body::kBlobId) co_return co_await find_object(core, body.blob_id(), deadline);
  if (body.source_case() != v1::Body::kInline) co_return Error(ErrorCode::kInvalidArgument, "a body is missing");
  if (body.inline_().size() > core.settings.inline_limit)
    co_return Error(ErrorCode::kInvalidArgument, "an inline body over the limit: upload it");
  co_return parse_inline(body.inline_());
}

}  // namespace merpati::store
