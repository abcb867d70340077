#include "merpati/runtime/process.hpp"
#include "merpati/runtime/dependency.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "merpati/runtime/dependency.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Diary {
  std::mutex mutex;
  std::vector<std::string> lines;
  void add(std::string line) {
    std::lock_guard lock(mutex);
    lines.push_back(std::move(line));
  }
};

class Fake : public Module {
 public:
  Fake(std::string name, Kind kind, Diary& diary, bool starts = true)
      : name_(std::move(name)), kind_(kind), diary_(diary), starts_(starts) {}
  std::string_view name() const override { return name_; }
  Kind kind() const override { return kind_; }
  Task<void> start() override {
    diary_.add("start " + name_);
    if (!starts_) co_return Error(ErrorCode::kUnavailable, "no database");
    co_return Result<void>();
  }
  Task<void> drain(Deadline) override {
    diary_.add("drain " + name_);
    co_return Result<void>();
  }
  Task<void> stop() override {
    diary_.add("stop " + name_);
    co_return Result<void>();
  }

 private:
  std::string name_;
  Kind kind_;
  Diary& diary_;
  bool starts_;
};

ProcessOptions options() {
  ProcessOptions out;
  out.loops = 2;
  out.blocking_threads = 1;
  out.http_address = "127.0.0.1";
  out.http_port = 0;
  out.endpoint_delay = std::chrono::nanoseconds(0);
  out.grace_period = std::chrono::seconds(5);
  return out;
}

std::string get(std::uint16_t port, const std::string& request) {
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), port});
  asio::write(socket, asio::buffer(request));
  std::string answer;
  boost::system::error_code error;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

