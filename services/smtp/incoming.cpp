#include "smtp/incoming.hpp"

namespace merpati::smtp {

void Incoming::fail(Error error) {
  problem = std::move(error);
  buffer.drop();
  site_->bytes_in_flight.fetch_sub(std::exchange(counted_, 0));
}

Task<void> Incoming::took() {
  if (problem) {
    buffer.memory().clear();
    co_return Result<void>();
  }
  const auto more = buffer.size() - counted_;
  counted_ += more;
  const auto in_flight = site_->bytes_in_flight.fetch_add(more) + more;
  if (counted_ > site_->policy.max_message_size) {
    fail(Error(ErrorCode::kOutOfRange, "message too large").with_public("Message too large"));
  } else if (in_flight > site_->policy.max_bytes_in_flight) {
    fail(Error(ErrorCode::kResourceExhausted, "too many octets in flight"));
  } else if (auto spilled = co_await buffer.spill_if_large(); spilled.has_error()) {
    fail(std::move(spilled).error());
  }
  co_return Result<void>();
}

}  // namespace merpati::smtp
