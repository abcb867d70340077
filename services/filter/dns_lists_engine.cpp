#include "filter/dns_lists_engine.hpp"

#include <algorithm>

#include "merpati/base/side_by_side.hpp"
#include "merpati/runtime/log.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kSmall = 64 * 1024;  // octets: looked through where we are, without a hop to another thread

void count(const DnsList::Listing& listing, const std::string& what, const std::string& zone, Findings& findings) {
  const auto found = std::ranges::find(findings.symbols, listing.symbol, &Symbol::name);
  if (found != findings.symbols.end()) {
    // A domain more on the same list is no second reason.
    if (found->detail.size() < 300) found->detail += ", " + what;
    return;
  }
  if (listing.refuse) {
    const bool told = std::ranges::find(findings.refusals, listing.symbol, &Refusal::symbol) != findings.refusals.end();
    if (!told) findings.refusals.push_back({listing.symbol, 554, "5.7.1", what + " is listed by " + zone, true, true});
    return;
  }
  findings.symbols.push_back({listing.symbol, listing.score, what});
}

}  // namespace

DnsListsEngine::DnsListsEngine(DnsListsSettings settings, std::vector<ListSettings> lists,
                               std::shared_ptr<dns::Resolver> resolver, runtime::Metrics& metrics,
                               asio::thread_pool& blocking)
    : settings_(std::move(settings)), blocking_(blocking) {
  for (auto& each : lists) {
    has_domain_lists_ = has_domain_lists_ || each.of == ListSettings::Of::kDomains;
    const std::string zone = each.zone, symbol = each.symbol;
    auto seat = std::make_unique<Seat>(std::move(each), resolver);
    seat->listed =
        metrics.counter("merpati_filter_list_hits_total", "What a list in DNS has listed", {{"list", symbol}});
    seat->off = metrics.gauge("merpati_filter_list_off", "1 while a list in DNS is not asked since it answers nonsense",
                              {{"list", symbol}});
    seat->list.on_nonsense([off = seat->off, zone](const std::string& why) {
      off.set(1);
      log::warning("filter_list_off", "the list is not asked until it answers sensibly: " + why, {{"list", zone}});
    });
    seats_.push_back(std::move(seat));
  }
}

asio::awaitable<void> DnsListsEngine::test(Seat& seat) {
  const bool was_on = seat.list.on();
  auto why = co_await seat.list.test(Deadline::after(std::chrono::seconds(30)));
  if (why.has_error() || !seat.list.on() || was_on) co_return;
  seat.off.set(0);
  log::info("filter_list_on", "the list is asked again", {{"list", seat.list.settings().zone}});
}

asio::awaitable<void> DnsListsEngine::keep_testing() {
  co_await asio::this_coro::throw_if_cancelled(false);
  auto all_due = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    const bool all = now >= all_due;
    if (all) all_due = now + settings_.test_every;
    for (auto& seat : seats_) {
      if (all || !seat->list.on()) co_await test(*seat);
    }
    if ((co_await sleep_for(std::min<std::chrono::nanoseconds>(settings_.test_every, settings_.test_again_after)))
            .has_error())
      co_return;
  }
}

Task<Findings> DnsListsEngine::ask(const boost::asio::ip::address& client, std::vector<std::string> domains) {
  struct Question {
    Seat* seat;
    std::string domain;  // empty: the client
    Result<DnsList::Answer> answer;
  };
  std::vector<std::unique_ptr<Question>> questions;
  for (auto& seat : seats_) {
    if (seat->list.settings().of == ListSettings::Of::kDomains) {
      for (const auto& domain : domains)
        questions.push_back(std::make_unique<Question>(Question{seat.get(), domain, DnsList::Answer()}));
    } else if (!client.is_unspecified()) {
      questions.push_back(std::make_unique<Question>(Question{seat.get(), {}, DnsList::Answer()}));
    }
  }
  Findings findings;
  if (questions.empty()) co_return findings;
  const auto deadline = Deadline::after(settings_.lookup_time);
  const auto put = [client, deadline](Question* question) -> asio::awaitable<void> {
    co_await asio::this_coro::throw_if_cancelled(false);
    auto& list = question->seat->list;
    if (question->domain.empty()) {
      question->answer = co_await list.ask(client, deadline);
    } else {
      question->answer = co_await list.ask(question->domain, deadline);
    }
  };
  std::vector<asio::awaitable<void>> lookups;
  for (auto& question : questions) lookups.push_back(put(question.get()));
  MERPATI_CO_CHECK(co_await run_side_by_side(std::move(lookups)));
  std::vector<const Seat*> unknown;
  for (const auto& question : questions) {
    if (question->answer.has_error()) co_return question->answer.error();
    const auto& list = question->seat->list.settings();
    const std::string what = question->domain.empty() ? client.to_string() : question->domain;
    for (const auto& listing : question->answer->listings) {
      question->seat->listed.add();
      // A list of good clients (DNSWL). Links to good domains say nothing of who sent the message.
      if (question->domain.empty() && !listing.refuse && listing.score < 0) findings.known_good = true;
      count(listing, what, list.zone, findings);
    }
    if (question->answer->unknown && std::ranges::find(unknown, question->seat) == unknown.end()) {
      unknown.push_back(question->seat);
      findings.symbols.push_back({list.symbol, 0, "the list does not answer", true});
    }
  }
  co_return findings;
}

Task<Findings> DnsListsEngine::check_client(const boost::asio::ip::address& client) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Findings findings;
  if (client.is_unspecified() || settings_.own_networks.contains(client)) co_return findings;
  co_return co_await ask(client, {});
}

Task<Findings> DnsListsEngine::wait_for(const MessageView& view) {
  co_await asio::this_coro::throw_if_cancelled(false);
  std::vector<std::string> domains;
  if (has_domain_lists_ && view.whole && view.message.size() <= kSmall) {
    domains = domains_in(view.message, settings_.domains);
  } else if (has_domain_lists_ && view.whole) {
    auto there = [message = view.message, limits = settings_.domains] { return domains_in(message, limits); };
    domains = co_await run_blocking(blocking_, std::move(there));
  }
  // Our own people's addresses are on lists of dynamic ones; what they link to is looked at.
  const bool known = !view.from_outside() || settings_.own_networks.contains(view.client);
  const auto client = known ? boost::asio::ip::address() : view.client;
  co_return co_await ask(client, std::move(domains));
}

}  // namespace merpati::filter
