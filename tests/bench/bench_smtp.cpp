// Deliveries a second: connections send distinct random 4 KB messages to mailboxes in turn, until the last one is
// visible over IMAP. Prints one JSON object. With --rate it sends that many a second for --seconds, as a load beside
// another test. With --sign-key every message carries a DKIM signature of example.org's, made before the first is sent.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "client.hpp"
#include "merpati/mailauth/dkim.hpp"
#include "messages.hpp"
#include "target.hpp"

namespace {

using namespace merpati::bench;
using Steady = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  std::string target_file;
  int connections = 40;
  int mailboxes = 10;
  int messages = 2000;
  std::uint64_t seed = 1;
  double rate = 0;
  int timeout = 600;
  bool visible = true;
  std::string sign_key;
};

struct Run {
  Run(const Options& o) : options(o), target(o.target_file) {}
  asio::io_context loop;
  Options options;
  Target target;
  std::vector<std::unique_ptr<ImapClient>> readers;  // one for each mailbox, logged in beforehand
  std::vector<std::uint64_t> before;
  Steady::time_point start;
  std::vector<std::string> signatures;  // of each message; empty: none is signed
  int next = 0;
  int accepted = 0;
  std::vector<double> latencies;  // of one transaction, in ms
  std::exception_ptr failure;
};

/// MAILMAX of what LIMITS tells (RFC 9422 4.1); without it as many as there are.
int most_messages(const std::string& offered) {
  const auto at = offered.find("MAILMAX=");
  return at == std::string::npos ? std::numeric_limits<int>::max() : std::stoi(offered.substr(at + 8));
}

asio::awaitable<void> send_in_one_session(Run& run) {
  Client client(run.loop);
  co_await client.connect(run.target.host(), run.target.port("SMTP_PORT"), false);
  co_await smtp_reply(client, '2');
  co_await client.write("EHLO bench.example.org\r\n");
  const auto offered = co_await smtp_reply(client, '2');
  const bool pipelining = offered.find("PIPELINING") != std::string::npos;
  asio::steady_timer timer(run.loop);
  for (int left = most_messages(offered); left > 0 && run.next < run.options.messages; --left) {
    const int number = run.next++;
    if (run.options.rate > 0) {
      timer.expires_at(run.start + std::chrono::duration_cast<Steady::duration>(Seconds(number / run.options.rate)));
      co_await timer.async_wait(asio::use_awaitable);
    }
    const auto user = run.target.user(number % run.options.mailboxes + 1);
    // A random body holds no line that starts with a dot.
    auto body = plain_message(run.options.seed, static_cast<std::uint64_t>(number), user) + ".\r\n";
    if (!run.signatures.empty()) body.insert(0, run.signatures[static_cast<std::size_t>(number)]);
    const auto began = Steady::now();
    const auto mail = fmt::format("MAIL FROM:<sender{}@example.org>\r\n", number);
    const auto rcpt = fmt::format("RCPT TO:<{}>\r\n", user);
    if (pipelining) {
      const auto group = mail + rcpt + "DATA\r\n";
      co_await client.write(group);
      co_await smtp_reply(client, '2');
      co_await smtp_reply(client, '2');
    } else {
      co_await client.write(mail);
      co_await smtp_reply(client, '2');
      co_await client.write(rcpt);
      co_await smtp_reply(client, '2');
      co_await client.write("DATA\r\n");
    }
    co_await smtp_reply(client, '3');
    co_await client.write(body);
    co_await smtp_reply(client, '2');
    ++run.accepted;
    run.latencies.push_back(Seconds(Steady::now() - began).count() * 1000);
  }
  co_await client.write("QUIT\r\n");
}

asio::awaitable<void> send_some(Run& run) {
  while (run.next < run.options.messages) co_await send_in_one_session(run);
}

asio::awaitable<std::uint64_t> count(Run& run, int mailbox) {
  auto& reader = *run.readers[static_cast<std::size_t>(mailbox)];
  co_await reader.command("STATUS INBOX (MESSAGES)");
  co_return reader.status_messages();
}

asio::awaitable<void> open_readers(Run& run, int& next) {
  while (next < run.options.mailboxes) {
    const int mailbox = next++;
    auto reader = std::make_unique<ImapClient>(run.loop);
    co_await reader->open(run.target.host(), run.target.port("IMAP_PORT"), false, static_cast<unsigned>(mailbox) / 40);
    co_await reader->login(run.target.user(mailbox + 1), run.target.password());
    const auto at = static_cast<std::size_t>(mailbox);
    run.readers[at] = std::move(reader);
    run.before[at] = co_await count(run, mailbox);
  }
}