std::string get_path(std::uint16_t port, const std::string& path) {
  return get(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

TEST(Process, StartsInOrderAndDrainsEdgesFirst) {
  Diary diary;
  Process process(options());
  process.add(std::make_unique<Fake>("store", Module::Kind::kBackend, diary));
  process.add(std::make_unique<Fake>("imap", Module::Kind::kEdge, diary));
  ASSERT_TRUE(process.start().has_value());
  process.stop();
  EXPECT_THAT(diary.lines,
              ElementsAre("start store", "start imap", "drain imap", "drain store", "stop imap", "stop store"));
}

TEST(Process, RunEndsOnSigtermWithZero) {
  Diary diary;
  Process process(options());
  process.add(std::make_unique<Fake>("smtp", Module::Kind::kEdge, diary));
  std::thread killer([&] {
    while (!process.health().ready()) std::this_thread::yield();
    kill(getpid(), SIGTERM);
  });
  EXPECT_EQ(process.run(), 0);
  killer.join();
  EXPECT_EQ(diary.lines.back(), "stop smtp");
}

TEST(Process, AModuleThatDoesNotStartEndsTheProcessWithItsReason) {
  Diary diary;
  log::Capture capture;
  Process process(options());
  process.add(std::make_unique<Fake>("store", Module::Kind::kBackend, diary, false));
  process.add(std::make_unique<Fake>("imap", Module::Kind::kEdge, diary));
  EXPECT_EQ(process.run(), 1);
  EXPECT_THAT(diary.lines, ElementsAre("start store", "drain store", "stop store")) << "the next one is never started";
  EXPECT_THAT(capture.lines(), testing::Contains(testing::AllOf(HasSubstr("start_failed"),
                                                                HasSubstr("store did not start: no database"))));
}

TEST(Process, ProbesAndMetricsOverHttp) {
  Process process(options());
  ASSERT_TRUE(process.start().has_value());
  process.metrics().counter("merpati_test_things_total", "Things", {{"kind", "good"}}).add(3);
  const auto port = process.http_port();
  EXPECT_THAT(get_path(port, "/livez"), HasSubstr("200 OK"));
  EXPECT_THAT(get_path(port, "/readyz"), HasSubstr("200 OK"));
  EXPECT_THAT(get_path(port, "/metrics"), HasSubstr("merpati_test_things_total{kind=\"good\"} 3"));
  EXPECT_THAT(get_path(port, "/etc"), HasSubstr("404"));
  EXPECT_THAT(get(port, "DELETE /metrics HTTP/1.0\r\n\r\n"), HasSubstr("405"));
  process.health().dependency("postgres", false, "connection refused");
  EXPECT_THAT(get_path(port, "/readyz"), testing::AllOf(HasSubstr("200 OK"), HasSubstr("connection refused")))
      << "a dependency lost later is told, but does not take the replica out";
  process.health().set_draining();
  EXPECT_THAT(get_path(port, "/readyz"), HasSubstr("503"));
  EXPECT_THAT(get_path(port, "/livez"), HasSubstr("200 OK")) << "a draining process is alive";
}

TEST(Process, AWatchedDependencyIsToldAsLostAndAsBack) {
  log::Capture capture;
  Process process(options());
  ASSERT_TRUE(process.start().has_value());
  std::atomic<bool> there = true;
  TaskGroup group(process.loops().main());
  group.spawn(watch_dependency(
      process.health(), "store.postgresql",
      [&there](Deadline) -> Task<void> {
        if (!there) co_return Error(ErrorCode::kUnavailable, "connection refused");
        co_return Result<void>();
      },
      std::chrono::milliseconds(1)));
  const auto told = [&](bool ok) {
    const auto all = process.health().dependencies();
    const auto found = all.find("store.postgresql");
    return found != all.end() && found->second.ok == ok;
  };
  const auto await = [&](bool ok) {
    for (const auto until = Deadline::after(std::chrono::seconds(10)); !told(ok) && !until.passed();)
      std::this_thread::yield();
    return told(ok);
  };
  EXPECT_TRUE(await(true));
  there = false;
  EXPECT_TRUE(await(false));
  EXPECT_TRUE(process.health().ready()) << "callers avoid a replica that alone fails";
  EXPECT_THAT(get_path(process.http_port(), "/readyz"), HasSubstr("connection refused"));
  EXPECT_THAT(get_path(process.http_port(), "/metrics"),
              HasSubstr("merpati_dependency_up{dependency=\"store.postgresql\"} 0"));
  there = true;
  EXPECT_TRUE(await(true));
  EXPECT_THAT(get_path(process.http_port(), "/metrics"),
              HasSubstr("merpati_dependency_up{dependency=\"store.postgresql\"} 1"));
  group.cancel();
  EXPECT_TRUE(block_on(process.loops().main(), group.join(Deadline::after(std::chrono::seconds(5)))).has_value());
  EXPECT_THAT(capture.lines(), testing::Contains(HasSubstr("dependency_lost")));
  EXPECT_THAT(capture.lines(), testing::Contains(HasSubstr("dependency_back")));
}

TEST(Process, APortInUseIsAClearError) {
  Process first(options());
  ASSERT_TRUE(first.start().has_value());
  auto taken = options();
  taken.http_port = first.http_port();
  Process second(taken);
  const auto result = second.start();
  ASSERT_TRUE(result.has_error());
  EXPECT_THAT(result.error().message(),
              testing::AllOf(HasSubstr(std::to_string(first.http_port())), HasSubstr("in use")));
}

TEST(Health, IsReadyOnlyWhenEveryGateIsOpen) {
  Health health;
  std::vector<bool> seen;
  EXPECT_FALSE(health.ready()) << "nothing has said that it started";
  health.on_change([&](bool ready) { seen.push_back(ready); });
  health.gate("started", true);
  health.gate("schema", false, "schema store is at 2, 3 is needed");
  EXPECT_FALSE(health.ready());
  EXPECT_EQ(nlohmann::json::parse(health.json())["gates"]["schema"]["reason"], "schema store is at 2, 3 is needed");
  health.gate("schema", true);
  EXPECT_TRUE(health.ready());
  health.set_draining();
  EXPECT_THAT(seen, ElementsAre(true, false, true, false));
}

TEST(Metrics, AScrapeCallbackRunsUntilItsHandleDies) {
  Metrics metrics;
  int runs = 0;
  auto handle = metrics.before_scrape([&] { ++runs; });
  (void)metrics.text();
  handle.reset();
  (void)metrics.text();
  EXPECT_EQ(runs, 1);
}

TEST(Log, WritesJsonWhateverTheBytes) {
  log::Capture capture;
  log::info("test_event", "a \"quoted\" line\nwith \x01 and \xff",
            {{"size", 12U}, {"ok", true}, {"who", std::string("J\xc3\xbcrgen")}, {"ratio", 0.5}});
  log::debug("hidden", "below the level");
  const auto lines = capture.lines();
  ASSERT_EQ(lines.size(), 1U);
  const auto line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["event"], "test_event");
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["msg"], "a \"quoted\" line\nwith \x01 and \xef\xbf\xbd");
  EXPECT_EQ(line["size"], 12);
  EXPECT_EQ(line["ok"], true);
  EXPECT_EQ(line["who"], "J\xc3\xbcrgen");
  EXPECT_EQ(line["ratio"], 0.5);
}

}  // namespace
}  // namespace merpati::runtime
