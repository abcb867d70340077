// IMAP rows of the benchmark, one test a run; prints one JSON object. Mailboxes are filled by --test fill with the same
// bytes for every server, so that the answers can be compared.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "client.hpp"
#include "messages.hpp"
#include "target.hpp"

namespace {

using namespace merpati::bench;
using nlohmann::json;
using Steady = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  std::string target_file;
  std::string test;
  std::string mailbox = "INBOX";
  int connections = 1;
  int count = 10000;
  int size = 10000;
  int window = 50;
  int user = 1;
  int users = 1000;
  int repeat = 3;
  std::uint64_t seed = 7;
  bool tls = false;
  std::string dump;
};

struct Run {
  Run(const Options& o) : options(o), target(o.target_file) {}
  asio::io_context loop;
  Options options;
  Target target;
  std::exception_ptr failure;
  int next = 0;

  template <class Make>
  double all(int parallel, Make make) {
    const auto start = Steady::now();
    for (int i = 0; i < parallel; ++i) {
      asio::co_spawn(loop, make(i), [this](std::exception_ptr problem) {
        if (problem && !failure) {
          failure = problem;
          loop.stop();
        }
      });
    }
    loop.run();
    loop.restart();
    if (failure) std::rethrow_exception(failure);
    return Seconds(Steady::now() - start).count();
  }
};

using Clients = std::vector<std::unique_ptr<ImapClient>>;

asio::awaitable<void> open_one(Run& run, ImapClient& client, int user, std::string select, unsigned source = 0) {
  co_await client.open(run.target.host(), run.target.port(run.options.tls ? "IMAPS_PORT" : "IMAP_PORT"),
                       run.options.tls);
  co_await client.login(run.target.user(user), run.target.password());
  if (!select.empty()) {
    auto text = "SELECT " + select;
    co_await client.command(std::move(text));
  }
}

Clients open_all(Run& run, std::string select) {
  Clients clients;
  for (int i = 0; i < run.options.connections; ++i) clients.push_back(std::make_unique<ImapClient>(run.loop));
  run.all(run.options.connections,
          [&](int i) { return open_one(run, *clients[static_cast<std::size_t>(i)], run.options.user, select); });
  return clients;
}

/// Sends `make(number)` for the numbers of [0, count) shared by all clients, `window` in flight on each.
asio::awaitable<void> pipelined(Run& run, ImapClient& client, std::function<std::string(int)> make) {
  int in_flight = 0;
  for (;;) {
    std::string batch;
    while (in_flight < run.options.window && run.next < run.options.count) {
      batch += client.tagged(make(run.next++));
      ++in_flight;
    }
    if (!batch.empty()) co_await client.write(batch);
    if (in_flight == 0) co_return;
    // Half a window of answers before the next batch, so that writes stay large.
    for (const int low = run.next < run.options.count ? run.options.window / 2 : 0; in_flight > low; --in_flight)
      co_await client.finish();
  }
}

asio::awaitable<void> one_command(ImapClient& client, std::string text, std::string* into) {
  const auto whole = client.tagged(text);
  co_await client.write(whole);
  co_await client.finish(into);
}

json per_second(double count, double seconds) {
  return {{"count", count}, {"seconds", seconds}, {"per_second", count / seconds}};
}

/// Appends `count` messages; the same numbers give the same bytes.
json test_append(Run& run) {
  auto clients = open_all(run, "");
  if (run.options.mailbox != "INBOX") {
    run.all(1, [&](int) -> asio::awaitable<void> {
      return one_command(*clients[0], "CREATE " + run.options.mailbox, nullptr);
    });
  }
  run.next = 0;
  const auto make = [&run](int number) {
    const auto n = static_cast<std::uint64_t>(number);
    const auto message = varied_message(run.options.seed, n);
    return fmt::format("APPEND {} ({}) \"{}\" {{{}+}}\r\n{}", run.options.mailbox,
                       number % 3 == 0   ? "\\Seen"
                       : number % 5 == 0 ? "\\Flagged \\Answered"
                                         : "",
                       internal_date(n), message.size(), message);
  };
  const double seconds = run.all(run.options.connections,
                                 [&](int i) { return pipelined(run, *clients[static_cast<std::size_t>(i)], make); });
  return per_second(run.options.count, seconds);
}

json repeated(Run& run, ImapClient& client, const std::string& command, bool bytes) {
  json rounds = json::array();
  for (int round = 0; round < run.options.repeat; ++round) {
    std::string text;
    const bool keep = round == 0 && !run.options.dump.empty();
    if (keep) text.reserve(64 << 20);
    const auto fetched = client.fetches();
    const auto received = client.received();
    const double seconds = run.all(1, [&](int) { return one_command(client, command, keep ? &text : nullptr); });
    const double amount = bytes ? static_cast<double>(client.received() - received) / 1e6
                                : static_cast<double>(client.fetches() - fetched);
    rounds.push_back(per_second(amount, seconds));
    if (keep) std::ofstream(run.options.dump, std::ios::binary) << text;
  }
  json best = *std::ranges::max_element(rounds, {}, [](const json& r) { return r["per_second"].get<double>(); });
  best["first_per_second"] = rounds[0]["per_second"];
  best["rounds"] = rounds;
  return best;
}

