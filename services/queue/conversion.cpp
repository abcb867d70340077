#include "queue/conversion.hpp"

#include <algorithm>

#include "merpati/base/spool.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/reencode.hpp"
#include "merpati/mime/summary.hpp"

namespace merpati::queue {
namespace {

constexpr std::size_t kChunk = 57 * 2048;  // whole lines of base64

class SpooledContent : public Content {
 public:
  SpooledContent(Spool spool, std::string_view octets)
      : spool_(std::move(spool)), octets_(octets), eight_bit_(!mime::is_ascii(octets)) {}

  Task<ContentSource> open() override {
    auto at = std::make_shared<std::size_t>(0);
    co_return ContentSource([this, at]() -> Task<std::string_view> { return next(at); });
  }
  Task<std::string> beginning(std::size_t max) override { co_return std::string(octets_.substr(0, max)); }
  bool eight_bit() const override { return eight_bit_; }
  const std::string* inline_body() const override { return nullptr; }
  std::size_t size() const { return octets_.size(); }

 private:
  Task<std::string_view> next(std::shared_ptr<std::size_t> at) {
    const auto piece = octets_.substr(*at, 256 * 1024);
    *at += piece.size();
    co_return piece;
  }
  Spool spool_;
  std::string_view octets_;  // of the spool
  bool eight_bit_;
};

Task<Spool> spool_all(Content& content) {
  Spool spool;
  MERPATI_CO_CHECK(spool.open());
  MERPATI_CO_TRY(const ContentSource source, co_await content.open());
  for (;;) {
    MERPATI_CO_TRY(const std::string_view piece, co_await source());
    if (piece.empty()) co_return spool;
    MERPATI_CO_CHECK(spool.add(piece));
  }
}

/// Large parts go in steps: whole lines of base64, and of text that becomes quoted-printable.
std::size_t step_of(const mime::Piece& piece, std::string_view raw) {
  if (piece.kind == mime::Piece::Kind::kText || raw.size() <= kChunk) return raw.size();
  if (piece.kind != mime::Piece::Kind::kQuotedPrintable) return kChunk;
  const auto end = raw.find("\r\n", kChunk);
  return end == std::string_view::npos ? raw.size() : end + 2;
}

/// What is known of the octets once they were looked at.
struct Converted {
  bool ascii_header = true;    ///< no 8-bit octet outside of what can be encoded
  bool has_signature = false;  ///< which a conversion would break
  bool fits = false;           ///< after conversion
  std::optional<Spool> spool;  ///< set when something had to change
};

Result<Converted> convert(std::string_view octets, std::optional<mime::Carry> carry) {
  Converted out;
  const auto parts = mime::read_parts(octets);
  const auto seven = mime::plan_reencoding(octets, parts.root, mime::Carry::k7Bit);
  for (const auto& piece : seven.pieces) {
    if (piece.kind == mime::Piece::Kind::kCopy)
      out.ascii_header = out.ascii_header && mime::is_ascii(piece.raw.of(octets));
  }
  if (seven.pieces.empty()) out.ascii_header = mime::is_ascii(octets);
  out.fits = true;
  if (!carry) return out;
  const auto plan = *carry == mime::Carry::k7Bit ? seven : mime::plan_reencoding(octets, parts.root, *carry);
  if (plan.pieces.empty()) {
    out.fits = mime::fits(octets, *carry);
    return out;
  }
  const auto header = parts.root.header.of(octets);
  out.has_signature = plan.has_signed_parts || mime::find_field(header, "DKIM-Signature").has_value();
  Spool spool;
  MERPATI_CHECK(spool.open());
  for (const auto& piece : plan.pieces) {
    if (piece.kind == mime::Piece::Kind::kCopy) out.fits = out.fits && mime::fits(piece.raw.of(octets), *carry);
    auto raw = piece.raw.of(octets);
    do {
      const auto step = step_of(piece, raw);
      MERPATI_CHECK(spool.add(mime::render_piece(piece, raw.substr(0, step))));
      raw.remove_prefix(step);
    } while (!raw.empty());
  }
  out.spool.emplace(std::move(spool));
  return out;
}

/// The mail of others is theirs, down to the octet: what they signed stays whole.
bool is_forwarded(const Message& message) {
  // Our own bounces have no sender either, and nothing that we prepended.
  const bool own_bounce = message.reverse_path.empty() && message.header_prefix.empty();
  return message.sender_account_id == 0 && !own_bounce;
}

}  // namespace

std::optional<std::string> to_ascii_address(const std::string& address) {
  const auto at = address.rfind('@');
  if (at == std::string::npos || !mime::is_ascii(std::string_view(address).substr(0, at))) return std::nullopt;
  auto domain = dns::to_ascii(std::string_view(address).substr(at + 1));
  if (!domain) return std::nullopt;
  return address.substr(0, at + 1) + *domain;
}

Task<Fitted> fit_for(const smtp::ServerExtensions& host, const std::string& host_name, const Message& message,
                     Content& content, Transaction& transaction, asio::thread_pool& blocking) {
  Fitted fitted;
  const bool takes_binary = host.binarymime && host.chunking;
  const bool too_binary = transaction.body_type == BodyType::kBinaryMime && !takes_binary;
  const bool too_eight =
      transaction.eight_bit && !host.eightbitmime && !(transaction.body_type == BodyType::kBinaryMime && takes_binary);
  const bool too_utf8 = transaction.smtputf8 && !host.smtputf8;
  if (!too_binary && !too_eight && !too_utf8) co_return fitted;
  std::optional<mime::Carry> carry;
  if (too_binary) carry = mime::Carry::k8Bit;
  if (too_eight) carry = mime::Carry::k7Bit;

  MERPATI_CO_TRY(auto spool, co_await spool_all(content));
  MERPATI_CO_TRY(const auto octets, spool.view());
  auto work = [octets, carry] { return convert(octets, carry); };
  MERPATI_CO_TRY(auto converted, co_await run_blocking(blocking, std::move(work)));

  const std::string what = too_utf8     ? "internationalized mail (SMTPUTF8)"
                           : too_binary ? "binary mail (BINARYMIME)"
                                        : "8-bit mail (8BITMIME)";
  const auto refuse = [&](const char* status, const std::string& why) {
    fitted.refusal = Outcome::failed(status, "The remote host does not take " + what + why, host_name);
  };
  if (too_utf8 && !converted.ascii_header) {
    // RFC 6531 3.5, RFC 3463 5.6.7: a header in UTF-8 has no other form that means the same.
    refuse("5.6.7", "");
    co_return fitted;
  }
  transaction.smtputf8 = transaction.smtputf8 && !too_utf8;
  if (!carry) co_return fitted;
  if (converted.spool && is_forwarded(message)) {
    refuse("5.6.2", ", and forwarded mail is not converted");
  } else if (converted.has_signature) {
    refuse("5.6.2", ", and converting it would break its signature");
  } else if (!converted.fits) {
    refuse("5.6.3", ", and it cannot be converted");
  }
  if (fitted.refusal) co_return fitted;
  transaction.body_type = BodyType::k7Bit;
  if (!converted.spool) {
    transaction.eight_bit = transaction.eight_bit && *carry != mime::Carry::k7Bit;
    co_return fitted;
  }
  MERPATI_CO_TRY(const auto shown, converted.spool->view());
  auto out = std::make_shared<SpooledContent>(std::move(*converted.spool), shown);
  transaction.size = out->size();
  transaction.eight_bit = out->eight_bit();
  fitted.note = *carry == mime::Carry::k7Bit ? "converted to 7bit" : "converted from binary to 8bit";
  fitted.content = std::move(out);
  co_return fitted;
}

}  // namespace merpati::queue
