#include "merpati/objects/s3_store.hpp"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "merpati/base/encoding.hpp"
#include "s3_client.hpp"
#include "xml.hpp"

namespace merpati::objects {
namespace {

/// RFC 1864: DeleteObjects demands Content-MD5.
std::string content_md5(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_md5(), nullptr);
  return to_base64({reinterpret_cast<const char*>(digest), size});
}

std::uint64_t to_number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class Store final : public ObjectStore, public std::enable_shared_from_this<Store> {
 public:
  explicit Store(std::shared_ptr<S3Transport> transport) : client_(std::move(transport)) {}
  S3Client& client() { return client_; }
  const S3Options& options() const { return client_.options(); }
  std::string full_key(std::string_view key) const { return options().key_prefix + std::string(key); }

  Task<void> put(std::string key, std::string bytes, Deadline deadline) override {
    const auto self = shared_from_this();
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(options().observer, "put");
    S3Request request{"PutObject", "PUT", full_key(key), {}, {}, std::make_shared<const std::string>(std::move(bytes))};
    MERPATI_CO_CHECK(observed(co_await client_.call(std::move(request), deadline)));
    co_return Result<void>();
  }

  Task<std::unique_ptr<ObjectWriter>> open_writer(std::string key, Deadline deadline) override;

  Task<std::string> get(std::string key, Range range, Deadline deadline) override {
    const auto self = shared_from_this();
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(options().observer, "get");
    co_return observed(co_await get_range(std::move(key), range, deadline));
  }

  Task<ObjectInfo> head(std::string key, Deadline deadline) override {
    const auto self = shared_from_this();
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(options().observer, "head");
    S3Request request{"HeadObject", "HEAD", full_key(key), {}, {}, nullptr};
    MERPATI_CO_TRY(auto response, observed(co_await client_.call(std::move(request), deadline)));
    ObjectInfo info{std::move(key), to_number(response.headers["content-length"]), {}};
    const auto modified = ::curl_getdate(response.headers["last-modified"].c_str(), nullptr);
    if (modified > 0) info.modified = std::chrono::system_clock::from_time_t(modified);
    co_return info;
  }

  Task<void> remove(std::string key, Deadline deadline) override {
    const auto self = shared_from_this();
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(options().observer, "remove");
    S3Request request{"DeleteObject", "DELETE", full_key(key), {}, {}, nullptr};
    auto removed = observed(co_await client_.call(std::move(request), deadline));
    if (removed.has_error() && removed.error().code() != ErrorCode::kNotFound) co_return std::move(removed).error();
    co_return Result<void>();
  }

  Task<std::vector<RemoveFailure>> remove_many(std::vector<std::string> keys, Deadline deadline) override {
    const auto self = shared_from_this();
    constexpr std::size_t kBatch = 1000;  // the most that DeleteObjects takes
    std::vector<RemoveFailure> failures;
    for (std::size_t start = 0; start < keys.size(); start += kBatch) {
      const Observed observed(options().observer, "remove");
      const auto batch_keys = std::span(keys).subspan(start, std::min(kBatch, keys.size() - start));
      const std::vector<std::string> batch(batch_keys.begin(), batch_keys.end());
      MERPATI_CO_CHECK(observed(co_await remove_batch(batch, failures, deadline)));
    }
    co_return failures;
  }

  Task<ListPage> list(std::string prefix, std::string continuation, std::size_t limit, Deadline deadline) override {
    const auto self = shared_from_this();
    if (limit < 1 || limit > 1000) co_return Error(ErrorCode::kInvalidArgument, "a page has 1 to 1000 objects");
    const Observed observed(options().observer, "list");
    S3Request request{"ListObjectsV2",
                      "GET",
                      "",
                      {{"list-type", "2"}, {"max-keys", std::to_string(limit)}, {"prefix", full_key(prefix)}},
                      {},
                      nullptr};
    if (!continuation.empty()) request.query.emplace_back("continuation-token", std::move(continuation));
    MERPATI_CO_TRY(const auto response, observed(co_await client_.call(std::move(request), deadline)));
    MERPATI_CO_TRY(const auto document, parse_xml(response.body));
    ListPage page;
    for (const auto& one : document.children) {
      if (one.name != "Contents") continue;
      const auto key = one.text_of("Key");
      if (!key.starts_with(options().key_prefix)) continue;
      page.objects.push_back({std::string(key.substr(options().key_prefix.size())), to_number(one.text_of("Size")),
                              parse_iso_time(one.text_of("LastModified"))});
    }
    if (document.text_of("IsTruncated") == "true") page.next = document.text_of("NextContinuationToken");
    co_return page;
  }

  Task<std::size_t> remove_abandoned(std::chrono::seconds age, Deadline deadline) override {
    const auto self = shared_from_this();
    const auto oldest = std::chrono::system_clock::now() - age;
    std::size_t removed = 0;
    std::string key_marker, upload_marker;
    for (;;) {
      S3Request request{
          "ListMultipartUploads", "GET", "", {{"uploads", ""}, {"prefix", options().key_prefix}}, {}, nullptr};
      if (!key_marker.empty()) request.query.emplace_back("key-marker", key_marker);
      if (!upload_marker.empty()) request.query.emplace_back("upload-id-marker", upload_marker);
      MERPATI_CO_TRY(const auto response, co_await client_.call(std::move(request), deadline));
      MERPATI_CO_TRY(const auto document, parse_xml(response.body));
      for (const auto& one : document.children) {
        if (one.name != "Upload" || parse_iso_time(one.text_of("Initiated")) > oldest) continue;
        MERPATI_CO_CHECK(co_await client_.abort_upload(std::string(one.text_of("Key")),
                                                       std::string(one.text_of("UploadId")), deadline));
        ++removed;
      }
      key_marker = document.text_of("NextKeyMarker");
      upload_marker = document.text_of("NextUploadIdMarker");
      if (document.text_of("IsTruncated") != "true" || key_marker.empty()) co_return removed;
    }
  }

  Task<void> check(Deadline deadline) override {
    const auto self = shared_from_this();
    S3Request request{
        "ListObjectsV2", "GET", "", {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", options().key_prefix}}, {},
        nullptr};
    MERPATI_CO_CHECK(co_await client_.call(std::move(request), deadline));
    co_return Result<void>();
  }

 private:
  Task<std::string> get_range(std::string key, Range range, Deadline deadline) {
    if (range.length == 0) co_return std::string();
    S3Request request{"GetObject", "GET", full_key(key), {}, {}, nullptr};
    if (!range.whole()) {
      const bool open_end = range.length > std::numeric_limits<std::uint64_t>::max() - range.offset;
      request.headers.emplace_back("Range", "bytes=" + std::to_string(range.offset) + "-" +
                                                (open_end ? "" : std::to_string(range.offset + range.length - 1)));
    }
    auto answered = co_await client_.call(std::move(request), deadline);
    // RFC 9110 14.1.2: no range of an empty object can be satisfied.
    if (answered.has_error() && answered.error().code() == ErrorCode::kOutOfRange && range.offset == 0)
      co_return std::string();
    MERPATI_CO_TRY(auto response, std::move(answered));
    if (response.status == 206 || range.whole()) co_return std::move(response.body);
    // RFC 9110 14.2: a server may ignore Range and send everything.
    if (range.offset >= response.body.size() && !response.body.empty())
      co_return Error(ErrorCode::kOutOfRange, "the range starts behind the end of " + key);
    co_return response.body.substr(range.offset, range.length);
  }

  Task<void> remove_batch(std::vector<std::string> keys, std::vector<RemoveFailure>& failures, Deadline deadline) {
    std::string body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
    bool some = false;
    for (const auto& key : keys) {
      if (auto good = check_key(key); good.has_error()) {
        failures.push_back({key, std::move(good).error()});
        continue;
      }
      body += "<Object><Key>" + xml_escape(full_key(key)) + "</Key></Object>";
      some = true;
    }
    body += "</Delete>";
    if (!some) co_return Result<void>();
    S3Request request{"DeleteObjects",
                      "POST",
                      "",
                      {{"delete", ""}},
                      {{"Content-MD5", content_md5(body)}},
                      std::make_shared<const std::string>(body)};
    MERPATI_CO_TRY(const auto response, co_await client_.call(std::move(request), deadline));
    MERPATI_CO_TRY(const auto document, parse_xml(response.body));
    for (const auto& one : document.children) {
      if (one.name != "Error" || one.text_of("Code") == "NoSuchKey") continue;
      auto key = one.text_of("Key");
      if (key.starts_with(options().key_prefix)) key.remove_prefix(options().key_prefix.size());
      failures.push_back({std::string(key), Error(ErrorCode::kUnavailable, std::string(one.text_of("Code")) + ": " +
                                                                               std::string(one.text_of("Message")))});
    }
    co_return Result<void>();
  }

  S3Client client_;
};

/// Small bodies become one put at commit; larger ones a multipart upload.
class Writer final : public ObjectWriter {
 public:
  Writer(std::shared_ptr<Store> store, std::string key) : store_(std::move(store)), key_(std::move(key)) {}
  ~Writer() override {
    if (!upload_.empty()) store_->client().abort_upload_later(store_->full_key(key_), upload_);
  }

  Task<void> write(std::string bytes, Deadline deadline) override {
    if (ended_) co_return Error(ErrorCode::kFailedPrecondition, "the writer has ended");
    waiting_ += bytes;
    const auto part_bytes = store_->options().part_bytes;
    while (waiting_.size() >= part_bytes) {
      auto rest = waiting_.substr(part_bytes);
      waiting_.resize(part_bytes);
      auto sent = co_await send_part(std::exchange(waiting_, std::move(rest)), deadline);
      if (sent.has_error()) {
        ended_ = true;
        co_return sent;
      }
    }
    co_return Result<void>();
  }

  Task<void> commit(Deadline deadline) override {
    if (ended_) co_return Error(ErrorCode::kFailedPrecondition, "the writer has ended");
    ended_ = true;
    if (upload_.empty()) co_return co_await store_->put(key_, std::move(waiting_), deadline);
    const Observed observed(store_->options().observer, "put");
    if (!waiting_.empty()) MERPATI_CO_CHECK(observed(co_await send_part(std::move(waiting_), deadline)));
    auto completed =
        observed(co_await store_->client().complete_upload(store_->full_key(key_), upload_, tags_, deadline));
    if (completed.has_value()) upload_.clear();
    co_return completed;
  }

 private:
  Task<void> send_part(std::string bytes, Deadline deadline) {
    const Observed observed(store_->options().observer, "part");
    if (upload_.empty()) {
      MERPATI_CO_TRY(upload_, observed(co_await store_->client().start_upload(store_->full_key(key_), deadline)));
    }
    const int number = static_cast<int>(tags_.size()) + 1;
    MERPATI_CO_TRY(auto tag, observed(co_await store_->client().upload_part(store_->full_key(key_), upload_, number,
                                                                            std::move(bytes), deadline)));
    tags_.push_back(std::move(tag));
    co_return Result<void>();
  }

  std::shared_ptr<Store> store_;
  std::string key_;
  std::string waiting_;  // less than a part, between calls
  std::string upload_;   // empty: none begun, or completed
  std::vector<std::string> tags_;
  bool ended_ = false;
};

Task<std::unique_ptr<ObjectWriter>> Store::open_writer(std::string key, Deadline) {
  MERPATI_CO_CHECK(check_key(key));
  std::unique_ptr<ObjectWriter> writer = std::make_unique<Writer>(shared_from_this(), std::move(key));
  co_return writer;
}

}  // namespace

Result<std::shared_ptr<ObjectStore>> S3Store::open(S3Options options) {
  MERPATI_TRY(auto transport, S3Transport::make(std::move(options)));
  return std::shared_ptr<ObjectStore>(std::make_shared<Store>(std::move(transport)));
}

}  // namespace merpati::objects
