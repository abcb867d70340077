#include "store/codec.hpp"

#include <zstd.h>

#include <memory>

namespace merpati::store {
namespace {
constexpr std::uint64_t kMostBinary = 1024 * 1024;  // inline bodies are far smaller
constexpr int kLevel = 1;                           // levels above cost more processor than they save in the database

ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  return context.get();
}
ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  return context.get();
}
}  // namespace

Encoded encode(std::string_view octets) {
  Encoded out;
  out.octets.resize(ZSTD_compressBound(octets.size()));
  const auto size =
      ZSTD_compressCCtx(compressor(), out.octets.data(), out.octets.size(), octets.data(), octets.size(), kLevel);
  if (ZSTD_isError(size) || size + octets.size() / 8 >= octets.size()) {
    out.octets.assign(octets);
    return out;
  }
  out.octets.resize(size);
  out.codec = Codec::kZstd;
  return out;
}

std::string encode_always(std::string_view octets) {
  std::string out(ZSTD_compressBound(octets.size()), '\0');
  out.resize(ZSTD_compressCCtx(compressor(), out.data(), out.size(), octets.data(), octets.size(), kLevel));
  return out;
}

Result<std::string> decode(Codec codec, std::string_view stored, std::uint64_t size) {
  if (is_binary(codec)) {
    if (is_raw(codec)) return std::string(stored);
    size = ZSTD_getFrameContentSize(stored.data(), stored.size());
    if (size > kMostBinary) return Error(ErrorCode::kDataLoss, "a compressed body without its size");
  }
  if (codec == Codec::kRaw) {
    if (stored.size() != size) return Error(ErrorCode::kDataLoss, "a raw body of the wrong size");
    return std::string(stored);
  }
  std::string out(size, '\0');
  const auto got = ZSTD_decompressDCtx(decompressor(), out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(got) || got != size) return Error(ErrorCode::kDataLoss, "a compressed body that cannot be expanded");
  return out;
}

}  // namespace merpati::store
