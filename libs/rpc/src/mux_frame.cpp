#include "mux_frame.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "wire.hpp"

namespace merpati::rpc {

namespace {

using google::protobuf::MessageLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using Wire = google::protobuf::internal::WireFormatLite;

constexpr std::size_t kBatchBytes = 1 << 20;

constexpr std::uint32_t text_tag(int field) { return Wire::MakeTag(field, Wire::WIRETYPE_LENGTH_DELIMITED); }
constexpr std::uint32_t number_tag(int field) { return Wire::MakeTag(field, Wire::WIRETYPE_VARINT); }

// All our fields have numbers below 16, so that a tag is one octet.
std::size_t number_size(std::uint64_t value) { return value == 0 ? 0 : 1 + CodedOutputStream::VarintSize64(value); }
std::size_t text_size(std::size_t size) {
  return size == 0 ? 0 : 1 + CodedOutputStream::VarintSize32(static_cast<std::uint32_t>(size)) + size;
}

std::uint8_t* put_head(int field, std::size_t size, std::uint8_t* out) {
  out = CodedOutputStream::WriteTagToArray(text_tag(field), out);
  return CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(size), out);
}
std::uint8_t* put_number(int field, std::uint64_t value, std::uint8_t* out) {
  if (value == 0) return out;
  out = CodedOutputStream::WriteTagToArray(number_tag(field), out);
  return CodedOutputStream::WriteVarint64ToArray(value, out);
}
std::uint8_t* put_text(int field, std::string_view text, std::uint8_t* out) {
  if (text.empty()) return out;
  out = put_head(field, text.size(), out);
  return std::copy(text.begin(), text.end(), out);
}
std::uint8_t* put_message(int field, std::size_t size, const MessageLite& message, std::uint8_t* out) {
  if (size == 0) return out;
  return message.SerializeWithCachedSizesToArray(put_head(field, size, out));
}

bool get_text(CodedInputStream& in, std::string_view& out) {
  std::uint32_t size = 0;
  if (!in.ReadVarint32(&size)) return false;
  out = {};
  if (size == 0) return true;
  const void* at = nullptr;
  int left = 0;
  if (!in.GetDirectBufferPointer(&at, &left) || size > static_cast<std::uint32_t>(left)) return false;
  out = {static_cast<const char*>(at), size};
  return in.Skip(static_cast<int>(size));
}

CodedInputStream over(std::string_view text) {
  return CodedInputStream(reinterpret_cast<const std::uint8_t*>(text.data()), static_cast<int>(text.size()));
}

/// Calls `field(in, tag)` for each field of a message; it says whether it could read it.
template <class Field>
bool each_field(std::string_view message, Field field) {
  auto in = over(message);
  while (const auto tag = in.ReadTag()) {
    if (!field(in, tag)) return false;
  }
  return in.ConsumedEntireMessage();
}

bool get_number(CodedInputStream& in, std::uint64_t& out) { return in.ReadVarint64(&out); }

}  // namespace

std::uint8_t* FrameWriter::grow(std::size_t bytes) {
  if (octets_.empty()) {
    octets_.resize(kFrameHead);
  } else if (octets_.size() - frame_ + bytes > kBatchBytes + kFrameHead && octets_.size() > frame_ + kFrameHead) {
    end_frame();
    frame_ = octets_.size();
    octets_.resize(frame_ + kFrameHead);
  }
  const auto at = octets_.size();
  octets_.resize(at + bytes);
  return reinterpret_cast<std::uint8_t*>(octets_.data()) + at;
}

void FrameWriter::end_frame() {
  const auto length = static_cast<std::uint32_t>(octets_.size() - frame_ - kFrameHead);
  for (std::size_t i = 0; i < kFrameHead; ++i) octets_[frame_ + i] = static_cast<char>(length >> (24 - 8 * i));
}

