// DmarcSender: hands the reports of closed periods to the queue, for those who want them.
#pragma once

#include <memory>

#include "filter/dmarc_mail.hpp"
#include "filter/dmarc_observation.hpp"
#include "filter/dmarc_store.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/dns/resolver.hpp"
#include "merpati/mailauth/dmarc_destination.hpp"
#include "merpati/rpc/channel.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::filter {

class DmarcSender {
 public:
  struct Peers {
    std::shared_ptr<rpc::Channel> queue, store;  ///< null: what needs it waits
  };
  /// `memory` and `blocking` outlive it.
  DmarcSender(DmarcReporter reporter, DmarcExclusions exclusions, StoredDmarc& memory,
              std::shared_ptr<dns::Resolver> resolver, Peers peers, asio::thread_pool& blocking,
              runtime::Metrics& metrics);

  /// Looks for what is due until it is cancelled.
  asio::awaitable<void> run();
  /// Something is due now.
  void hurry() { news_.notify(); }
  /// One period that is due; false: none was.
  Task<bool> send_one();
  /// Tells of periods that were dropped unsent.
  void tell_expired(std::int64_t periods) { expired_.add(static_cast<double>(periods)); }

 private:
  Task<std::vector<std::string>> destinations_of(const DuePeriod& period, std::string& waits_for);
  Task<void> send(const DuePeriod& period);
  Task<void> enqueue(const DuePeriod& period, std::shared_ptr<const DmarcMail> mail, std::string to);

  const DmarcReporter reporter_;
  const DmarcExclusions exclusions_;
  StoredDmarc& memory_;
  std::shared_ptr<dns::Resolver> resolver_;
  const Peers peers_;
  asio::thread_pool& blocking_;
  Wakeup news_;
  runtime::Counter sent_, unverified_, refused_, postponed_, expired_;
};

}  // namespace merpati::filter
