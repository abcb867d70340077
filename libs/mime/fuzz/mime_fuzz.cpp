// Any bytes are a message: the tree stays inside it, and everything that reads it ends.
#include <cstdint>
#include <cstdlib>

#include "merpati/mime/downgrade.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/html.hpp"
#include "merpati/mime/imap_format.hpp"
#include "merpati/mime/reencode.hpp"
#include "merpati/mime/search_text.hpp"
#include "merpati/mime/transfer.hpp"

namespace mime = merpati::mime;

static void check(const mime::Part& part, const mime::Span& outer) {
  const auto inside = [&](const mime::Span& span) { return span.offset >= outer.offset && span.end() <= outer.end(); };
  if (!inside(part.header) || !inside(part.body) || part.body.offset < part.header.end()) std::abort();
  for (const mime::Part& child : part.children) check(child, part.body);
}

// Re-encoded mail is as large as was said, and has no NUL.
static void check_reencoding(std::string_view message, const mime::Summary& summary) {
  for (auto carry : {mime::Carry::kText, mime::Carry::k8Bit, mime::Carry::k7Bit}) {
    const auto pieces = mime::plan_reencoding(message, summary.root, carry).pieces;
    if (pieces.empty()) continue;
    std::uint64_t total = 0, at = 0;
    bool sized = true;
    for (const auto& piece : pieces) {
      if (piece.raw.offset != at) std::abort();
      at = piece.raw.end();
      sized = sized && piece.kind != mime::Piece::Kind::kQuotedPrintable;
      total += mime::rendered_size(piece);
    }
    const std::string out = mime::reencode(message, pieces);
    if (at != message.size() || out.find('\0') != std::string::npos || (sized && total != out.size())) std::abort();
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const mime::Summary summary = mime::summarize(message);
  check(summary.root, {0, size});
  mime::render_envelope(summary.envelope);
  mime::render_bodystructure(summary.root);
  mime::render_body(summary.root);
  mime::Needle("x\xC3\xA4").in_message(message, summary.root);
  // Longer lines than the decoder keeps are cut where the pieces end, which may keep white space.
  for (auto encoding : {mime::Encoding::kBase64, mime::Encoding::kQuotedPrintable}) {
    mime::TransferDecoder decoder(encoding);
    std::string pieces;
    for (std::size_t i = 0; i < size; i += 7) decoder.feed(message.substr(i, 7), pieces);
    decoder.finish(pieces);
    if (size < 4096 && pieces != mime::decode_transfer(encoding, message)) std::abort();
  }
  check_reencoding(message, summary);
  mime::downgrade_header(summary.root.header.of(message));
  mime::decode_encoded_words(message.substr(0, 4096));
  if (mime::html_links(message, 50).size() > 50) std::abort();
  return 0;
}