void FrameWriter::add_call(std::uint64_t id, const Call& call, const MessageLite& request) {
  const std::size_t payload = request.ByteSizeLong();
  const std::size_t size = number_size(id) + text_size(call.method.size()) +
                           number_size(static_cast<std::uint64_t>(call.timeout_us)) + text_size(call.token.size()) +
                           text_size(call.trace_id.size()) + text_size(payload);
  auto* out = put_head(v1::MuxRequest::kCallsFieldNumber, size, grow(text_size(size)));
  out = put_number(v1::MuxCall::kIdFieldNumber, id, out);
  out = put_text(v1::MuxCall::kMethodFieldNumber, call.method, out);
  out = put_number(v1::MuxCall::kTimeoutUsFieldNumber, static_cast<std::uint64_t>(call.timeout_us), out);
  out = put_text(v1::MuxCall::kTokenFieldNumber, call.token, out);
  out = put_text(v1::MuxCall::kTraceIdFieldNumber, call.trace_id, out);
  put_message(v1::MuxCall::kPayloadFieldNumber, payload, request, out);
}

void FrameWriter::add_cancelled(std::uint64_t id) {
  put_number(v1::MuxRequest::kCancelledFieldNumber, id, grow(number_size(id)));
}

void FrameWriter::add_ping() { put_number(v1::MuxRequest::kPingFieldNumber, 1, grow(number_size(1))); }

void FrameWriter::add_reply(std::uint64_t id, const MessageLite& response) {
  const std::size_t payload = response.ByteSizeLong();
  if (payload > kMaxReply)
    return add_error(id, Error(ErrorCode::kResourceExhausted, "the answer is too large for one message"));
  const std::size_t size = number_size(id) + text_size(payload);
  auto* out = put_head(v1::MuxResponse::kRepliesFieldNumber, size, grow(text_size(size)));
  out = put_number(v1::MuxReply::kIdFieldNumber, id, out);
  put_message(v1::MuxReply::kPayloadFieldNumber, payload, response, out);
}

void FrameWriter::add_error(std::uint64_t id, const Error& error) {
  v1::MuxReply reply;
  reply.set_id(id);
  reply.set_code(static_cast<int>(error.code()));
  reply.set_message(error.message());
  if (!error.public_text().empty() || !error.enhanced_status().empty() || !error.may_retry())
    *reply.mutable_details() = details_of(error);
  const std::size_t size = reply.ByteSizeLong();
  put_message(v1::MuxResponse::kRepliesFieldNumber, size, reply, grow(text_size(size)));
}

void FrameWriter::add_credit(std::uint32_t calls, std::uint64_t bytes) {
  v1::MuxCredit credit;
  credit.set_calls(calls);
  credit.set_bytes(bytes);
  const std::size_t size = credit.ByteSizeLong();
  put_message(v1::MuxResponse::kCreditFieldNumber, size, credit, grow(text_size(size)));
}

void FrameWriter::add_draining() { put_number(v1::MuxResponse::kDrainingFieldNumber, 1, grow(number_size(1))); }

void FrameWriter::add_pong() { put_number(v1::MuxResponse::kPongFieldNumber, 1, grow(number_size(1))); }

void FrameWriter::append(FrameWriter& other) {
  if (other.empty()) return;
  other.end_frame();
  if (!empty()) end_frame();
  frame_ = octets_.size() + other.frame_;
  octets_ += other.octets_;
  other.octets_.clear();
  other.frame_ = 0;
}

void FrameWriter::take(std::string& out) {
  if (!empty()) end_frame();
  out.swap(octets_);
  octets_.clear();
  frame_ = 0;
}

std::size_t frame_length(std::string_view head) {
  std::size_t length = 0;
  for (const char octet : head.substr(0, kFrameHead)) length = length << 8 | static_cast<unsigned char>(octet);
  return length;
}

