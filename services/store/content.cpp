#include "store/content.hpp"

#include <algorithm>
#include <utility>

#include "merpati/base/encoding.hpp"
#include "merpati/store/v1/summary.pb.h"
#include "store/body.hpp"
#include "store/operations.hpp"
#include "store/packs.hpp"
#include "store/source_cache.hpp"

namespace merpati::store {
namespace {

constexpr std::size_t kReplyOctets = 60 * 1024;
constexpr std::uint64_t kChunkOctets = 256 * 1024;
constexpr std::uint64_t kReadAhead = 1024 * 1024;  // of an object, in one request
constexpr std::size_t kMostUids = 64;              // bodies in memory at once

const pg::Statement kSources{
    "store_sources",
    "select m.uid, m.size, m.header_prefix, m.inline, b.codec, b.size, b.octets, o.codec, o.size, o.key, o.frames, "
    "o.detail, b.pack, b.pack_offset, b.pack_length, m.blob_id "
    // lateral and offset 0 keep these as lookups by key: joined freely, the planner may read a whole mailbox.
    "from unnest($3::bigint[]) u (uid), lateral ("
    "select uid, size, header_prefix, inline, blob_id from messages where account_id = $1 and mailbox_id = $2 and uid "
    "= u.uid "
    "union all "
    "select uid, size, header_prefix, inline, blob_id from graves where account_id = $1 and mailbox_id = $2 and uid = "
    "u.uid) m "
    "left join lateral (select codec, size, octets, pack, pack_offset, pack_length from bodies where account_id = $1 "
    "and "
    "blob_id = m.blob_id offset 0) b on m.inline "
    "left join lateral (select codec, size, key, frames, case when codec >= 2 then detail end as detail from objects "
    "where blob_id = m.blob_id offset 0) o on not m.inline"};

std::vector<std::uint32_t> frame_ends(std::string_view packed) {
  std::vector<std::uint32_t> ends;
  for (std::size_t i = 0; i + 4 <= packed.size(); i += 4) {
    std::uint32_t end = 0;
    for (std::size_t k = 0; k < 4; ++k) end = end << 8 | static_cast<unsigned char>(packed[i + k]);
    ends.push_back(end);
  }
  return ends;
}

Task<std::string> read_object(Core& core, const Source& source, std::uint64_t offset, std::uint64_t length,
                              Deadline deadline) {
  if (!core.objects) co_return Error(ErrorCode::kUnavailable, "no object store");
  if (is_raw(source.codec)) co_return co_await core.objects->get(source.key, {offset, length}, deadline);
  const auto first = offset / kFrameOctets;
  const auto last = (offset + length - 1) / kFrameOctets;
  if (last >= source.frame_ends.size()) co_return Error(ErrorCode::kDataLoss, "the object's index is too short");
  const std::uint64_t begin = first == 0 ? 0 : source.frame_ends[first - 1];
  MERPATI_CO_TRY(auto stored,
                 co_await core.objects->get(source.key, {begin, source.frame_ends[last] - begin}, deadline));
  std::string out;
  for (auto frame = first; frame <= last; ++frame) {
    const std::uint64_t from = frame == 0 ? 0 : source.frame_ends[frame - 1];
    const std::uint64_t size = std::min(kFrameOctets, source.blob_size - frame * kFrameOctets);
    if (source.frame_ends[frame] - begin > stored.size())
      co_return Error(ErrorCode::kDataLoss, "the object is too short");
    const auto packed = std::string_view(stored).substr(from - begin, source.frame_ends[frame] - from);
    MERPATI_CO_TRY(auto octets, decode(Codec::kZstd, packed, size));
    out += octets;
  }
  co_return out.substr(offset - first * kFrameOctets, length);
}

/// A range of what is shown of an object with a view.
Task<std::string> read_shown(Core& core, const Source& source, std::uint64_t offset, std::uint64_t length,
                             Deadline deadline) {
  std::string out;
  for (const auto& read : plan_view_read(source.view, offset, length)) {
    std::string raw;
    if (read.piece.kind != mime::Piece::Kind::kText) {
      MERPATI_CO_TRY(raw, co_await read_object(core, source, read.piece.raw.offset, read.piece.raw.size, deadline));
      if (raw.size() != read.piece.raw.size) co_return Error(ErrorCode::kDataLoss, "the object is too short");
    }
    out.append(mime::render_piece(read.piece, raw), read.skip, read.size);
  }
  co_return out;
}

/// Inline binary mail is small enough to be shown as a whole.
void show_inline(Source& source) {
  const auto view =
      mime::plan_reencoding(source.octets, mime::read_parts(source.octets).root, mime::Carry::kText).pieces;
  auto shown = mime::reencode(source.octets, view);
  source.verbatim = std::exchange(source.octets, std::move(shown));
  source.blob_size = source.verbatim.size();
}

/// A message whose body is in a pack.
struct PackedSource {
  std::uint32_t uid = 0;
  Source source;
  std::string blob_id;
};

/// The octets are told by their name, so a wrong place shows.
Result<void> unpack(PackedSource& packed, std::string_view stored) {
  auto& source = packed.source;
  MERPATI_TRY(source.octets, decode(source.codec, stored, source.blob_size));
  if (sha256(source.octets) != packed.blob_id) return Error(ErrorCode::kDataLoss, "a pack holds other octets");
  if (is_binary(source.codec)) show_inline(source);
  return {};
}

/// What would only be read in advance is not worth a request of its own.
void keep_near(std::vector<PackedSource>& packed, std::vector<PackPlace>& places, std::int64_t wanted) {
  constexpr std::uint64_t kNear = 1024 * 1024;
  const auto at = std::find_if(packed.begin(), packed.end(), [&](const auto& one) { return one.uid == wanted; });
  if (at == packed.end()) {
    packed.clear(), places.clear();
    return;
  }
  const auto place = places[static_cast<std::size_t>(at - packed.begin())];
  for (std::size_t i = packed.size(); i-- > 0;) {
    const auto far = std::max(places[i].offset, place.offset) - std::min(places[i].offset, place.offset);
    if (places[i].pack == place.pack && far <= kNear) continue;
    packed.erase(packed.begin() + static_cast<std::ptrdiff_t>(i));
    places.erase(places.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

Task<Sources> load_sources(Core& core, std::int64_t account, std::int64_t mailbox,
                           const std::vector<std::int64_t>& uids, Deadline deadline) {
  Sources sources;
  std::vector<std::int64_t> missing;
  for (const auto uid : uids) {
    auto cached = core.sources->find({account, mailbox, static_cast<std::uint32_t>(uid)});
    if (cached)
      sources.by_uid.emplace(static_cast<std::uint32_t>(uid), std::move(cached));
    else
      missing.push_back(uid);
  }
  if (missing.empty()) co_return sources;
  // Clients that read one message read others soon: a round trip costs more than a few more rows.
  if (uids.size() == 1) {
    const auto also = core.sources->read_also({account, mailbox, static_cast<std::uint32_t>(uids[0])},
                                              std::chrono::steady_clock::now());
    for (std::int64_t uid = also.first; uid <= also.last; ++uid)
      if (uid != uids[0]) missing.push_back(uid);
  }
  pg::Params params;
  params.bigint(account).bigint(mailbox).bigints(missing);
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kSources, std::move(params), deadline));
  std::vector<PackedSource> packed;
  std::vector<PackPlace> places;
  for (const auto row : rows) {
    Source source;
    source.size = static_cast<std::uint64_t>(row.bigint(1));
    source.prefix = row.bytea(2);
    source.is_object = !row.boolean(3);
    if (!source.is_object && !row.is_null(4)) {
      source.blob_size = static_cast<std::uint64_t>(row.bigint(5));
      source.codec = static_cast<Codec>(row.integer(4));
      source.found = true;
      if (!row.is_null(12)) {
        places.push_back(
            {row.uuid(12), static_cast<std::uint64_t>(row.bigint(13)), static_cast<std::uint64_t>(row.integer(14))});
        packed.push_back({static_cast<std::uint32_t>(row.bigint(0)), std::move(source), std::string(row.bytea(15))});
        continue;
      }
      MERPATI_CO_TRY(source.octets, decode(source.codec, row.bytea(6), source.blob_size));
      if (is_binary(source.codec)) show_inline(source);
    } else if (source.is_object && !row.is_null(7)) {
      source.codec = static_cast<Codec>(row.integer(7));
      source.blob_size = static_cast<std::uint64_t>(row.bigint(8));
      source.key = row.text(9);
      source.frame_ends = frame_ends(row.bytea_or(10, ""));
      if (is_binary(source.codec)) source.view = view_of(join_summary("", "", row.bytea_or(11, "")));
      source.found = true;
    }
    const auto uid = static_cast<std::uint32_t>(row.bigint(0));
    auto shared = std::make_shared<const Source>(std::move(source));
    // An object may be replaced by another upload of the same octets, so its place is asked for each time.
    if (shared->found && !shared->is_object) core.sources->add({account, mailbox, uid}, shared);
    sources.by_uid.insert_or_assign(uid, std::move(shared));
  }
  if (uids.size() == 1) keep_near(packed, places, uids[0]);
  if (packed.empty()) co_return sources;
  const auto stored = co_await read_packs(core, std::move(places), deadline);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    auto& one = packed[i];
    one.source.failed = stored[i].error;
    if (!one.source.failed) {
      auto unpacked = unpack(one, stored[i].octets);
      if (unpacked.has_error()) one.source.failed = unpacked.error();
    }
    auto shared = std::make_shared<const Source>(std::move(one.source));
    if (!shared->failed) core.sources->add({account, mailbox, one.uid}, shared);
    sources.by_uid.insert_or_assign(one.uid, std::move(shared));
  }
  co_return sources;
}

Task<Source> load_object(Core& core, const std::string& blob_id, Deadline deadline) {
  static const pg::Statement kObject{"store_object", "select codec, size, key, frames from objects where blob_id = $1"};
  pg::Params params;
  params.bytea(blob_id);
  MERPATI_CO_TRY(auto rows, co_await core.pool.query(kObject, std::move(params), deadline));
  if (rows.empty()) co_return Error(ErrorCode::kNotFound, "the blob is gone");
  const auto row = rows.front();
  Source source;
  source.found = source.is_object = true;
  source.codec = static_cast<Codec>(row.integer(0));
  source.size = source.blob_size = static_cast<std::uint64_t>(row.bigint(1));
  source.key = row.text(2);
  source.frame_ends = frame_ends(row.bytea_or(3, ""));
  co_return source;
}

std::uint64_t size_of(const Source& source, Form form) {
  return form == Form::kVerbatim && is_binary(source.codec) ? source.prefix.size() + source.blob_size : source.size;
}

Task<std::string> read_octets(Core& core, const Source& source, std::uint64_t offset, std::uint64_t length,
                              Deadline deadline, Form form) {
  if (!source.found) co_return Error(ErrorCode::kDataLoss, "a message without its body");
  if (source.failed) co_return *source.failed;
  const auto size = size_of(source, form);
  if (offset >= size) co_return std::string();
  length = std::min(length, size - offset);
  std::string out;
  if (offset < source.prefix.size()) out = source.prefix.substr(offset, length);
  const auto rest = length - out.size();
  if (rest == 0) co_return out;
  const auto from = offset + out.size() - source.prefix.size();
  if (!source.is_object) {
    out.append(form == Form::kVerbatim && is_binary(source.codec) ? source.verbatim : source.octets, from, rest);
    co_return out;
  }
  std::string octets;
  if (form == Form::kShown && !source.view.empty()) {
    MERPATI_CO_TRY(octets, co_await read_shown(core, source, from, rest, deadline));
  } else {
    MERPATI_CO_TRY(octets, co_await read_object(core, source, from, rest, deadline));
  }
  if (octets.size() != rest) co_return Error(ErrorCode::kDataLoss, "the object is too short");
  if (out.empty()) co_return octets;
  out += octets;
  co_return out;
}

Task<v1::ReadContentResponse> read_content(Core& core, const Caller& caller, const v1::ReadContentRequest& request) {
  v1::ReadContentResponse response;
  Sources sources;
  std::size_t total = 0;
  int loaded = 0;
  for (int i = 0; i < request.ranges_size(); ++i) {
    if (i >= loaded) {
      std::vector<std::int64_t> uids;
      for (; loaded < request.ranges_size() && uids.size() < kMostUids; ++loaded) {
        const std::int64_t uid = request.ranges(loaded).uid();
        if (uids.empty() || uids.back() != uid) uids.push_back(uid);
      }
      MERPATI_CO_TRY(sources,
                     co_await load_sources(core, request.account_id(), request.mailbox_id(), uids, caller.deadline));
    }
    const auto& range = request.ranges(i);
    auto& content = *response.add_contents();
    content.set_uid(range.uid());
    content.set_offset(range.offset());
    const auto* source = sources.find(range.uid());
    if (!source) {
      content.set_gone(true);
      continue;
    }
    const auto form = range.verbatim() ? Form::kVerbatim : Form::kShown;
    const auto size = size_of(*source, form);
    content.set_message_size(size);
    const auto left = size - std::min(size, range.offset());
    const auto wanted = range.length() == 0 ? left : std::min<std::uint64_t>(left, range.length());
    const auto room = std::min<std::uint64_t>(wanted, kReplyOctets - total);
    MERPATI_CO_TRY(auto octets, co_await read_octets(core, *source, range.offset(), room, caller.deadline, form));
    total += octets.size() + 16;
    content.set_octets(std::move(octets));
    if (total >= kReplyOctets) break;
  }
  co_return response;
}

Task<void> stream_content(Core& core, const Caller& caller, const v1::StreamContentRequest& request,
                          rpc::Writer<v1::StreamContentResponse>& out) {
  const auto uid = request.range().uid();
  MERPATI_CO_TRY(auto sources,
                 co_await load_sources(core, request.account_id(), request.mailbox_id(), {uid}, caller.deadline));
  const auto* source = sources.find(uid);
  if (!source) co_return Error(ErrorCode::kNotFound, "the message is gone");
  const auto form = request.range().verbatim() ? Form::kVerbatim : Form::kShown;
  const auto size = size_of(*source, form);
  auto at = std::min(request.range().offset(), size);
  const auto end = request.range().length() == 0 ? size : std::min(size, at + request.range().length());
  while (at < end) {
    MERPATI_CO_TRY(auto octets,
                   co_await read_octets(core, *source, at, std::min(kReadAhead, end - at), caller.deadline, form));
    at += octets.size();
    for (std::size_t i = 0; i < octets.size(); i += kChunkOctets) {
      v1::StreamContentResponse chunk;
      if (octets.size() <= kChunkOctets)
        chunk.set_chunk(std::move(octets));
      else
        chunk.set_chunk(octets.substr(i, kChunkOctets));
      const bool whole = octets.empty();
      MERPATI_CO_CHECK(co_await out.write(std::move(chunk)));
      if (whole) break;
    }
  }
  co_return Result<void>();
}

}  // namespace merpati::store
