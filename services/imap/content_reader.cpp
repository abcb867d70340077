#include "imap/content_reader.hpp"

#include <algorithm>

#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {

namespace {

constexpr std::size_t kCallsAhead = 3;  // each of kSmall octets at most

/// What is left of a range of which `have` octets are here.
void set_range(std::uint32_t uid, OctetRange range, std::uint64_t have, pb::ContentRange& out) {
  out.set_uid(uid);
  out.set_offset(range.offset + have);
  out.set_length(range.length - have);
  out.set_verbatim(range.verbatim);
}

Error gone() { return Error(ErrorCode::kNotFound, "message is gone").with_public("The message no longer exists"); }

}  // namespace

void ContentReader::plan(std::uint32_t uid, OctetRange range) {
  if (range.length > 0 && range.length <= kSmall) wanted_.push_back({uid, range, {}});
}

void ContentReader::forget_plan() {
  first_ += wanted_.size();
  wanted_.clear();
  asked_.clear();
}

Task<std::unique_ptr<ContentReader::Stream>> ContentReader::open(std::uint32_t uid, OctetRange range,
                                                                 std::uint64_t have) {
  pb::StreamContentRequest request;
  request.set_account_id(session_.account());
  request.set_mailbox_id(session_.selected()->id);
  set_range(uid, range, have, *request.mutable_range());
  auto options = session_.call_options();
  options.deadline = Deadline::after(std::chrono::hours(1));  // the client's reading sets the pace
  co_return co_await session_.store().stream_content(request, options);
}

// Keeps calls under way for what comes next, each for as many ranges as one reply holds.
void ContentReader::ask() {
  std::size_t at = 0;
  while (asked_.size() < kCallsAhead) {
    pb::ReadContentRequest request;
    std::vector<std::uint64_t> numbers;
    std::uint64_t total = 0;
    for (; at < wanted_.size() && numbers.size() < 256; ++at) {
      auto& wanted = wanted_[at];
      if (wanted.asked || wanted.read) continue;
      const auto left = wanted.range.length - wanted.octets.size();
      if (total > 0 && total + left > kSmall) break;
      total += left;
      set_range(wanted.uid, wanted.range, wanted.octets.size(), *request.add_ranges());
      wanted.asked = true;
      numbers.push_back(first_ + at);
    }
    if (numbers.empty()) return;
    request.set_account_id(session_.account());
    request.set_mailbox_id(session_.selected()->id);
    auto call = start_call(session_.loop(), session_.loop().store, &store::v1::StoreClient::read_content,
                           std::move(request), session_.call_options());
    asked_.push_back({std::move(call), std::move(numbers)});
  }
}

// Waits for the oldest call. What its reply had no room for is asked for again.
Task<void> ContentReader::take_answer() {
  auto asked = std::move(asked_.front());
  asked_.pop_front();
  MERPATI_CO_TRY(auto response, co_await asked.call.wait());
  if (response.contents().empty()) co_return Error(ErrorCode::kDataLoss, "no content in the reply");
  for (std::size_t i = 0; i < asked.numbers.size(); ++i) {
    if (asked.numbers[i] < first_) continue;  // its row was left out meanwhile
    auto& wanted = wanted_[asked.numbers[i] - first_];
    wanted.asked = false;
    if (i >= static_cast<std::size_t>(response.contents_size())) continue;
    auto& content = *response.mutable_contents(static_cast<int>(i));
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

Task<std::string> ContentReader::read_alone(std::uint32_t uid, OctetRange range) {
  std::string octets;
  while (octets.size() < range.length) {
    pb::ReadContentRequest request;
    request.set_account_id(session_.account());
    request.set_mailbox_id(session_.selected()->id);
    set_range(uid, range, octets.size(), *request.add_ranges());
    MERPATI_CO_TRY(auto response, co_await session_.store().read_content(request, session_.call_options()));
    if (response.contents_size() != 1) co_return Error(ErrorCode::kDataLoss, "no content in the reply");
    if (response.contents(0).gone()) co_return gone();
    if (response.contents(0).octets().empty()) co_return Error(ErrorCode::kDataLoss, "content ended early");
    octets += response.contents(0).octets();
  }
  co_return octets;
}

Task<std::string> ContentReader::read(std::uint32_t uid, OctetRange range) {
  if (range.length == 0) co_return std::string();
  const auto place = std::ranges::find_if(wanted_, [&](const Wanted& w) {
    return w.uid == uid && w.range.offset == range.offset && w.range.length == range.length &&
           w.range.verbatim == range.verbatim;
  });
  if (place == wanted_.end()) co_return co_await read_alone(uid, range);
  first_ += static_cast<std::uint64_t>(place - wanted_.begin());
  wanted_.erase(wanted_.begin(), place);
  ask();
  while (!wanted_.front().read) {
    MERPATI_CO_CHECK(co_await take_answer());
    ask();
  }
  auto octets = std::move(wanted_.front().octets);
  wanted_.pop_front();
  ++first_;
  if (octets.empty()) co_return gone();
  co_return octets;
}

}  // namespace merpati::imap
