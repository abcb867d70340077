#include "allinone/ready.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>

#include "merpati/runtime/process.hpp"

namespace merpati::allinone {
namespace {

using testing::HasSubstr;

constexpr std::chrono::milliseconds kWait = std::chrono::seconds(10);

runtime::ProcessOptions options() {
  runtime::ProcessOptions out;
  out.loops = 1;
  out.blocking_threads = 1;
  out.http_port = 0;
  out.endpoint_delay = std::chrono::nanoseconds(0);
  return out;
}

config::v1::Http at(std::uint16_t port) {
  config::v1::Http http;
  http.set_address("::");
  http.set_port(port);
  return http;
}

TEST(Ready, FollowsTheProcess) {
  runtime::Process process(options());
  ASSERT_TRUE(process.start().has_value());
  EXPECT_TRUE(ask_ready(at(process.http_port()), kWait).has_value());
  process.health().gate("schema", false, "schema store is at 2, 3 is needed");
  const auto answer = ask_ready(at(process.http_port()), kWait);
  ASSERT_TRUE(answer.has_error());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(answer.error().message(), HasSubstr("503"));
  EXPECT_THAT(answer.error().message(), HasSubstr("schema store is at 2, 3 is needed"));
}

TEST(Ready, NobodyListens) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor free(context, {boost::asio::ip::make_address("127.0.0.1"), 0});
  const auto port = free.local_endpoint().port();
  free.close();
  const auto answer = ask_ready(at(port), kWait);
  ASSERT_TRUE(answer.has_error());
  EXPECT_THAT(answer.error().message(), HasSubstr(std::to_string(port)));
}

TEST(Ready, AServerThatSaysNothingIsNotWaitedForForever) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor silent(context, {boost::asio::ip::make_address("127.0.0.1"), 0});
  EXPECT_TRUE(ask_ready(at(silent.local_endpoint().port()), std::chrono::milliseconds(50)).has_error());
}

}  // namespace
}  // namespace merpati::allinone
