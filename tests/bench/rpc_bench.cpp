// What a call between two services costs: unary calls over Mux and over plain gRPC, both over mutual TLS, and in
// process. usage: bench_rpc [seconds] [payload bytes] [in flight...]    Server and client have a loop each, in one
// process on loopback. Without numbers in flight: 1, 32 and 128.
#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <thread>
#include <vector>

#include "merpati/rpc/network_channel.hpp"
#include "merpati/rpc/server.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "support/certificates.hpp"

namespace {

using namespace merpati;
using Clock = std::chrono::steady_clock;

class Echo final : public store::v1::StoreService {
 public:
  Task<store::v1::DeliverResponse> deliver(rpc::Context&, const store::v1::DeliverRequest& request) override {
    store::v1::DeliverResponse response;
    response.add_results()->set_text(request.reverse_path());
    co_return response;
  }
};

struct Loop {
  Loop() : guard(context.get_executor()), thread([this] { context.run(); }) {}
  ~Loop() {
    guard.reset();
    context.stop();
    thread.join();
  }
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  std::thread thread;
};

struct Load {
  std::atomic<long> done{0}, failed{0};
  std::atomic<int> live{0};
  std::atomic<bool> stop{false};
};

asio::awaitable<void> caller(store::v1::StoreClient store, store::v1::DeliverRequest request, Load& load) {
  while (!load.stop) {
    rpc::CallOptions options;
    options.deadline = Deadline::after(std::chrono::seconds(30));  // as edges do
    auto response = co_await store.deliver(request, options);
    ++(response.has_error() ? load.failed : load.done);
  }
  --load.live;
}

double processor_seconds() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

template <class MakeChannel>
void measure(const char* name, MakeChannel make_channel, double seconds, int in_flight, std::size_t bytes) {
  Loop loop;
  const std::shared_ptr<rpc::Channel> channel = make_channel();  // gone before the loop
  if (asio::co_spawn(loop.context, store::v1::StoreClient(channel).deliver({}), asio::use_future).get().has_error())
    std::printf("%s: cannot call\n", name);
  Load load;
  store::v1::DeliverRequest request;
  request.set_reverse_path(std::string(bytes, 'x'));
  load.live = in_flight;
  const auto begun = Clock::now();
  const double before = processor_seconds();
  for (int i = 0; i < in_flight; ++i)
    asio::co_spawn(loop.context, caller(store::v1::StoreClient(channel), request, load), [](std::exception_ptr) {});
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const long done = load.done;
  const double took = std::chrono::duration<double>(Clock::now() - begun).count();
  const double used = processor_seconds() - before;
  load.stop = true;
  while (load.live > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::printf(
      "%-10s %4d in flight, %zu bytes: %9.0f calls/s, %6.1f us each, %5.1f us of processor a call (both sides), %ld "
      "failed\n",
      name, in_flight, bytes, static_cast<double>(done) / took, took * in_flight / static_cast<double>(done) * 1e6,
      used / static_cast<double>(done) * 1e6, load.failed.load());
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  const std::size_t bytes = argc > 2 ? static_cast<std::size_t>(std::atol(argv[2])) : 200;
  std::vector<int> numbers;
  for (int i = 3; i < argc; ++i) numbers.push_back(std::atoi(argv[i]));
  if (numbers.empty()) numbers = {1, 32, 128};
  Loop backend;
  Echo echo;
  rpc::Dispatcher dispatcher;
  dispatcher.register_service(echo);
  test::Authority authority;
  rpc::ServerOptions options;
  options.address = "127.0.0.1:0";
  options.credentials = authority.issue("store");
  options.loops = {backend.context.get_executor()};
  rpc::Server server(dispatcher, options);
  if (auto started = server.start(); started.has_error()) return std::puts(started.error().describe().c_str()), 1;
  rpc::NetworkChannelOptions to;
  to.target = "127.0.0.1:" + std::to_string(server.port());
  to.credentials = authority.issue("smtp");
  to.server_role = rpc::Role::kStore;
  for (const int in_flight : numbers) {
    to.mux = true;
    measure(
        "mux", [&] { return rpc::network_channel(to); }, seconds, in_flight, bytes);
    to.mux = false;
    measure(
        "grpc", [&] { return rpc::network_channel(to); }, seconds, in_flight, bytes);
    measure(
        "in process", [&] { return rpc::in_process_channel(dispatcher, rpc::Role::kSmtp); }, seconds, in_flight, bytes);
  }
  asio::co_spawn(backend.context, server.stop(), asio::use_future).get().has_error();
  return 0;
}
