// A message on its way in: its octets, what is wrong with them, and its share of the process's bytes in flight.
#pragma once

#include "merpati/smtp/data.hpp"
#include "smtp/message_buffer.hpp"
#include "smtp/site.hpp"

namespace merpati::smtp {

class Incoming {
 public:
  explicit Incoming(Site& site)
      : buffer(site.policy.spill_threshold, site.policy.spill_directory, site.blocking), site_(&site) {}
  ~Incoming() { site_->bytes_in_flight.fetch_sub(counted_); }
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  /// After octets were appended to buffer.memory(): counts them, checks limits, spills. What is wrong is remembered in
  /// `problem` and the octets are dropped; the client hears it at the end.
  Task<void> took();

  MessageBuffer buffer;
  DotDecoder dots;
  LineEndChecker line_ends;
  std::optional<Error> problem;

 private:
  void fail(Error error);
  Site* site_;
  std::uint64_t counted_ = 0;
};

}  // namespace merpati::smtp