asio::awaitable<void> until_visible(Run& run) {
  std::vector<int> waiting;
  for (int mailbox = 0; mailbox < run.options.mailboxes; ++mailbox) waiting.push_back(mailbox);
  asio::steady_timer timer(run.loop);
  while (!waiting.empty()) {
    std::vector<int> still;
    for (const int mailbox : waiting) {
      const auto at = static_cast<std::size_t>(mailbox);
      const int expected = run.options.messages / run.options.mailboxes +
                           (mailbox < run.options.messages % run.options.mailboxes ? 1 : 0);
      const auto seen = co_await count(run, mailbox);
      if (seen - run.before[at] < static_cast<std::uint64_t>(expected)) {
        still.push_back(mailbox);
        if (still.size() > 20) {  // far from done: do not disturb by asking for them all
          still.insert(still.end(), std::find(waiting.begin(), waiting.end(), mailbox) + 1, waiting.end());
          break;
        }
      }
    }
    waiting = std::move(still);
    if (waiting.empty()) break;
    if (Steady::now() - run.start > std::chrono::seconds(run.options.timeout))
      throw std::runtime_error("mail did not become visible");
    timer.expires_after(std::chrono::milliseconds(waiting.size() > 20 ? 200 : 20));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

/// RSA takes a while: nothing is sent meanwhile.
void sign_all(Run& run) {
  std::ifstream file(run.options.sign_key);
  const std::string pem{std::istreambuf_iterator<char>(file), {}};
  const auto key = merpati::mailauth::SigningKey::from_pem(pem);
  if (key.has_error()) throw std::runtime_error(run.options.sign_key + ": " + key.error().describe());
  run.signatures.resize(static_cast<std::size_t>(run.options.messages));
  const auto some = [&](int first) {
    merpati::mailauth::DkimSignOptions how;
    how.domain = "example.org";
    how.selector = "bench";
    for (int number = first; number < run.options.messages; number += 2) {
      const auto message = plain_message(run.options.seed, static_cast<std::uint64_t>(number),
                                         run.target.user(number % run.options.mailboxes + 1));
      run.signatures[static_cast<std::size_t>(number)] = merpati::mailauth::sign_dkim(message, *key, how).value();
    }
  };
  std::thread other(some, 1);
  some(0);
  other.join();
}

/// Runs `parallel` coroutines to their end; rethrows what the first failing one threw.
template <class Make>
void run_all(Run& run, int parallel, Make make) {
  for (int i = 0; i < parallel; ++i) {
    asio::co_spawn(run.loop, make(), [&run](std::exception_ptr failure) {
      if (failure && !run.failure) {
        run.failure = failure;
        run.loop.stop();
      }
    });
  }
  run.loop.run();
  run.loop.restart();
  if (run.failure) std::rethrow_exception(run.failure);
}

int measure(const Options& options) {
  Run run(options);
  if (!options.sign_key.empty()) sign_all(run);
  if (options.visible) {
    run.readers.resize(static_cast<std::size_t>(options.mailboxes));
    run.before.resize(static_cast<std::size_t>(options.mailboxes));
    int next = 0;
    run_all(run, std::min(options.mailboxes, 40), [&] { return open_readers(run, next); });
  }
  run.start = Steady::now();
  run_all(run, options.connections, [&] { return send_some(run); });
  const double accepted = Seconds(Steady::now() - run.start).count();
  double visible = accepted;
  if (options.visible) {
    run_all(run, 1, [&] { return until_visible(run); });
    visible = Seconds(Steady::now() - run.start).count();
  }
  std::ranges::sort(run.latencies);
  const auto percentile = [&](double p) {
    return run.latencies.empty()
               ? 0
               : run.latencies[static_cast<std::size_t>(p * static_cast<double>(run.latencies.size() - 1))];
  };
  const nlohmann::json result{
      {"test", "deliver"},
      {"messages", run.accepted},
      {"mailboxes", options.mailboxes},
      {"connections", options.connections},
      {"accepted_seconds", accepted},
      {"visible_seconds", visible},
      {"accepted_per_second", run.accepted / accepted},
      {"visible_per_second", run.accepted / visible},
      {"latency_ms", {{"p50", percentile(0.5)}, {"p99", percentile(0.99)}, {"max", percentile(1)}}}};
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("SMTP load for a benchmark");
  app.add_option("--target", options.target_file, "target.env file")->required();
  app.add_option("--connections", options.connections);
  app.add_option("--mailboxes", options.mailboxes);
  app.add_option("--messages", options.messages);
  app.add_option("--seed", options.seed, "another seed gives other bodies");
  app.add_option("--rate", options.rate, "messages a second; 0 is as fast as possible");
  app.add_option("--timeout", options.timeout, "seconds to wait for the last message");
  app.add_option("--sign-key", options.sign_key, "PEM file of the key bench._domainkey.example.org");
  app.add_flag("!--no-visible", options.visible, "do not wait until the mail is visible over IMAP");
  CLI11_PARSE(app, argc, argv);
  try {
    return measure(options);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_smtp: %s\n", failure.what());
    return 1;
  }
}
