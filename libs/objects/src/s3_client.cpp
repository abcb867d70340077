#include "s3_client.hpp"

#include <boost/asio/post.hpp>

#include <ctime>
#include <random>

#include "xml.hpp"

namespace merpati::objects {
namespace {

using namespace std::chrono_literals;

std::chrono::milliseconds jittered(std::chrono::milliseconds most) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(most.count() / 2, most.count())(random));
}

S3Request abort_request(std::string key, std::string upload) {
  return {"AbortMultipartUpload", "DELETE", std::move(key), {{"uploadId", std::move(upload)}}, {}, nullptr};
}

}  // namespace

S3Client::S3Client(std::shared_ptr<S3Transport> transport)
    : transport_(std::move(transport)),
      pool_(transport_->options().connections),
      lane_(pool_, transport_->options().waiting_limit, transport_->options().operation_timeout) {}

S3Client::~S3Client() {
  transport_->close();
  pool_.join();
}

Task<S3Response> S3Client::call(S3Request request, Deadline deadline) {
  const auto shared = std::make_shared<const S3Request>(std::move(request));
  deadline = deadline.within(options().operation_timeout);
  const auto last_start = Deadline::after(options().retry_within);
  auto wait = options().retry_wait;
  for (int attempt = 1;; ++attempt) {
    // The pool's thread must not hold the last reference to this client: it would join itself.
    auto perform = [transport = transport_, shared, deadline]() -> Result<S3Attempt> {
      return transport->perform(*shared, deadline);
    };
    MERPATI_CO_TRY(auto tried, co_await lane_.run(std::move(perform), deadline));
    if (!tried.retry) co_return std::move(tried.result);
    const auto pause = jittered(wait);
    const bool late = attempt > 1 && last_start.left() <= pause;
    if (late || attempt >= options().attempts || deadline.left() <= pause)
      co_return std::move(tried.result).error().without_retry();
    MERPATI_CO_CHECK(co_await sleep_for(pause));
    wait = std::min(wait * 2, 2000ms);
  }
}

Task<std::string> S3Client::start_upload(std::string key, Deadline deadline) {
  S3Request request{"CreateMultipartUpload", "POST", std::move(key),
                    {{"uploads", ""}},       {},     std::make_shared<std::string>()};
  MERPATI_CO_TRY(const auto response, co_await call(std::move(request), deadline));
  MERPATI_CO_TRY(const auto document, parse_xml(response.body));
  std::string id(document.text_of("UploadId"));
  if (id.empty()) co_return Error(ErrorCode::kInternal, "the endpoint gave no UploadId");
  co_return id;
}

Task<std::string> S3Client::upload_part(std::string key, std::string upload, int number, std::string bytes,
                                        Deadline deadline) {
  S3Request request{"UploadPart",
                    "PUT",
                    std::move(key),
                    {{"partNumber", std::to_string(number)}, {"uploadId", std::move(upload)}},
                    {},
                    std::make_shared<const std::string>(std::move(bytes))};
  MERPATI_CO_TRY(auto response, co_await call(std::move(request), deadline));
  auto tag = response.headers["etag"];
  if (tag.empty()) co_return Error(ErrorCode::kInternal, "the endpoint gave no ETag for a part");
  co_return tag;
}

Task<void> S3Client::complete_upload(std::string key, std::string upload, std::vector<std::string> tags,
                                     Deadline deadline) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t i = 0; i < tags.size(); ++i)
    body +=
        "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + xml_escape(tags[i]) + "</ETag></Part>";
  body += "</CompleteMultipartUpload>";
  S3Request request{"CompleteMultipartUpload",         "POST", key,
                    {{"uploadId", std::move(upload)}}, {},     std::make_shared<const std::string>(std::move(body))};
  auto completed = co_await call(std::move(request), deadline);
  if (completed.has_error() && completed.error().code() == ErrorCode::kNotFound) {
    // A repeated attempt after a lost answer: the upload is gone because it became the object.
    S3Request head{"HeadObject", "HEAD", std::move(key), {}, {}, nullptr};
    MERPATI_CO_CHECK(co_await call(std::move(head), deadline));
    co_return Result<void>();
  }
  MERPATI_CO_TRY(const auto response, std::move(completed));
  // The endpoint may answer 200 before it knows how it ends, and then an Error document.
  MERPATI_CO_TRY(const auto document, parse_xml(response.body));
  if (document.name != "CompleteMultipartUploadResult")
    co_return Error(ErrorCode::kUnavailable,
                    "the endpoint could not complete an upload: " + std::string(document.text_of("Code")) + " " +
                        std::string(document.text_of("Message")));
  co_return Result<void>();
}

Task<void> S3Client::abort_upload(std::string key, std::string upload, Deadline deadline) {
  auto aborted = co_await call(abort_request(std::move(key), std::move(upload)), deadline);
  if (aborted.has_error() && aborted.error().code() != ErrorCode::kNotFound) co_return std::move(aborted).error();
  co_return Result<void>();
}

void S3Client::abort_upload_later(std::string key, std::string upload) {
  if (lane_.in_use() >= options().waiting_limit) return;
  asio::post(pool_, [transport = transport_, request = abort_request(std::move(key), std::move(upload))] {
    transport->perform(request, Deadline::after(5s));
  });
}

WallTime parse_iso_time(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  if (!::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts)) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace merpati::objects
