// Frames of Mux, read by hand and by the generated classes: what these accept means the same to both. Whatever was read
// is written again, and comes back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mux_frame.hpp"

namespace {

using namespace merpati::rpc;

void check(bool holds) {
  if (!holds) std::abort();
}

/// Makes a message of what it is told; a field that came twice is the last one, as in protobuf.
struct Requests final : RequestSink {
  void on_call(const Call& call) override {
    auto& out = *read.add_calls();
    out.set_id(call.id);
    out.set_method(std::string(call.method));
    out.set_timeout_us(call.timeout_us);
    out.set_token(std::string(call.token));
    out.set_trace_id(std::string(call.trace_id));
    out.set_payload(std::string(call.payload));
  }
  void on_cancelled(std::uint64_t id) override { read.add_cancelled(id); }
  void on_ping() override { read.set_ping(true); }
  v1::MuxRequest read;
};

struct Responses final : ResponseSink {
  void on_reply(const Reply& reply) override {
    auto& out = *read.add_replies();
    out.set_id(reply.id);
    out.set_code(reply.code);
    out.set_message(std::string(reply.message));
    out.set_payload(std::string(reply.payload));
  }
  void on_credit(std::uint32_t, std::uint64_t) override { credits = true; }
  void on_draining() override { read.set_draining(true); }
  v1::MuxResponse read;
  bool credits = false;
};

void requests(std::string_view frame) {
  Requests ours;
  const bool whole = read_request(frame, ours);
  v1::MuxRequest theirs;
  if (!theirs.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) return;
  check(whole);
  theirs.DiscardUnknownFields();
  theirs.set_ping(ours.read.ping());  // true once means true
  check(theirs.SerializeAsString() == ours.read.SerializeAsString());

  FrameWriter writer;
  for (const auto& call : theirs.calls()) {
    v1::ErrorDetails request;  // any message: its octets are the payload
    request.set_public_text(call.token());
    writer.add_call(call.id(), {call.method(), call.token(), call.trace_id(), call.timeout_us()}, request);
  }
  for (const auto id : theirs.cancelled())
    if (id != 0) writer.add_cancelled(id);
  std::string octets;
  writer.take(octets);
  for (std::string_view rest = octets; !rest.empty();) {
    const auto length = frame_length(rest);
    check(length + kFrameHead <= rest.size() && length <= kMaxFrame);
    v1::MuxRequest again;
    check(again.ParseFromArray(rest.data() + kFrameHead, static_cast<int>(length)));
    rest.remove_prefix(kFrameHead + length);
  }
}

void responses(std::string_view frame) {
  Responses ours;
  const bool whole = read_response(frame, ours);
  v1::MuxResponse theirs;
  if (!theirs.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) return;
  check(whole);
  check(ours.credits == theirs.has_credit());
  check(ours.read.replies_size() == theirs.replies_size());
  for (int i = 0; i < theirs.replies_size(); ++i) {
    check(ours.read.replies(i).id() == theirs.replies(i).id());
    check(ours.read.replies(i).code() == theirs.replies(i).code());
    check(ours.read.replies(i).message() == theirs.replies(i).message());
    check(ours.read.replies(i).payload() == theirs.replies(i).payload());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view frame(reinterpret_cast<const char*>(data), size);
  requests(frame);
  responses(frame);
  return 0;
}
