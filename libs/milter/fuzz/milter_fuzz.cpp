// Octets of a milter: whatever they are, packets have limits, and what a response asks for leaves a header block that
// reads as it was meant.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "merpati/milter/edited_header.hpp"
#include "merpati/milter/options.hpp"
#include "merpati/milter/response.hpp"
#include "merpati/mime/header.hpp"

namespace {

using namespace merpati;

void check(bool holds) {
  if (!holds) std::abort();
}

void apply(const milter::Response& response, milter::EditedHeader& header) {
  using enum milter::Answer;
  const auto space = milter::EditedHeader::Space::kOurs;
  if (response.answer == kAddHeader) header.add(response.name, response.value, space);
  if (response.answer == kInsertHeader) header.insert(response.index, response.name, response.value, space);
  if (response.answer == kChangeHeader) header.change(response.index, response.name, response.value, space);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  milter::PacketReader whole, pieces;
  whole.feed(octets);
  std::size_t fed = 0;
  milter::EditedHeader header("Subject: x\r\nFrom: a@b\r\n\r\n");
  for (;;) {
    auto packet = whole.next();
    if (packet.has_error() || !*packet) break;
    check((*packet)->data.size() < milter::kLongestPacket);
    // The same packet comes out of single octets.
    auto again = pieces.next();
    while (again.has_value() && !*again && fed < size) {
      pieces.feed(octets.substr(fed++, 1));
      again = pieces.next();
    }
    check(again.has_value() && *again && (*again)->letter == (*packet)->letter && (*again)->data == (*packet)->data);
    const auto response = milter::parse_response(**packet);
    if (response.has_error()) continue;
    if (response->answer == milter::Answer::kReplyCode) check(response->code >= 400 && response->code <= 599);
    if (response->answer == milter::Answer::kNegotiate) static_cast<void>(milter::parse_options(response->text));
    apply(*response, header);
  }
  std::size_t fields = 0;
  for (const auto& field : header.fields()) fields += field.deleted ? 0U : 1U;
  const std::string block = header.str();
  check(block.size() == header.size() && block.ends_with(fields > 0 ? "\r\n\r\n" : "\r\n"));
  mime::FieldReader reader(block);
  std::size_t read = 0;
  for (mime::Field field; reader.next(field);) {
    check(!field.name.empty());
    ++read;
  }
  check(read == fields);
  return 0;
}
