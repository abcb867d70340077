// S3Store against endpoints that misbehave.
#include "merpati/objects/s3_store.hpp"

#include <gtest/gtest.h>

#include "unit/objects/fake_endpoint.hpp"
#include "unit/objects/run.hpp"

namespace merpati::objects {
namespace {

using namespace std::chrono_literals;

S3Options options_for(const std::string& endpoint) {
  S3Options out;
  out.endpoint = endpoint;
  out.bucket = "mail";
  out.credentials = []() -> Result<Credentials> { return Credentials{"key", "secret", "token"}; };
  out.retry_wait = 2ms;
  out.retry_within = 10s;
  out.connections = 2;
  return out;
}
Deadline soon() { return Deadline::after(10s); }

TEST(S3Store, RetriesSlowDownAndLostConnections) {
  FakeEndpoint endpoint([](const std::string&, int number) {
    if (number == 1) return FakeEndpoint::failure("503 Slow Down", "SlowDown");
    if (number == 2) return std::string();
    return FakeEndpoint::reply("200 OK");
  });
  const auto store = S3Store::open(options_for(endpoint.url())).value();
  const auto put = run(store->put("k", "bytes", soon()));
  EXPECT_TRUE(put) << put.error().describe();
  EXPECT_EQ(endpoint.requests(), 3);
}

TEST(S3Store, GivesUpAfterItsAttempts) {
  FakeEndpoint endpoint([](const std::string&, int) { return FakeEndpoint::failure("500 Oops", "InternalError"); });
  const auto store = S3Store::open(options_for(endpoint.url())).value();
  EXPECT_EQ(run(store->put("k", "bytes", soon())).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(endpoint.requests(), 4);
}

TEST(S3Store, AfterItsTimeToRetryOneMoreAttemptIsAll) {
  FakeEndpoint endpoint([](const std::string&, int) { return FakeEndpoint::failure("503 Slow Down", "SlowDown"); });
  auto options = options_for(endpoint.url());
  options.retry_within = 0ms;
  const auto store = S3Store::open(options).value();
  EXPECT_EQ(run(store->put("k", "bytes", soon())).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(endpoint.requests(), 2);
}

TEST(S3Store, DoesNotRepeatWhatCannotSucceed) {
  FakeEndpoint endpoint(
      [](const std::string&, int) { return FakeEndpoint::failure("403 No", "SignatureDoesNotMatch"); });
  const auto store = S3Store::open(options_for(endpoint.url())).value();
  const auto put = run(store->put("k", "bytes", soon()));
  EXPECT_EQ(put.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_NE(put.error().message().find("SignatureDoesNotMatch"), std::string::npos);
  EXPECT_EQ(endpoint.requests(), 1);
}

TEST(S3Store, AnEndpointThatIsDown) {
  std::string url;
  {
    url = FakeEndpoint([](const std::string&, int) { return ""; }).url();
  }
  const auto store = S3Store::open(options_for(url)).value();
  EXPECT_EQ(run(store->get("k", {}, soon())).error().code(), ErrorCode::kUnavailable);
}

TEST(S3Store, ASlowEndpointEndsAtTheDeadlineAndOthersDoNotWaitForAThread) {
  FakeEndpoint endpoint([](const std::string&, int) { return "hang"; });
  auto options = options_for(endpoint.url());
  options.connections = 1;
  const auto store = S3Store::open(options).value();
  asio::io_context loop;
  std::vector<ErrorCode> codes;
  auto one = [](std::shared_ptr<ObjectStore> where, std::vector<ErrorCode>& out) -> asio::awaitable<void> {
    auto got = co_await where->get("k", {}, Deadline::after(200ms));
    out.push_back(got.error().code());
  };
  TaskGroup group(loop.get_executor());
  for (int i = 0; i < 5; ++i) group.spawn(one(store, codes));
  loop.run();
  EXPECT_EQ(codes, std::vector<ErrorCode>(5, ErrorCode::kDeadlineExceeded));
}

TEST(S3Store, AnEndpointThatHearsAndSaysNothingIsUnavailable) {
  FakeEndpoint endpoint([](const std::string&, int) { return "hang"; });
  const auto store = S3Store::open(options_for(endpoint.url())).value();
  const auto got = run(store->get("k", {}, soon()));
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable) << got.error().describe();
  EXPECT_NE(got.error().message().find("does not answer"), std::string::npos) << got.error().message();
  EXPECT_FALSE(got.error().may_retry());
  EXPECT_LE(endpoint.requests(), 2) << "the request and the question whether it is there: nothing is repeated";
}

TEST(S3Store, AnEndpointThatIsSlowIsWaitedFor) {
  FakeEndpoint endpoint(
      [](const std::string& request, int) {
        if (request.starts_with("GET /mail/k")) std::this_thread::sleep_for(2s);
        return FakeEndpoint::reply("200 OK", "bytes");
      },
      FakeEndpoint::Connections::kManyAtOnce);
  const auto store = S3Store::open(options_for(endpoint.url())).value();
  const auto got = run(store->get("k", {}, soon()));
  ASSERT_TRUE(got.has_value()) << got.error().describe();
  EXPECT_EQ(*got, "bytes");
}

TEST(S3Store, AFullQueueRefusesAtOnce) {
  FakeEndpoint endpoint([](const std::string&, int) { return "hang"; });
  auto options = options_for(endpoint.url());
  options.connections = 1;
  options.waiting_limit = 2;
  const auto store = S3Store::open(options).value();
  asio::io_context loop;
  int refused = 0;
  auto one = [](std::shared_ptr<ObjectStore> where, int& count) -> asio::awaitable<void> {
    auto got = co_await where->get("k", {}, Deadline::after(200ms));
    count += got.error().code() == ErrorCode::kUnavailable;
  };
  TaskGroup group(loop.get_executor());
  for (int i = 0; i < 5; ++i) group.spawn(one(store, refused));
  loop.run();
  EXPECT_EQ(refused, 3);
}

TEST(S3Store, AnErrorBehind200OfACompletedUploadIsAnError) {
  FakeEndpoint endpoint([](const std::string& request, int) {
    if (request.starts_with("POST /mail/big?uploads="))
      return FakeEndpoint::reply("200 OK", "<R><UploadId>u&amp;1</UploadId></R>");
    if (request.starts_with("PUT")) return FakeEndpoint::reply("200 OK", "", "ETag: \"t\"\r\n");
    if (request.starts_with("POST /mail/big?uploadId=u%261"))
      return FakeEndpoint::reply("200 OK", "\n\n<?xml version='1.0'?><Error><Code>InternalError</Code></Error>");
    return FakeEndpoint::reply("204 No Content");
  });
  auto options = options_for(endpoint.url());
  options.part_bytes = 4;
  const auto store = S3Store::open(options).value();
  auto writer = run(store->open_writer("big", soon())).value();
  ASSERT_TRUE(run(writer->write("123456", soon())));
  EXPECT_EQ(run(writer->commit(soon())).error().code(), ErrorCode::kUnavailable);
}

TEST(S3Store, ACompletionRepeatedAfterALostAnswerLooksForTheObject) {
  FakeEndpoint endpoint([](const std::string& request, int) {
    if (request.starts_with("POST /mail/big?uploads="))
      return FakeEndpoint::reply("200 OK", "<R><UploadId>1</UploadId></R>");
    if (request.starts_with("PUT")) return FakeEndpoint::reply("200 OK", "", "ETag: \"t\"\r\n");
    if (request.starts_with("POST")) return FakeEndpoint::failure("404 Not Found", "NoSuchUpload");
    return FakeEndpoint::reply("200 OK");
  });
  auto options = options_for(endpoint.url());
  options.part_bytes = 4;
  const auto store = S3Store::open(options).value();
  auto writer = run(store->open_writer("big", soon())).value();
  ASSERT_TRUE(run(writer->write("123456", soon())));
  EXPECT_TRUE(run(writer->commit(soon())));
}

TEST(S3Store, AServerThatIgnoresRangeAndOneThatAnswersTooMuch) {
  FakeEndpoint endpoint([](const std::string&, int) { return FakeEndpoint::reply("200 OK", "0123456789"); });
  auto options = options_for(endpoint.url());
  const auto store = S3Store::open(options).value();
  EXPECT_EQ(run(store->get("k", {3, 4}, soon())).value(), "3456");
  FakeEndpoint flood(
      [](const std::string&, int) { return FakeEndpoint::reply("200 OK", std::string(5'000'000, 'x')); });
  options = options_for(flood.url());
  options.answer_limit = 1000;
  EXPECT_EQ(run(S3Store::open(options).value()->get("k", {}, soon())).error().code(), ErrorCode::kResourceExhausted);
}

TEST(S3Store, SendsTokenPrefixAndVirtualHost) {
  std::string seen;
  FakeEndpoint endpoint([&](const std::string& request, int) {
    seen = request;
    return FakeEndpoint::reply("200 OK");
  });
  auto options = options_for(endpoint.url());
  options.key_prefix = "a/b/";
  ASSERT_TRUE(run(S3Store::open(options).value()->put("k", "x", soon())));
  EXPECT_TRUE(seen.starts_with("PUT /mail/a/b/k HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("X-Amz-Security-Token: token\r\n"), std::string::npos);
  options = options_for("http://localhost" + endpoint.url().substr(endpoint.url().rfind(':')));
  options.path_style = false;
  ASSERT_TRUE(run(S3Store::open(options).value()->put("k", "x", soon())));  // *.localhost is loopback (RFC 6761 6.3)
  EXPECT_TRUE(seen.starts_with("PUT /k HTTP/1.1\r\nHost: mail.localhost:")) << seen;
}

TEST(S3Store, WrongOptionsAreNamed) {
  auto message = [](auto change) {
    auto options = options_for("https://s3.example.test");
    change(options);
    const auto opened = S3Store::open(options);
    return opened.has_error() ? opened.error().message() : "accepted";
  };
  EXPECT_EQ(message([](S3Options&) {}), "accepted");
  EXPECT_NE(message([](S3Options& o) { o.endpoint = "s3.example.test:"; }).find("endpoint"), std::string::npos);
  EXPECT_NE(message([](S3Options& o) { o.endpoint = "ftp://x"; }).find("https://"), std::string::npos);
  EXPECT_NE(message([](S3Options& o) { o.endpoint = "https://x/y"; }).find("path"), std::string::npos);
  EXPECT_NE(message([](S3Options& o) { o.bucket = ""; }).find("bucket"), std::string::npos);
  EXPECT_NE(message([](S3Options& o) { o.key_prefix = "x"; }).find("key_prefix"), std::string::npos);
}

}  // namespace
}  // namespace merpati::objects
