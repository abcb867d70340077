// How binary mail is shown where its NUL octets may not go (RFC 9051 4.3.1, RFC 1939): its view has those parts in
// base64, with sizes and offsets that a client can rely on. The blob stays as it came.
#pragma once

#include <cstdint>
#include <vector>

#include "merpati/mime/reencode.hpp"

namespace merpati::store::v1 {
class MessageSummary;
}

namespace merpati::store {

using View = std::vector<mime::Piece>;

/// Of the summary that was stored; empty when the message is shown as it is.
View view_of(const v1::MessageSummary& summary);
void set_view(const View& view, std::uint64_t blob_size, v1::MessageSummary& summary);
/// Octets of what is shown.
std::uint64_t shown_size(const View& view);

/// Where a range of what is shown comes from: render the piece from `raw`, and take `size` octets from `skip` on.
struct ViewRead {
  mime::Piece piece;  ///< with a raw range that may be narrower than the view's
  std::uint64_t skip = 0;
  std::uint64_t size = 0;
};
/// In order; together they are the range, as far as it is within the view.
std::vector<ViewRead> plan_view_read(const View& view, std::uint64_t offset, std::uint64_t length);

}  // namespace merpati::store
