#include "filter/dns_list.hpp"

#include <algorithm>
#include <charconv>

namespace merpati::filter {
namespace {

using boost::asio::ip::address_v4;

bool parse_octet(std::string_view text, std::uint8_t& out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && failure == std::errc() && end == text.data() + text.size();
}

Error no_pattern(std::string_view text) {
  return Error(ErrorCode::kInvalidArgument,
               "\"" + std::string(text) + "\" is no pattern of answers such as 127.0.0.4-7");
}

/// RFC 5782 2.1: lists answer in 127.0.0.0/8. Some tell errors of their users in 127.255.255.0/24 (an open resolver,
/// too many questions), which is no listing either.
bool is_listing(const address_v4& answer) {
  const auto bytes = answer.to_bytes();
  return bytes[0] == 127 && !(bytes[1] == 255 && bytes[2] == 255);
}

}  // namespace

bool AnswerPattern::matches(const address_v4& answer) const {
  const auto bytes = answer.to_bytes();
  for (std::size_t i = 0; i < 4; ++i)
    if (bytes[i] < parts[i].first || bytes[i] > parts[i].second) return false;
  return bits == 0 || (bytes[3] & bits) != 0;
}

Result<AnswerPattern> parse_pattern(std::string_view text) {
  AnswerPattern pattern;
  std::string_view rest = text;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto dot = std::min(rest.find('.'), rest.size());
    const auto part = rest.substr(0, dot);
    if ((dot == rest.size()) != (i == 3)) return no_pattern(text);
    rest.remove_prefix(std::min(dot + 1, rest.size()));
    auto& [from, to] = pattern.parts[i];
    if (part == "*") {
      to = 255;
      continue;
    }
    const auto dash = part.find('-');
    const bool range = dash != std::string_view::npos;
    const bool good = parse_octet(part.substr(0, dash), from) && parse_octet(range ? part.substr(dash + 1) : part, to);
    if (!good || from > to) return no_pattern(text);
  }
  return pattern;
}

std::string reversed(const boost::asio::ip::address& address) {
  const auto name = dns::reverse_name(address);
  const auto end = name.rfind(address.is_v4() ? ".in-addr.arpa" : ".ip6.arpa");
  return name.substr(0, end);
}

void DnsList::switch_off(const std::string& why) {
  if (on_.exchange(false) && tell_) tell_(why);
}

void DnsList::judge(const address_v4& answer, Answer& into) const {
  bool named = false;
  for (const auto& code : settings_.codes) {
    if (!code.answers.matches(answer)) continue;
    into.listings.push_back({code.symbol.empty() ? settings_.symbol : code.symbol, code.score, code.refuse});
    named = true;
    if (code.answers.bits == 0) break;
  }
  if (!named && settings_.codes.empty()) into.listings.push_back({settings_.symbol, settings_.score, settings_.refuse});
}

Task<DnsList::Answer> DnsList::look_up(std::string name, Deadline deadline) {
  Answer out;
  MERPATI_CO_TRY(const auto answer,
                 co_await resolver_->addresses_of(dns::Family::kV4, std::move(name) + "." + settings_.zone, deadline));
  if (answer.status == dns::Status::kTemporary || answer.status == dns::Status::kBogus) out.unknown = true;
  if (answer.status != dns::Status::kFound) co_return out;
  for (const auto& record : answer.records) {
    if (!is_listing(record.to_v4())) {
      switch_off("it answered " + record.to_string());
      co_return Answer{{}, true};
    }
  }
  for (const auto& record : answer.records) judge(record.to_v4(), out);
  co_return out;
}

Task<DnsList::Answer> DnsList::ask(boost::asio::ip::address client, Deadline deadline) {
  const bool fits = client.is_v4() ? settings_.ipv4 : settings_.ipv6;
  if (!fits || !on()) co_return Answer{{}, fits};
  co_return co_await look_up(reversed(client), deadline);
}

Task<DnsList::Answer> DnsList::ask(std::string domain, Deadline deadline) {
  if (!on()) co_return Answer{{}, true};
  // A URL with an address: such lists have it the other way round, as lists of addresses do.
  boost::system::error_code failure;
  const auto address = boost::asio::ip::make_address(domain, failure);
  if (!failure) domain = reversed(address);
  co_return co_await look_up(std::move(domain), deadline);
}

Task<std::string> DnsList::test(Deadline deadline) {
  // RFC 5782 5: 127.0.0.2 and 127.0.0.1; ::FFFF:7F00:2 and ::FFFF:7F00:1; TEST and INVALID.
  struct Pair {
    std::string listed, unlisted;
  };
  std::vector<Pair> pairs;
  if (settings_.of == ListSettings::Of::kDomains) {
    pairs.push_back({"test", "invalid"});
  } else {
    const auto name = [](const char* text) { return reversed(boost::asio::ip::make_address(text)); };
    if (settings_.ipv4) pairs.push_back({name("127.0.0.2"), name("127.0.0.1")});
    if (settings_.ipv6) pairs.push_back({name("::ffff:7f00:2"), name("::ffff:7f00:1")});
  }
  std::string why;
  for (const auto& pair : pairs) {
    for (const bool listed : {true, false}) {
      const std::string name = (listed ? pair.listed : pair.unlisted) + "." + settings_.zone;
      MERPATI_CO_TRY(const auto answer, co_await resolver_->addresses_of(dns::Family::kV4, name, deadline));
      if (answer.status == dns::Status::kTemporary || answer.status == dns::Status::kBogus) co_return std::string();
      const bool found = answer.status == dns::Status::kFound && !answer.records.empty();
      const bool sane = std::ranges::all_of(answer.records, [](const auto& r) { return is_listing(r.to_v4()); });
      if (found == listed && sane) continue;
      why = name + (found ? " is " + answer.records.front().to_string() : std::string(" is not listed"));
      break;
    }
    if (!why.empty()) break;
  }
  if (why.empty()) {
    on_ = true;
  } else {
    switch_off(why);
  }
  co_return why;
}

}  // namespace merpati::filter