json test_list(Run& run) {
  run.options.connections = 1;
  auto clients = open_all(run, run.options.mailbox);
  return repeated(run, *clients[0], "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", false);
}

json test_flags(Run& run) {
  run.options.connections = 1;
  auto clients = open_all(run, run.options.mailbox);
  return repeated(run, *clients[0], "FETCH 1:* (UID FLAGS)", false);
}

json test_bodies(Run& run) {
  run.options.connections = 1;
  auto clients = open_all(run, run.options.mailbox);
  return repeated(run, *clients[0], "FETCH 1:* BODY.PEEK[]", true);
}

/// One message a command, one command in flight on each connection.
json test_fetch(Run& run) {
  auto clients = open_all(run, run.options.mailbox);
  run.options.window = 1;
  run.next = 0;
  std::mt19937_64 random(run.options.seed);
  const auto make = [&](int) {
    return fmt::format("FETCH {} BODY.PEEK[]", random() % static_cast<unsigned>(run.options.size) + 1);
  };
  const double seconds = run.all(run.options.connections,
                                 [&](int i) { return pipelined(run, *clients[static_cast<std::size_t>(i)], make); });
  return per_second(run.options.count, seconds);
}

json test_status(Run& run) {
  auto clients = open_all(run, "");
  run.next = 0;
  const auto make = [&](int) {
    return fmt::format("STATUS {} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)", run.options.mailbox);
  };
  const double seconds = run.all(run.options.connections,
                                 [&](int i) { return pipelined(run, *clients[static_cast<std::size_t>(i)], make); });
  return per_second(run.options.count, seconds);
}

asio::awaitable<void> log_in_and_out(Run& run) {
  while (run.next < run.options.count) {
    const int number = run.next++;
    ImapClient client(run.loop);
    co_await open_one(run, client, number % run.options.users + 1, "");
    co_await client.logout();
  }
}

json test_login(Run& run) {
  run.next = 0;
  const double seconds = run.all(run.options.connections, [&](int) { return log_in_and_out(run); });
  return per_second(run.options.count, seconds);
}

/// Opens sessions, selects and idles; says "ready" and holds them until its standard input ends.
asio::awaitable<void> open_idle(Run& run, Clients& clients) {
  while (run.next < run.options.connections) {
    const int number = run.next++;
    auto& client = *clients[static_cast<std::size_t>(number)];
    co_await open_one(run, client, run.options.user, run.options.mailbox, static_cast<unsigned>(number) / 40);
    const auto idle = client.tagged("IDLE");
    co_await client.write(idle);
    co_await client.line();
  }
}

json test_idle(Run& run) {
  Clients clients;
  for (int i = 0; i < run.options.connections; ++i) clients.push_back(std::make_unique<ImapClient>(run.loop));
  run.next = 0;
  const double seconds = run.all(20, [&](int) { return open_idle(run, clients); });
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  return per_second(run.options.connections, seconds);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const std::map<std::string, std::function<json(Run&)>> tests{
      {"append", test_append}, {"list", test_list},     {"flags", test_flags}, {"bodies", test_bodies},
      {"fetch", test_fetch},   {"status", test_status}, {"login", test_login}, {"idle", test_idle}};
  CLI::App app("IMAP load for a benchmark");
  app.add_option("--target", options.target_file, "target.env file")->required();
  app.add_option("--test", options.test, "append list flags bodies fetch status login idle")->required();
  app.add_option("--mailbox", options.mailbox);
  app.add_option("--connections", options.connections);
  app.add_option("--count", options.count, "commands, or logins");
  app.add_option("--size", options.size, "messages in the mailbox (fetch)");
  app.add_option("--window", options.window, "commands in flight on a connection");
  app.add_option("--user", options.user, "number of the account");
  app.add_option("--users", options.users, "accounts of the login test");
  app.add_option("--repeat", options.repeat);
  app.add_option("--seed", options.seed);
  app.add_flag("--tls", options.tls);
  app.add_option("--dump", options.dump, "write the first round's answers to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto test = tests.find(options.test);
    if (test == tests.end()) throw std::runtime_error("no such test: " + options.test);
    Run run(options);
    auto result = test->second(run);
    result["test"] = options.test;
    result["connections"] = options.connections;
    std::printf("%s\n", result.dump().c_str());
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_imap: %s\n", failure.what());
    return 1;
  }
}
