#include "queue/content.hpp"

#include <algorithm>

#include "merpati/mime/charset.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::queue {
namespace {
class InlineContent : public Content {
 public:
  InlineContent(std::string prefix, std::string body) : prefix_(std::move(prefix)), body_(std::move(body)) {}

  Task<ContentSource> open() override {
    auto step = std::make_shared<int>(0);
    co_return ContentSource([this, step]() -> Task<std::string_view> { return next(step); });
  }
  Task<std::string> beginning(std::size_t max) override {
    std::string out = prefix_ + body_;
    if (out.size() > max) out.resize(max);
    co_return out;
  }
  bool eight_bit() const override { return !mime::is_ascii(prefix_) || !mime::is_ascii(body_); }
  const std::string* inline_body() const override { return &body_; }

 private:
  Task<std::string_view> next(std::shared_ptr<int> step) {
    for (;;) {
      const int now = (*step)++;
      if (now > 1) co_return std::string_view();
      const std::string& piece = now == 0 ? prefix_ : body_;
      if (!piece.empty()) co_return std::string_view(piece);
    }
  }
  std::string prefix_;
  std::string body_;
};

class BlobContent : public Content {
 public:
  BlobContent(std::shared_ptr<const Message> message, std::shared_ptr<rpc::Channel> store)
      : message_(std::move(message)), store_(std::move(store)) {}

  Task<ContentSource> open() override {
    auto reading = std::make_shared<Reading>();
    co_return ContentSource([this, reading]() -> Task<std::string_view> { return next(reading); });
  }
  Task<std::string> beginning(std::size_t max) override {
    MERPATI_CO_TRY(const ContentSource source, co_await open());
    std::string out;
    while (out.size() < max) {
      MERPATI_CO_TRY(const std::string_view piece, co_await source());
      if (piece.empty()) break;
      out += piece.substr(0, max - out.size());
    }
    co_return out;
  }
  bool eight_bit() const override { return message_->body_type != BodyType::k7Bit; }
  const std::string* inline_body() const override { return nullptr; }

 private:
  struct Reading {
    bool prefix_given = false;
    std::unique_ptr<rpc::Reader<store::v1::ReadBlobResponse>> reader;
    store::v1::ReadBlobResponse chunk;
  };
  Task<std::string_view> next(std::shared_ptr<Reading> reading) {
    if (!reading->prefix_given) {
      reading->prefix_given = true;
      if (!message_->header_prefix.empty()) co_return std::string_view(message_->header_prefix);
    }
    if (!reading->reader) {
      store::v1::StoreClient client(store_);
      store::v1::ReadBlobRequest request;
      request.set_blob_id(message_->blob_id);
      rpc::CallOptions options;
      options.cell = message_->cell;
      MERPATI_CO_TRY(reading->reader, co_await client.read_blob(request, options));
    }
    for (;;) {
      MERPATI_CO_TRY(auto chunk, co_await reading->reader->read());
      if (!chunk) co_return std::string_view();
      reading->chunk = *std::move(chunk);
      if (!reading->chunk.chunk().empty()) co_return std::string_view(reading->chunk.chunk());
    }
  }
  std::shared_ptr<const Message> message_;
  std::shared_ptr<rpc::Channel> store_;
};
}  // namespace

Task<std::shared_ptr<Content>> load_content(Repository& repository, std::shared_ptr<rpc::Channel> store,
                                            std::shared_ptr<const Message> message, Deadline deadline) {
  if (message->has_octets) {
    MERPATI_CO_TRY(std::string body, co_await repository.octets(message->delivery_id, deadline));
    co_return std::shared_ptr<Content>(std::make_shared<InlineContent>(message->header_prefix, std::move(body)));
  }
  if (!store) co_return Error(ErrorCode::kUnavailable, "no store to read the message from");
  co_return std::shared_ptr<Content>(std::make_shared<BlobContent>(message, store));
}

}  // namespace merpati::queue
