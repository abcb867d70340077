#include "imap/content_reader.hpp"

#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {

void ContentReader::plan(std::uint32_t uid, OctetRange range) {
  if (range.length > 0 && range.length <= kSmall) wanted_.push_back({uid, range, {}, false});
}

void ContentReader::forget_plan() { wanted_.clear(); }

Task<std::unique_ptr<ContentReader::Stream>> ContentReader::open(std::uint32_t uid, OctetRange range) {
  pb::StreamContentRequest request;
  request.set_account_id(session_.account());
  request.set_mailbox_id(session_.selected()->id);
  request.mutable_range()->set_uid(uid);
  request.mutable_range()->set_offset(range.offset);
  request.mutable_range()->set_length(range.length);
  request.mutable_range()->set_verbatim(range.verbatim);
  auto options = session_.call_options();
  options.deadline = Deadline::after(std::chrono::hours(1));  // the client's reading sets the pace
  co_return co_await session_.store().stream_content(request, options);
}

// Asks for the ranges at the front of the plan, as many as one reply of 64 KiB holds.
Task<void> ContentReader::read_ahead() {
  pb::ReadContentRequest request;
  request.set_account_id(session_.account());
  request.set_mailbox_id(session_.selected()->id);
  std::uint64_t total = 0;
  for (const auto& wanted : wanted_) {
    if (wanted.read) break;
    if (request.ranges_size() > 0 && (total + wanted.range.length > kSmall || request.ranges_size() >= 256)) break;
    total += wanted.range.length;
    auto* range = request.add_ranges();
    range->set_uid(wanted.uid);
    range->set_offset(wanted.range.offset + wanted.octets.size());
    range->set_length(wanted.range.length - wanted.octets.size());
    range->set_verbatim(wanted.range.verbatim);
  }
  MERPATI_CO_TRY(auto response, co_await session_.store().read_content(request, session_.call_options()));
  if (response.contents_size() == 0) co_return Error(ErrorCode::kDataLoss, "no content in the reply");
  for (int i = 0; i < response.contents_size() && static_cast<std::size_t>(i) < wanted_.size(); ++i) {
    auto& wanted = wanted_[static_cast<std::size_t>(i)];
    auto& content = *response.mutable_contents(i);
    if (content.gone()) {
      wanted.read = true;
      wanted.octets.clear();
      continue;
    }
    if (content.octets().empty()) co_return Error(ErrorCode::kDataLoss, "content ended early");
    if (wanted.octets.empty()) {
      wanted.octets = std::move(*content.mutable_octets());
    } else {
      wanted.octets += content.octets();
    }
    wanted.read = wanted.octets.size() >= wanted.range.length;
  }
  co_return Result<void>();
}

Task<std::string> ContentReader::read(std::uint32_t uid, OctetRange range) {
  if (range.length == 0) co_return std::string();
  const bool planned = !wanted_.empty() && wanted_.front().uid == uid && wanted_.front().range.offset == range.offset &&
                       wanted_.front().range.length == range.length && wanted_.front().range.verbatim == range.verbatim;
  if (!planned) wanted_.push_front({uid, range, {}, false});
  while (!wanted_.front().read) MERPATI_CO_CHECK(co_await read_ahead());
  auto octets = std::move(wanted_.front().octets);
  wanted_.pop_front();
  if (octets.empty())
    co_return Error(ErrorCode::kNotFound, "message is gone").with_public("The message no longer exists");
  co_return octets;
}

}  // namespace merpati::imap
