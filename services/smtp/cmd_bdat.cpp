// BDAT (RFC 3030 2).
#include "merpati/runtime/log.hpp"
#include "smtp/session.hpp"

namespace merpati::smtp {
namespace {

// Octets of a refused chunk that are read and forgotten to stay in step; past it the session ends.
constexpr std::uint64_t kMostSwallowed = std::uint64_t{1} << 30;

}  // namespace

Task<void> Session::swallow(std::uint64_t octets) {
  if (octets > kMostSwallowed) {
    goodbye(421, "4.7.0", "Chunk too large");
    co_return Result<void>();
  }
  while (octets > 0) {
    const auto deadline = session_end_.within(site_->policy.data_timeout);
    MERPATI_CO_TRY(const auto chunk, co_await connection_.read_chunk(octets, deadline));
    octets -= chunk.size();
  }
  co_return Result<void>();
}

Task<void> Session::cmd_bdat(std::string_view argument) {
  const auto bdat = parse_bdat(argument);
  if (bdat.has_error()) {
    // What follows cannot be told from commands any more.
    reply(bdat.error());
    goodbye(421, "4.5.0", "Cannot find the end of the chunk");
    co_return Result<void>();
  }
  if (!transaction_ || transaction_->recipients.empty()) {
    MERPATI_CO_CHECK(co_await swallow(bdat->size));
    if (!ended_) static_cast<void>(ready_for_message());
    co_return Result<void>();
  }
  if (!incoming_) {
    MERPATI_CO_TRY(const bool wanted, co_await milters_data());
    if (!wanted) {
      reset();
      if (ended_) co_return Result<void>();
      co_return co_await swallow(bdat->size);
    }
    incoming_ = std::make_unique<Incoming>(*site_);
  }
  auto& incoming = *incoming_;
  if (bdat->size > kMostSwallowed) {
    goodbye(421, "4.7.0", "Chunk too large");
    co_return Result<void>();
  }
  for (auto left = bdat->size; left > 0;) {
    const auto deadline = session_end_.within(site_->policy.data_timeout);
    MERPATI_CO_TRY(const auto chunk, co_await connection_.read_chunk(left, deadline));
    left -= chunk.size();
    incoming.line_ends.feed(chunk);
    if (!incoming.problem) incoming.buffer.memory().append(chunk);
    MERPATI_CO_CHECK(co_await incoming.took());
  }
  if (incoming.problem) {
    const auto problem = *incoming.problem;
    reset();
    reply_error(problem);
    co_return Result<void>();
  }
  if (!bdat->last) {
    reply(250, "2.0.0", std::to_string(bdat->size) + " octets received");
    co_return Result<void>();
  }
  auto whole = std::move(incoming_);
  if (transaction_->mail.body != BodyType::kBinaryMime && whole->line_ends.bare_line_end()) {
    site_->probe.smuggling();
    reset();
    reply(554, "5.6.0", "Message has a CR or LF that stands alone");
    co_return Result<void>();
  }
  co_return co_await finish_message(std::move(whole));
}

}  // namespace merpati::smtp
