#include "store/packs.hpp"

#include <algorithm>
#include <numeric>

#include "merpati/runtime/log.hpp"
#include "store/core.hpp"

namespace merpati::store {
namespace {

constexpr std::uint64_t kGap = 64 * 1024;
constexpr std::uint64_t kRange = 4 * 1024 * 1024;

/// What a client may be told to try again, and what it may not. A pack that is not there is an object store that lost
/// its directory or bucket more likely than one that lost the pack.
Error read_error(const Error& error, const std::string& pack) {
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kCancelled:
    case ErrorCode::kResourceExhausted:
      return error;
    case ErrorCode::kOutOfRange:
    case ErrorCode::kDataLoss:
      return Error(ErrorCode::kDataLoss, "the pack " + pack + " is too short");
    default:
      log::error("store_pack_unreadable", "the object store does not give a pack",
                 {{"pack", pack}, {"why", error.describe()}});
      return Error(ErrorCode::kUnavailable, "the pack " + pack + " cannot be read: " + error.describe());
  }
}

}  // namespace

std::string pack_key(const std::string& pack) { return "packs/" + pack; }

std::vector<PackRead> plan_pack_reads(const std::vector<PackPlace>& places) {
  std::vector<std::size_t> order(places.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&places](std::size_t a, std::size_t b) {
    return std::tie(places[a].pack, places[a].offset, a) < std::tie(places[b].pack, places[b].offset, b);
  });
  std::vector<PackRead> reads;
  for (const auto i : order) {
    const auto& place = places[i];
    const auto end = place.offset + place.length;
    const bool joins = !reads.empty() && reads.back().pack == place.pack &&
                       place.offset <= reads.back().offset + reads.back().length + kGap &&
                       end <= reads.back().offset + kRange;
    if (!joins) reads.push_back({place.pack, place.offset, 0, {}});
    auto& read = reads.back();
    read.length = std::max(read.length, end - read.offset);
    read.places.push_back(i);
  }
  return reads;
}

asio::awaitable<std::vector<PackedOctets>> read_packs(Core& core, std::vector<PackPlace> places, Deadline deadline) {
  std::vector<PackedOctets> out(places.size());
  std::optional<Error> down;  // nobody waits once more for a store that does not answer
  for (const auto& read : plan_pack_reads(places)) {
    if (!core.objects) down = Error(ErrorCode::kUnavailable, "no object store");
    std::string octets;
    std::optional<Error> error = down;
    if (!error) {
      auto got = co_await core.objects->get(pack_key(read.pack), {read.offset, read.length}, deadline);
      if (got.has_error()) {
        error = read_error(got.error(), read.pack);
        if (error->code() != ErrorCode::kDataLoss) down = error;
      } else {
        octets = *std::move(got);
      }
    }
    for (const auto i : read.places) {
      const auto from = places[i].offset - read.offset;
      if (error)
        out[i].error = error;
      else if (from + places[i].length > octets.size())
        out[i].error = Error(ErrorCode::kDataLoss, "the pack " + read.pack + " is too short");
      else
        out[i].octets = octets.substr(from, places[i].length);
    }
  }
  co_return out;
}

}  // namespace merpati::store
