#include "imap/fetch_writer.hpp"

#include "merpati/mime/transfer.hpp"

namespace merpati::imap {
namespace {

using Kind = FetchItem::Kind;
using Text = Section::Text;

// HEADER.FIELDS of an embedded message may have to read a header of any size.
constexpr std::uint64_t kLongestHeader = 1024 * 1024;

struct Gather {
  std::string octets;
  Task<void> operator()(const std::string& chunk) {
    octets += chunk;
    co_return Result<void>();
  }
};

// Promises the literal only once its first octets are here.
struct CopyOut {
  Session& session;
  std::string head;
  bool& left;
  Task<void> operator()(const std::string& chunk) {
    if (!left || !head.empty()) {
      session.out() += head;
      head.clear();
      left = true;
    }
    co_return co_await session.connection().flush_with(chunk, session.write_deadline());
  }
};

struct CountDecoded {
  mime::TransferDecoder decoder;
  std::uint64_t size = 0;
  bool has_nul = false;
  std::string piece;
  void take() {
    size += piece.size();
    has_nul = has_nul || piece.find('\0') != std::string::npos;
    piece.clear();
  }
  Task<void> operator()(const std::string& chunk) {
    decoder.feed(chunk, piece);
    take();
    co_return Result<void>();
  }
};

// Decodes again and lets through what lies within `window`.
struct CopyDecoded {
  mime::TransferDecoder decoder;
  OctetRange window;
  CopyOut out;
  std::uint64_t at = 0;
  std::string piece;
  Task<void> pass() {
    const std::uint64_t begin = std::max(at, window.offset);
    const std::uint64_t end = std::min(at + piece.size(), window.offset + window.length);
    std::string part = begin < end
                           ? piece.substr(static_cast<std::size_t>(begin - at), static_cast<std::size_t>(end - begin))
                           : std::string();
    at += piece.size();
    piece.clear();
    if (part.empty()) co_return Result<void>();
    co_return co_await out(part);
  }
  Task<void> operator()(const std::string& chunk) {
    decoder.feed(chunk, piece);
    co_return co_await pass();
  }
};

std::string literal_head(const FetchItem& item, std::uint64_t size, bool eight = false) {
  std::string head = item.label + (eight ? " ~{" : " {");
  append_number(head, size);
  head += "}\r\n";
  return head;
}

std::string_view partial_of(std::string_view octets, const FetchItem& item) {
  const auto range = cut({0, octets.size()}, item.partial);
  return octets.substr(static_cast<std::size_t>(std::min<std::uint64_t>(range.offset, octets.size())),
                       static_cast<std::size_t>(range.length));
}

}  // namespace

void FetchWriter::expect(const pb::FetchMessagesResponse& rows) {
  content_.forget_plan();
  for (const auto& row : rows.rows()) {
    for (const auto& item : arguments_.items) {
      if (const auto range = content_range(row, item)) content_.plan(row.uid(), *range);
    }
  }
}

void FetchWriter::begin(const pb::MessageRow& row, std::uint32_t sequence, bool flags_changed) {
  // RFC 7162 3.2.4: the new MODSEQ of a message that became \Seen goes with its UID.
  const bool uid = plan_.add_uid || (flags_changed && session_.condstore && !plan_.has_uid);
  auto& out = session_.out();
  row_start_ = out.size();
  row_left_ = false;
  out += "* ";
  append_number(out, sequence);
  out += " FETCH (";
  first_item_ = !uid;
  if (uid) {
    out += "UID ";
    append_number(out, row.uid());
  }
}

void FetchWriter::separate() {
  if (!std::exchange(first_item_, false)) session_.out() += ' ';
}

void FetchWriter::write_flags(const pb::MessageRow& row) {
  auto& out = session_.out();
  out += "FLAGS ";
  append_flags(out, row.flags(), row.keywords(), !session_.rev2 && session_.selected()->is_recent(row.uid()));
}

void FetchWriter::end(const pb::MessageRow& row, bool flags_changed) {
  auto& out = session_.out();
  if (flags_changed && !plan_.has_flags) {
    out += ' ';
    write_flags(row);
  }
  if (plan_.add_modseq || (flags_changed && session_.condstore && !plan_.has_modseq)) {
    out += " MODSEQ (";
    append_number(out, row.modseq());
    out += ')';
  }
  out += ")\r\n";
}

void FetchWriter::write_item(const pb::MessageRow& row, const FetchItem& item) {
  auto& out = session_.out();
  switch (item.kind) {
    case Kind::kFlags:
      return write_flags(row);
    case Kind::kModSeq:
      out += "MODSEQ (";
      append_number(out, row.modseq());
      out += ')';
      return;
    case Kind::kUid:
      out += "UID ";
      append_number(out, row.uid());
      return;
    case Kind::kInternalDate:
      out += "INTERNALDATE ";
      append_date_time(out, (row.received_at_ms() - (row.received_at_ms() < 0 ? 999 : 0)) / 1000,
                       row.received_zone_minutes());
      return;
    case Kind::kRfc822Size:
      out += "RFC822.SIZE ";
      append_number(out, row.size());
      return;
    case Kind::kEnvelope:
      out += "ENVELOPE ";
      out += row.envelope();
      return;
    case Kind::kBody:
      out += "BODY ";
      out += row.body();
      return;
    case Kind::kBodyStructure:
      out += "BODYSTRUCTURE ";
      out += row.bodystructure();
      return;
    case Kind::kBodySection: {  // in_row_header
      const bool fields = item.section.text != Text::kHeader;
      const std::string picked =
          fields ? pick_fields(row.header(), item.section.fields, item.section.text == Text::kHeaderFieldsNot)
                 : std::string();
      out += item.label;
      out += ' ';
      append_literal(out, partial_of(fields ? std::string_view(picked) : std::string_view(row.header()), item));
      return;
    }
    case Kind::kBinary:
    case Kind::kBinarySize:
      return;
  }
}

void FetchWriter::write(const pb::MessageRow& row, std::uint32_t sequence, bool flags_changed) {
  begin(row, sequence, flags_changed);
  for (const auto& item : arguments_.items) {
    separate();
    write_item(row, item);
  }
  end(row, flags_changed);
}

void FetchWriter::write_body(std::uint32_t uid, std::uint32_t sequence, std::string_view octets) {
  pb::MessageRow row;
  row.set_uid(uid);
  begin(row, sequence, false);
  auto& out = session_.out();
  for (const auto& item : arguments_.items) {
    separate();
    if (item.kind == Kind::kUid) {
      write_item(row, item);
      continue;
    }
    out += item.label;
    out += ' ';
    append_literal(out, octets);
  }
  end(row, false);
}

Task<void> FetchWriter::write_with_contents(const pb::MessageRow& row, std::uint32_t sequence, bool flags_changed) {
  begin(row, sequence, flags_changed);
  for (const auto& item : arguments_.items) {
    separate();
    Result<void> written;
    if (item.kind == Kind::kBinary || item.kind == Kind::kBinarySize) {
      written = co_await write_binary(row, item);
    } else if (item.kind == Kind::kBodySection && !in_row_header(item)) {
      written = co_await write_section(row, item);
    } else {
      write_item(row, item);
    }
    if (written.has_value()) continue;
    content_.forget_plan();
    if (row_left_) {
      // A literal was promised that cannot be completed: only the end of the connection tells the client.
      session_.cut();
      co_return Error(ErrorCode::kUnavailable, "cut within a literal: " + written.error().describe());
    }
    session_.out().resize(row_start_);
    co_return std::move(written).error();
  }
  end(row, flags_changed);
  co_return Result<void>();
}

Task<std::string> FetchWriter::read_whole(std::uint32_t uid, OctetRange range) {
  if (range.length <= ContentReader::kSmall) co_return co_await content_.read(uid, range);
  if (range.length > kLongestHeader)
    co_return Error(ErrorCode::kResourceExhausted, "header too long").with_public("The header is too long");
  Gather gather;
  MERPATI_CO_CHECK(co_await content_.stream(uid, range, gather));
  co_return std::move(gather.octets);
}

Task<void> FetchWriter::write_section(const pb::MessageRow& row, const FetchItem& item) {
  const auto range = content_range(row, item);
  if (!range) {
    session_.out() += item.label + " \"\"";  // no such part: an empty text, as other servers say
    co_return Result<void>();
  }
  const bool fields = item.section.text == Text::kHeaderFields || item.section.text == Text::kHeaderFieldsNot;
  if (!fields && range->length > ContentReader::kSmall) co_return co_await write_large(row, item, *range);
  MERPATI_CO_TRY(auto octets, co_await read_whole(row.uid(), *range));
  auto& out = session_.out();
  out += item.label;
  out += ' ';
  if (fields) {
    const auto picked = pick_fields(octets, item.section.fields, item.section.text == Text::kHeaderFieldsNot);
    append_literal(out, partial_of(picked, item));
  } else {
    append_literal(out, octets);
  }
  co_return Result<void>();
}

Task<void> FetchWriter::write_large(const pb::MessageRow& row, const FetchItem& item, OctetRange range) {
  CopyOut copy{session_, literal_head(item, range.length), row_left_};
  co_return co_await content_.stream(row.uid(), range, copy);
}

Task<void> FetchWriter::write_binary(const pb::MessageRow& row, const FetchItem& item) {
  auto& out = session_.out();
  const auto range = content_range(row, item);
  const bool size_only = item.kind == Kind::kBinarySize;
  if (!range) {
    out += item.label + (size_only ? " 0" : " NIL");
    co_return Result<void>();
  }
  const auto* part = item.section.part.empty() ? nullptr : find_part(row, item.section.part);
  const auto encoding =
      part == nullptr ? std::optional(mime::Encoding::kIdentity) : mime::encoding_from_name(part->encoding());
  if (!encoding)
    co_return Error(ErrorCode::kUnimplemented, "unknown transfer encoding").with_public("Unknown transfer encoding");
  if (range->length <= ContentReader::kSmall) {
    MERPATI_CO_TRY(auto octets, co_await content_.read(row.uid(), *range));
    const auto decoded = mime::decode_transfer(*encoding, octets);
    if (size_only) {
      out += item.label + ' ';
      append_number(out, decoded.size());
      co_return Result<void>();
    }
    const auto part_of = partial_of(decoded, item);
    out += literal_head(item, part_of.size(), part_of.find('\0') != std::string_view::npos);
    out += part_of;
    co_return Result<void>();
  }
  // Two passes: the size has to be said before the octets, and a large part is never held in memory.
  CountDecoded counter{mime::TransferDecoder(*encoding)};
  MERPATI_CO_CHECK(co_await content_.stream(row.uid(), *range, counter));
  counter.decoder.finish(counter.piece);
  counter.take();
  if (size_only) {
    out += item.label + ' ';
    append_number(out, counter.size);
    co_return Result<void>();
  }
  const auto window = cut({0, counter.size}, item.partial);
  if (window.length == 0) {
    out += literal_head(item, 0);
    co_return Result<void>();
  }
  CopyDecoded copy{mime::TransferDecoder(*encoding), window,
                   CopyOut{session_, literal_head(item, window.length, counter.has_nul), row_left_}};
  MERPATI_CO_CHECK(co_await content_.stream(row.uid(), *range, copy));
  copy.decoder.finish(copy.piece);
  co_return co_await copy.pass();
}

}  // namespace merpati::imap
