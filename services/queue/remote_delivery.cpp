#include "queue/remote_delivery.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "merpati/runtime/log.hpp"
#include "queue/conversion.hpp"

namespace merpati::queue {
namespace {
constexpr auto kDnsTimeout = std::chrono::seconds(30);
constexpr std::size_t kMaxHosts = 5;         // of a route
constexpr std::size_t kMaxAddresses = 8;     // of all of them
constexpr std::size_t kMaxRecipients = 100;  // RFC 5321 4.5.3.1.8: every host takes that many

bool needs_utf8(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

/// Without SMTPUTF8 an address travels when its domain alone is not US-ASCII, in A-labels. Others are returned: they
/// are taken out of `open`.
void downgrade(Transaction& transaction, std::vector<std::size_t>& open, std::vector<Outcome>& outcomes) {
  const auto refusal = Outcome::failed("5.6.7", "The remote host does not take internationalized addresses (SMTPUTF8)");
  const auto reverse_path = needs_utf8(transaction.reverse_path) ? to_ascii_address(transaction.reverse_path)
                                                                 : std::optional(transaction.reverse_path);
  std::vector<std::size_t> kept;
  std::vector<std::string> recipients;
  for (std::size_t n = 0; n < open.size(); ++n) {
    auto& address = transaction.recipients[n];
    auto ascii = needs_utf8(address) ? to_ascii_address(address) : std::optional(address);
    if (!reverse_path || !ascii) {
      outcomes[open[n]] = refusal;
      continue;
    }
    kept.push_back(open[n]);
    recipients.push_back(*std::move(ascii));
  }
  transaction.reverse_path = reverse_path.value_or("");
  transaction.recipients = std::move(recipients);
  open = std::move(kept);
}
}  // namespace

Task<void> RemoteDelivery::look_up() {
  candidates_.clear();
  MERPATI_CO_TRY(Route route, co_await find_route(resolver_, config_.route, domain_, Deadline::after(kDnsTimeout)));
  if (route.failure) {
    failure_ = *route.failure;
    co_return Result<void>();
  }
  smart_host_ = route.smart_host;
  failure_ = Outcome::temporary("4.4.4", "No address of a mail host for " + domain_ + " was found");
  bool every_name_missing = true;
  for (std::size_t i = 0; i < route.targets.size() && i < kMaxHosts; ++i) {
    const Target& target = route.targets[i];
    boost::system::error_code not_an_address;
    const auto literal = boost::asio::ip::make_address(target.host, not_an_address);
    if (!not_an_address) {
      every_name_missing = false;
      candidates_.emplace_back(net::Endpoint(literal, target.port), target.host);
      continue;
    }
    MERPATI_CO_TRY(const auto answer, co_await resolver_.addresses(target.host, Deadline::after(kDnsTimeout)));
    if (answer.status == dns::Status::kTemporary) failure_.ours = true;
    every_name_missing &= answer.status == dns::Status::kNoName || answer.status == dns::Status::kNoData;
    for (const auto& address : answer.records) {
      if (candidates_.size() < kMaxAddresses)
        candidates_.emplace_back(net::Endpoint(address, target.port), target.host);
    }
  }
  // RFC 5321 5.1: hosts without an address will not get one by waiting.
  if (candidates_.empty() && every_name_missing) {
    failure_ = Outcome::failed("5.4.4", "No address of a mail host for " + domain_ + " exists");
  }
  co_return Result<void>();
}

Task<std::vector<Outcome>> RemoteDelivery::deliver(const Message& message, const std::vector<const LeasedItem*>& items,
                                                   Content& content) {
  std::vector<Outcome> outcomes(items.size());
  looked_up_ = false;
  const std::size_t told = session_ ? session_->extensions().rcpt_max : 0;
  const std::size_t batch = told > 0 ? std::min<std::size_t>(told, kMaxRecipients) : kMaxRecipients;
  for (std::size_t first = 0; first < items.size(); first += batch) {
    MERPATI_CO_CHECK(
        co_await send_batch(message, items, first, std::min(batch, items.size() - first), content, outcomes));
  }
  co_return outcomes;
}

Task<bool> RemoteDelivery::connect() {
  if (!looked_up_) {
    looked_up_ = true;
    MERPATI_CO_CHECK(co_await look_up());
  }
  while (!candidates_.empty()) {
    const auto [endpoint, host] = candidates_.front();
    candidates_.erase(candidates_.begin());
    const RemoteOptions& options = smart_host_ ? config_.smart_host : config_.mx;
    auto session = co_await RemoteSession::open(endpoint, host, options);
    if (session.has_value()) {
      session_ = *std::move(session);
      co_return true;
    }
    if (session.error().code() == ErrorCode::kCancelled) co_return session.error();
    const std::string& shown = session.error().public_text();
    failure_ =
        Outcome::temporary("4.4.1", shown.empty() ? "Cannot connect: " + session.error().message() : shown, host);
  }
  co_return false;
}

Task<void> RemoteDelivery::send_batch(const Message& message, const std::vector<const LeasedItem*>& items,
                                      std::size_t first, std::size_t count, Content& content,
                                      std::vector<Outcome>& outcomes) {
  // What is not decided yet. A host that breaks off leaves the rest to the next one.
  std::vector<std::size_t> open;
  for (std::size_t i = first; i < first + count; ++i) open.push_back(i);
  while (!open.empty()) {
    if (!session_) {
      MERPATI_CO_TRY(const bool connected, co_await connect());
      if (!connected) {
        for (const std::size_t i : open) outcomes[i] = failure_;
        co_return Result<void>();
      }
    }
    Transaction transaction;
    transaction.reverse_path = message.reverse_path;
    transaction.size = message.size;
    transaction.body_type = message.body_type;
    transaction.eight_bit = content.eight_bit();
    transaction.smtputf8 = message.smtputf8 || needs_utf8(message.reverse_path);
    for (const std::size_t i : open) {
      transaction.recipients.push_back(items[i]->recipient);
      transaction.smtputf8 |= needs_utf8(items[i]->recipient);
    }
    MERPATI_CO_TRY(const Fitted fitted, co_await fit_for(session_->extensions(), session_->host(), message, content,
                                                         transaction, *config_.blocking));
    if (fitted.refusal) {
      for (const std::size_t i : open) outcomes[i] = *fitted.refusal;
      co_return Result<void>();
    }
    if (!session_->extensions().smtputf8) downgrade(transaction, open, outcomes);
    if (open.empty()) co_return Result<void>();
    Content& octets = fitted.content ? *fitted.content : content;
    MERPATI_CO_TRY(const ContentSource source, co_await octets.open());
    MERPATI_CO_TRY(TransactionResult result, co_await session_->send(std::move(transaction), source));
    if (!fitted.note.empty()) {
      log::info("queue_message_converted", fitted.note, {{"trace_id", message.trace_id}, {"host", session_->host()}});
      for (auto& outcome : result.outcomes) outcome.text += " (" + fitted.note + ")";
    }
    std::vector<std::size_t> again;
    for (std::size_t n = 0; n < open.size(); ++n) {
      outcomes[open[n]] = result.outcomes[n];
      const bool undecided = result.broken && result.outcomes[n].kind == Outcome::Kind::kTemporary;
      if (undecided) {
        failure_ = result.outcomes[n];
        again.push_back(open[n]);
      }
    }
    if (result.broken) session_.reset();
    open = std::move(again);
  }
  co_return Result<void>();
}

Task<void> RemoteDelivery::close() {
  if (session_) static_cast<void>(co_await session_->quit());
  session_.reset();
  co_return Result<void>();
}

}  // namespace merpati::queue
