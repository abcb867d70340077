#include "store/view.hpp"

#include <algorithm>

#include "merpati/store/v1/summary.pb.h"

namespace merpati::store {
namespace {
using Kind = mime::Piece::Kind;
constexpr std::uint64_t kLineOctets = 57, kLineCharacters = 78;  // of base64 (mime/reencode.hpp)
}  // namespace

View view_of(const v1::MessageSummary& summary) {
  View view;
  for (const auto& stored : summary.view()) {
    mime::Piece piece;
    piece.kind = stored.is_text() ? Kind::kText : stored.base64() ? Kind::kBase64 : Kind::kCopy;
    piece.raw = {stored.offset(), stored.size()};
    piece.text = stored.text();
    view.push_back(std::move(piece));
  }
  return view;
}

void set_view(const View& view, std::uint64_t blob_size, v1::MessageSummary& summary) {
  summary.set_blob_bytes(blob_size);
  for (const auto& piece : view) {
    auto& stored = *summary.add_view();
    stored.set_offset(piece.raw.offset);
    stored.set_size(piece.raw.size);
    stored.set_is_text(piece.kind == Kind::kText);
    stored.set_base64(piece.kind == Kind::kBase64);
    stored.set_text(piece.text);
  }
}

std::uint64_t shown_size(const View& view) {
  std::uint64_t size = 0;
  for (const auto& piece : view) size += mime::rendered_size(piece);
  return size;
}

std::vector<ViewRead> plan_view_read(const View& view, std::uint64_t offset, std::uint64_t length) {
  std::vector<ViewRead> reads;
  const std::uint64_t end = offset + length;
  std::uint64_t at = 0;
  for (const auto& piece : view) {
    const std::uint64_t size = mime::rendered_size(piece), begin = std::max(at, offset),
                        until = std::min(at + size, end);
    if (begin < until) {
      ViewRead read{piece, begin - at, until - begin};
      if (piece.kind == Kind::kCopy) {
        read.piece.raw = {piece.raw.offset + read.skip, read.size};
        read.skip = 0;
      } else if (piece.kind == Kind::kBase64) {
        // Whole lines around the range.
        const std::uint64_t first = read.skip / kLineCharacters, last = (read.skip + read.size - 1) / kLineCharacters;
        const std::uint64_t from = first * kLineOctets;
        read.piece.raw = {piece.raw.offset + from, std::min(piece.raw.size, (last + 1) * kLineOctets) - from};
        read.skip -= first * kLineCharacters;
      }
      reads.push_back(std::move(read));
    }
    at += size;
  }
  return reads;
}

}  // namespace merpati::store
