// DnsList: one list of addresses or domains in DNS (RFC 5782), and whether it is in its right mind.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/dns/resolver.hpp"

namespace merpati::filter {

/// Which answers a code means: four parts as in an address, each a number, a range "4-7" or "*"; or bits of the last
/// part.
struct AnswerPattern {
  std::array<std::pair<std::uint8_t, std::uint8_t>, 4> parts{};  ///< from, to
  std::uint8_t bits = 0;                                         ///< not 0: one of these in the last part, too
  bool matches(const boost::asio::ip::address_v4& answer) const;
};
/// kInvalidArgument when it is no pattern: "127.0.0.2", "127.0.0.4-7", "127.0.*.1".
Result<AnswerPattern> parse_pattern(std::string_view text);

struct ListCode {
  AnswerPattern answers;
  std::string symbol;
  double score = 0;
  bool refuse = false;
};

struct ListSettings {
  std::string zone;  ///< A-labels, without final dot
  enum class Of : std::uint8_t { kAddresses, kDomains } of = Of::kAddresses;
  std::string symbol;
  double score = 0;             ///< of a listing that no code names
  bool refuse = false;          ///< likewise
  std::vector<ListCode> codes;  ///< the first that fits; with bits: each that fits
  bool ipv4 = true, ipv6 = false;
};

class DnsList {
 public:
  DnsList(ListSettings settings, std::shared_ptr<dns::Resolver> resolver)
      : settings_(std::move(settings)), resolver_(std::move(resolver)) {}

  const ListSettings& settings() const { return settings_; }
  struct Listing {
    std::string symbol;
    double score = 0;
    bool refuse = false;
  };
  struct Answer {
    std::vector<Listing> listings;
    bool unknown = false;  ///< DNS did not answer
  };
  /// Nothing while the list is off. An answer that no list gives switches it off until the next test.
  Task<Answer> ask(boost::asio::ip::address client, Deadline deadline);
  Task<Answer> ask(std::string domain, Deadline deadline);

  /// RFC 5782 5: what must be listed is, and what must not is not. Switches the list on or off; says why it is off, or
  /// nothing. While DNS does not answer nothing changes.
  Task<std::string> test(Deadline deadline);
  bool on() const { return on_.load(std::memory_order_relaxed); }
  /// Told when an answer switched it off.
  void on_nonsense(std::function<void(const std::string&)> tell) { tell_ = std::move(tell); }

 private:
  Task<Answer> look_up(std::string name, Deadline deadline);
  void judge(const boost::asio::ip::address_v4& answer, Answer& into) const;
  void switch_off(const std::string& why);

  const ListSettings settings_;
  std::shared_ptr<dns::Resolver> resolver_;
  std::function<void(const std::string&)> tell_;
  std::atomic<bool> on_{true};
};

/// "2.0.0.127" or 32 nibbles, as lists want it in front of their zone (RFC 5782 2.1, 2.4).
std::string reversed(const boost::asio::ip::address& address);

}  // namespace merpati::filter