namespace {

bool read_call(std::string_view message, RequestSink::Call& call) {
  return each_field(message, [&](CodedInputStream& in, std::uint32_t tag) {
    std::uint64_t number = 0;
    switch (tag) {
      case number_tag(v1::MuxCall::kIdFieldNumber):
        return get_number(in, call.id);
      case text_tag(v1::MuxCall::kMethodFieldNumber):
        return get_text(in, call.method);
      case number_tag(v1::MuxCall::kTimeoutUsFieldNumber):
        if (!get_number(in, number)) return false;
        call.timeout_us = static_cast<std::int64_t>(number);
        return true;
      case text_tag(v1::MuxCall::kTokenFieldNumber):
        return get_text(in, call.token);
      case text_tag(v1::MuxCall::kTraceIdFieldNumber):
        return get_text(in, call.trace_id);
      case text_tag(v1::MuxCall::kPayloadFieldNumber):
        return get_text(in, call.payload);
      default:
        return Wire::SkipField(&in, tag);
    }
  });
}

bool read_reply(std::string_view message, ResponseSink::Reply& reply) {
  return each_field(message, [&](CodedInputStream& in, std::uint32_t tag) {
    std::uint64_t number = 0;
    switch (tag) {
      case number_tag(v1::MuxReply::kIdFieldNumber):
        return get_number(in, reply.id);
      case number_tag(v1::MuxReply::kCodeFieldNumber):
        if (!get_number(in, number)) return false;
        reply.code = static_cast<int>(number);
        return true;
      case text_tag(v1::MuxReply::kMessageFieldNumber):
        return get_text(in, reply.message);
      case text_tag(v1::MuxReply::kDetailsFieldNumber):
        return get_text(in, reply.details);
      case text_tag(v1::MuxReply::kPayloadFieldNumber):
        return get_text(in, reply.payload);
      default:
        return Wire::SkipField(&in, tag);
    }
  });
}

}  // namespace

bool read_request(std::string_view frame, RequestSink& sink) {
  return each_field(frame, [&](CodedInputStream& in, std::uint32_t tag) {
    std::string_view text;
    std::uint64_t number = 0;
    switch (tag) {
      case text_tag(v1::MuxRequest::kCallsFieldNumber): {
        RequestSink::Call call;
        if (!get_text(in, text) || !read_call(text, call)) return false;
        sink.on_call(call);
        return true;
      }
      case number_tag(v1::MuxRequest::kCancelledFieldNumber):
        if (!get_number(in, number)) return false;
        sink.on_cancelled(number);
        return true;
      case text_tag(v1::MuxRequest::kCancelledFieldNumber):  // packed, as generated code writes them
        if (!get_text(in, text)) return false;
        for (auto packed = over(text); packed.CurrentPosition() < static_cast<int>(text.size());) {
          if (!get_number(packed, number)) return false;
          sink.on_cancelled(number);
        }
        return true;
      case number_tag(v1::MuxRequest::kPingFieldNumber):
        if (!get_number(in, number)) return false;
        if (number != 0) sink.on_ping();
        return true;
      default:
        return Wire::SkipField(&in, tag);
    }
  });
}

bool read_response(std::string_view frame, ResponseSink& sink) {
  return each_field(frame, [&](CodedInputStream& in, std::uint32_t tag) {
    std::string_view text;
    std::uint64_t number = 0;
    switch (tag) {
      case text_tag(v1::MuxResponse::kRepliesFieldNumber): {
        ResponseSink::Reply reply;
        if (!get_text(in, text) || !read_reply(text, reply)) return false;
        sink.on_reply(reply);
        return true;
      }
      case text_tag(v1::MuxResponse::kCreditFieldNumber): {
        v1::MuxCredit credit;
        if (!get_text(in, text) || !credit.ParseFromArray(text.data(), static_cast<int>(text.size()))) return false;
        sink.on_credit(credit.calls(), credit.bytes());
        return true;
      }
      case number_tag(v1::MuxResponse::kDrainingFieldNumber):
        if (!get_number(in, number)) return false;
        if (number != 0) sink.on_draining();
        return true;
      default:
        return Wire::SkipField(&in, tag);
    }
  });
}

}  // namespace merpati::rpc
