// What judging a message costs: CheckMessage over mutual TLS, with SPF, DKIM (RSA of 2048 bits) and DMARC, keys and
// records from a DNS server on loopback whose answers are cached after the first round; then the same with greylisting
// of everybody and reputations in a private PostgreSQL with fsync, and at last with a Sieve script of thirty rules
// (thirty_rules.sieve) for each of 100 recipients. usage: bench_filter [seconds] [domains] [octets of a
// body] [in flight...]    Each domain has a key of its own; no two messages have the same body.
#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "filter/greylist_engine.hpp"
#include "filter/judged_messages.hpp"
#include "filter/mail_authentication_engine.hpp"
#include "filter/migrations.hpp"
#include "filter/reputation_engine.hpp"
#include "filter/rpc/filter_service.hpp"
#include "filter/script_cache.hpp"
#include "filter/scripts.hpp"
#include "filter/sieve_stage.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/dns/caching_resolver.hpp"
#include "merpati/dns/unbound_resolver.hpp"
#include "merpati/mailauth/dkim.hpp"
#include "merpati/pg/migration.hpp"
#include "merpati/pg/pool.hpp"
#include "merpati/rpc/network_channel.hpp"
#include "merpati/rpc/server.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/process.hpp"
#include "support/certificates.hpp"
#include "support/dns_server.hpp"
#include "support/postgres.hpp"
#include "unit/mailauth/messages.hpp"

