// The streaming sides of a call: Reader and Writer for handlers, and what a client gets. All are thin typed views of a
// Stream.
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <optional>
#include <utility>

#include "merpati/base/task.hpp"

namespace merpati::rpc {

using google::protobuf::MessageLite;

/// One call's two directions, untyped. One coroutine may read while another writes; each direction has one user.
class Stream {
 public:
  virtual ~Stream() = default;
  /// The next message, or null at the end of the stream. On a client the end is an error when the call failed.
  virtual Task<std::unique_ptr<MessageLite>> read() = 0;
  /// Waits while the peer is slow.
  virtual Task<void> write(std::unique_ptr<MessageLite> message) = 0;
  /// Says that no more will be written (clients only; a handler says it by returning).
  virtual Task<void> done_writing() = 0;
  /// Ends the call at once: reads and writes then fail with kCancelled. Any thread.
  virtual void cancel() = 0;
};

template <class T>
class Reader {
 public:
  explicit Reader(Stream& stream) : stream_(&stream) {}
  explicit Reader(std::shared_ptr<Stream> stream) : owned_(std::move(stream)), stream_(owned_.get()) {}

  /// The next message; nullopt at the end of the stream.
  Task<std::optional<T>> read() {
    auto message = co_await stream_->read();
    if (message.has_error()) co_return std::move(message).error();
    if (*message == nullptr) co_return std::optional<T>();
    co_return std::optional<T>(std::move(static_cast<T&>(**message)));
  }
  void cancel() { stream_->cancel(); }

 private:
  std::shared_ptr<Stream> owned_;
  Stream* stream_;
};

template <class T>
class Writer {
 public:
  explicit Writer(Stream& stream) : stream_(&stream) {}

  Task<void> write(T message) {
    std::unique_ptr<MessageLite> boxed = std::make_unique<T>(std::move(message));
    co_return co_await stream_->write(std::move(boxed));
  }

 private:
  Stream* stream_;
};

/// A client's view of a bidirectional call. Dropping it cancels the call.
template <class Request, class Response>
class ClientStream {
 public:
  explicit ClientStream(std::shared_ptr<Stream> stream)
      : stream_(std::move(stream)), reader_(*stream_), writer_(*stream_) {}
  Task<std::optional<Response>> read() { return reader_.read(); }
  Task<void> write(Request message) { return writer_.write(std::move(message)); }
  Task<void> done_writing() { return stream_->done_writing(); }
  void cancel() { stream_->cancel(); }

 private:
  std::shared_ptr<Stream> stream_;
  Reader<Response> reader_;
  Writer<Request> writer_;
};

/// A client's view of a client-streaming call. Dropping it before finish() cancels the call.
template <class Request, class Response>
class ClientWriter {
 public:
  explicit ClientWriter(std::shared_ptr<Stream> stream)
      : stream_(std::move(stream)), reader_(*stream_), writer_(*stream_) {}
  /// Fails with the call's error when the server has ended it early.
  Task<void> write(Request message) { return writer_.write(std::move(message)); }
  /// Says that all is written and waits for the answer.
  Task<Response> finish() {
    MERPATI_CO_CHECK(co_await stream_->done_writing());
    MERPATI_CO_TRY(auto response, co_await reader_.read());
    if (!response) co_return Error(ErrorCode::kInternal, "the call ended without an answer");
    co_return *std::move(response);
  }
  void cancel() { stream_->cancel(); }

 private:
  std::shared_ptr<Stream> stream_;
  Reader<Response> reader_;
  Writer<Request> writer_;
};

}  // namespace merpati::rpc