namespace {

using namespace merpati;
using Clock = std::chrono::steady_clock;
using filter::v1::CheckMessageRequest;

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

constexpr std::size_t kAccounts = 100;

std::string domain_of(std::size_t number) { return "d" + std::to_string(number) + ".test"; }

std::string client_of(std::size_t number) { return "192.0.2." + std::to_string(1 + number % 250); }

/// A request for each domain, signed by its key; the zone gets what belongs to it.
std::vector<CheckMessageRequest> make_mail(std::size_t domains, std::size_t octets, test::DnsServer& zone) {
  std::vector<CheckMessageRequest> out(domains);
  std::vector<std::string> records(domains);
  const auto make = [&](std::size_t begin, std::size_t step) {
    for (std::size_t i = begin; i < domains; i += step) {
      const auto key = mailauth::SigningKey::from_pem(mailauth::test_messages::make_key(2048)).value();
      records[i] = key.key_record();
      std::string mail = "From: Sender <sender@" + domain_of(i) + ">\r\nTo: you@example.test\r\nSubject: number " +
                         std::to_string(i) + "\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <" +
                         std::to_string(i) + "@" + domain_of(i) +
                         ">\r\nMIME-Version: 1.0\r\n"
                         "Content-Type: text/plain; charset=utf-8\r\n\r\n";
      for (std::size_t line = 0; mail.size() < octets; ++line)
        mail +=
            "Line " + std::to_string(line) + " of message " + std::to_string(i) + ": the quick brown fox jumps.\r\n";
      mailauth::DkimSignOptions how;
      how.domain = domain_of(i);
      how.selector = "s";
      mail.insert(0, mailauth::sign_dkim(mail, key, how).value());
      auto& transaction = *out[i].mutable_transaction();
      transaction.set_client_address(client_of(i));
      transaction.set_helo("mail." + domain_of(i));
      transaction.set_reverse_path("sender@" + domain_of(i));
      transaction.set_receiving_host("mx.example.test");
      auto& recipient = *out[i].add_recipients();
      recipient.set_account_id(static_cast<std::int64_t>(1 + i % kAccounts));
      recipient.set_recipient("you" + std::to_string(recipient.account_id()) + "@example.test");
      recipient.set_address(recipient.recipient());
      out[i].set_size(mail.size());
      out[i].set_message(std::move(mail));
    }
  };
  std::thread other(make, 1, 2);
  make(0, 2);
  other.join();
  for (std::size_t i = 0; i < domains; ++i) {
    zone.add_txt("s._domainkey." + domain_of(i), {records[i].substr(0, 200), records[i].substr(200)});
    zone.add_txt(domain_of(i), {"v=spf1 ip4:192.0.2.0/24 -all"});
    zone.add_txt("_dmarc." + domain_of(i), {"v=DMARC1; p=reject"});
    zone.add_a("mail." + domain_of(i), client_of(i));
  }
  for (std::size_t i = 0; i < 250; ++i) {
    zone.add_ptr(std::to_string(1 + i) + ".2.0.192.in-addr.arpa", "host" + std::to_string(i) + ".test");
    zone.add_a("host" + std::to_string(i) + ".test", client_of(i));
  }
  return out;
}

/// Who sends, as the memory of senders sees it.
enum class Senders {
  kKnown,  ///< the same ones again
  kNew,    ///< one that nobody knows for each message
};

struct Load {
  std::atomic<std::size_t> next{0};
  std::atomic<long> done{0}, failed{0};
  std::atomic<int> live{0};
  std::atomic<bool> stop{false};
};

std::atomic<std::size_t> newcomers{0};

asio::awaitable<void> caller(filter::v1::FilterClient client, const std::vector<CheckMessageRequest>& mail,
                             Senders senders, Load& load) {
  while (!load.stop) {
    rpc::CallOptions options;
    options.deadline = Deadline::after(std::chrono::seconds(30));
    const auto number = load.next++;
    auto request = mail[number % mail.size()];
    request.mutable_transaction()->set_delivery_id(new_uuid());
    if (senders == Senders::kNew)
      request.mutable_transaction()->set_reverse_path("new" + std::to_string(newcomers++) + "@" +
                                                      domain_of(number % mail.size()));
    const auto verdict = co_await client.check_message(request, options);
    const auto wanted = senders == Senders::kNew ? filter::v1::DECISION_TEMPORARY : filter::v1::DECISION_ACCEPT;
    const bool good = verdict.has_value() && verdict->decision() == wanted &&
                      verdict->edits(0).value().find("dmarc=pass") != std::string::npos;
    ++(good ? load.done : load.failed);
  }
  --load.live;
}

double processor_seconds() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

void measure(const char* name, const std::vector<std::unique_ptr<Loop>>& loops, const rpc::NetworkChannelOptions& to,
             const std::vector<CheckMessageRequest>& mail, Senders senders, double seconds, int in_flight) {
  const auto channel = rpc::network_channel(to);
  Load load;
  load.live = in_flight;
  const auto start = [&](int i) {
    asio::co_spawn(loops[static_cast<std::size_t>(i) % loops.size()]->context,
                   caller(filter::v1::FilterClient(channel), mail, senders, load), [](std::exception_ptr) {});
  };
  const auto begun = Clock::now();
  const double before = processor_seconds();
  for (int i = 0; i < in_flight; ++i) start(i);
  while (std::chrono::duration<double>(Clock::now() - begun).count() < seconds)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const long done = load.done;
  const double took = std::chrono::duration<double>(Clock::now() - begun).count();
  const double used = processor_seconds() - before;
  load.stop = true;
  while (load.live > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::printf(
      "%-22s %4d in flight: %7.0f messages/s, %7.1f us of processor each (both sides of the call), %ld failed\n", name,
      in_flight, static_cast<double>(done) / took, used / static_cast<double>(done) * 1e6, load.failed.load());
}

/// Mail is greylisted whatever its score, where there is an engine for it.
filter::Scoring scoring() {
  filter::Scoring out;
  out.thresholds.greylist = 0;
  return out;
}

/// A service with its engine of mail authentication, at a port of its own.
struct Served {
  Served(runtime::Process& process, std::shared_ptr<dns::Resolver> resolver, test::Authority& authority)
      : service("mx.example.test", {}, scoring(), process.metrics(), nullptr, process.blocking()) {
    service.add_engine(std::make_shared<filter::MailAuthenticationEngine>(filter::MailAuthenticationSettings(),
                                                                          std::move(resolver), process.blocking()));
    dispatcher.register_service(service);
    rpc::ServerOptions options;
    options.address = "127.0.0.1:0";
    options.credentials = authority.issue("filter");
    for (std::size_t i = 0; i < process.loops().size(); ++i) options.loops.push_back(process.loops().executor(i));
    server = std::make_unique<rpc::Server>(dispatcher, options);
    to.credentials = authority.issue("smtp");
    to.server_role = rpc::Role::kFilter;
  }
  Result<void> start() {
    MERPATI_CHECK(server->start());
    to.target = "127.0.0.1:" + std::to_string(server->port());
    return {};
  }
  filter::FilterService service;
  rpc::Dispatcher dispatcher;
  std::unique_ptr<rpc::Server> server;
  rpc::NetworkChannelOptions to;
};

/// What is remembered of senders. All mail is greylisted by the domain that authenticates it, none is spared.
struct Memory {
  Memory(runtime::Process& process, filter::FilterService& service)
      : pool(loops_of(process), options()),
        greylist(pool),
        reputation(pool),
        judged(reputation, kHalfLife, process.metrics()),
        tasks(process.loops().main()) {
    filter::ReputationSettings reputations;
    reputations.min_messages = 1e12;
    auto engine = std::make_shared<filter::ReputationEngine>(std::move(reputations), reputation);
    service.tell_of_judged(filter::count_for_senders(engine, judged, {}));
    service.add_engine(std::move(engine));
    filter::GreylistSettings greylisted;
    greylisted.times.delay = std::chrono::milliseconds(1);
    greylisted.skip_authenticated = false;
    service.add_engine(std::make_shared<filter::GreylistEngine>(std::move(greylisted), greylist, process.metrics()));
  }
  static std::vector<asio::any_io_executor> loops_of(runtime::Process& process) {
    std::vector<asio::any_io_executor> out;
    for (std::size_t i = 0; i < process.loops().size(); ++i) out.push_back(process.loops().executor(i));
    return out;
  }
  pg::PoolOptions options() {
    if (auto migrated = pg::migrate(postgres.dsn(), "filter", filter::migrations()); migrated.has_error())
      throw std::runtime_error(migrated.error().describe());
    pg::PoolOptions options;
    options.dsn = postgres.dsn();
    options.schema = "filter";
    options.settings["enable_seqscan"] = "off";
    return options;
  }
  std::string number_of(const char* table) { return postgres.sql(std::string("select count(*) from filter.") + table); }

  static constexpr std::chrono::hours kHalfLife{336};
  test::Postgres postgres{test::Postgres::Options{.fsync = true, .settings = {}}};
  pg::Pool pool;
  filter::StoredGreylist greylist;
  filter::StoredReputation reputation;
  filter::JudgedMessages judged;
  TaskGroup tasks;
};

/// Every account's script of thirty rules, none of which ends the run early for the mail here.
struct ThirtyRules {
  ThirtyRules(runtime::Process& process, Memory& memory, filter::FilterService& service)
      : scripts(memory.pool, memory.tasks, {}),
        remembered(memory.pool),
        stage(scripts, remembered, cache, nullptr, nullptr, process.blocking(), process.metrics(), settings()) {
    service.set_sieve(stage);
  }
  static filter::SieveStage::Settings settings() {
    filter::SieveStage::Settings out;
    out.host = "mx.example.test";
    return out;
  }
  Task<void> store() {
    std::ifstream file(MERPATI_SOURCE_DIR "/tests/bench/thirty_rules.sieve");
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    const auto deadline = Deadline::after(std::chrono::seconds(30));
    for (std::size_t account = 1; account <= kAccounts; ++account) {
      const auto id = static_cast<std::int64_t>(account);
      // Each its own text, so that none is compiled for another.
      MERPATI_CO_TRY(const auto room,
                     co_await scripts.put(id, "rules", "# " + std::to_string(id) + "\n" + source, deadline));
      if (room != filter::ScriptRoom::kEnough) co_return Error(ErrorCode::kInternal, "the script has no room");
      MERPATI_CO_CHECK(co_await scripts.activate(id, "rules", deadline));
    }
    co_return Result<void>();
  }
  filter::Scripts scripts;
  filter::Memory remembered;
  filter::ScriptCache cache{16u << 20};
  filter::SieveStage stage;
};

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const double seconds = argc > 1 ? std::atof(argv[1]) : 5;
  const auto domains = static_cast<std::size_t>(argc > 2 ? std::atol(argv[2]) : 500);
  const auto octets = static_cast<std::size_t>(argc > 3 ? std::atol(argv[3]) : 4096);
  std::vector<int> numbers;
  for (int i = 4; i < argc; ++i) numbers.push_back(std::atoi(argv[i]));
  if (numbers.empty()) numbers = {1, 16, 64};
  test::DnsServer zone;
  const auto mail = make_mail(domains, octets, zone);
  std::printf("%zu domains, keys and bodies of %zu octets\n", domains, octets);

  log::configure("bench", log::Level::kWarning);
  runtime::ProcessOptions process_options;
  process_options.loops = 2;
  runtime::Process process(process_options);
  if (auto started = process.start(); started.has_error()) return std::puts(started.error().describe().c_str()), 1;
  auto resolver = dns::make_unbound_resolver(process.loops().main(), {{zone.server()}, false, ""});
  if (resolver.has_error()) return std::puts(resolver.error().describe().c_str()), 1;
  const auto caching = std::make_shared<dns::CachingResolver>(*std::move(resolver));
  test::Authority authority;
  Served plain(process, caching, authority), remembering(process, caching, authority);
  Served scripted(process, caching, authority);
  Memory memory(process, remembering.service);
  Memory whole(process, scripted.service);
  ThirtyRules rules(process, whole, scripted.service);
  for (Served* each : {&plain, &remembering, &scripted})
    if (auto started = each->start(); started.has_error()) return std::puts(started.error().describe().c_str()), 1;
  std::vector<std::unique_ptr<Loop>> loops;
  for (int i = 0; i < 2; ++i) loops.push_back(std::make_unique<Loop>());
  measure("first round, cold", loops, plain.to, mail, Senders::kKnown, seconds, numbers.back());
  for (const int in_flight : numbers) measure("warm", loops, plain.to, mail, Senders::kKnown, seconds, in_flight);
  std::printf("%d questions to the DNS server\n", zone.questions());
  memory.tasks.spawn(memory.judged.run());
  for (const int in_flight : numbers)
    measure("unknown senders", loops, remembering.to, mail, Senders::kNew, seconds, in_flight);
  std::printf("%s first attempts in PostgreSQL\n", memory.number_of("greylist_attempts").c_str());
  for (Memory* each : {&memory, &whole})
    each->postgres.sql(
        "insert into filter.greylist_known select distinct d, d, now() + interval '35 days' from (select "
        "('d' || n || '.test')::bytea d from generate_series(0, " +
        std::to_string(domains) + ") n) t on conflict do nothing");
  for (const int in_flight : numbers)
    measure("known senders", loops, remembering.to, mail, Senders::kKnown, seconds, in_flight);
  if (auto stored = asio::co_spawn(loops[0]->context, rules.store(), asio::use_future).get(); stored.has_error())
    return std::puts(stored.error().describe().c_str()), 1;
  whole.tasks.spawn(whole.judged.run());
  for (const int in_flight : numbers)
    measure("and thirty rules", loops, scripted.to, mail, Senders::kKnown, seconds, in_flight);
  for (Memory* each : {&memory, &whole}) {
    each->tasks.cancel();
    asio::co_spawn(loops[0]->context, each->tasks.join(Deadline::after(std::chrono::seconds(10))), asio::use_future)
        .get()
        .has_error();
    asio::co_spawn(loops[0]->context, each->judged.flush(), asio::use_future).get().has_error();
    std::printf("%s messages counted in PostgreSQL, %s reputations\n", each->number_of("judged").c_str(),
                each->number_of("reputations").c_str());
  }
  for (Served* each : {&plain, &remembering, &scripted})
    asio::co_spawn(loops[0]->context, each->server->stop(), asio::use_future).get().has_error();
  memory.pool.close();
  whole.pool.close();
  process.stop();
  return 0;
}
