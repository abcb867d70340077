#include "imap/row_reader.hpp"

#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {
constexpr std::uint64_t kFew = 100;
}

RowReader::RowReader(Session& session, Ranges uids, pb::FetchMask mask, std::uint64_t changed_since)
    : session_(session), uids_(std::move(uids)) {
  request_.set_account_id(session.account());
  request_.set_mailbox_id(session.selected()->id);
  *request_.mutable_mask() = mask;
  request_.set_changed_since(changed_since);
  streamed_ = count(session.selected()->uids->select_uids(uids_)) > kFew;
  done_ = uids_.empty();
}

RowReader::~RowReader() = default;

Task<std::optional<pb::FetchMessagesResponse>> RowReader::next() {
  if (done_) co_return std::optional<pb::FetchMessagesResponse>();
  if (!streamed_) co_return co_await next_page();
  if (stream_ == nullptr) {
    to_proto(uids_, request_.mutable_uids());
    // The client's reading sets the pace, so the stream has the time that a slow client has.
    auto options = session_.call_options();
    options.deadline = Deadline::after(std::chrono::minutes(30));
    MERPATI_CO_TRY(stream_, co_await session_.store().fetch_messages(request_, options));
  }
  co_return co_await stream_->read();
}

Task<std::optional<pb::FetchMessagesResponse>> RowReader::next_page() {
  request_.clear_uids();
  to_proto(uids_, request_.mutable_uids());
  MERPATI_CO_TRY(auto page, co_await session_.store().read_messages(request_, session_.call_options()));
  if (page.next_uid() == 0) {
    done_ = true;
  } else {
    const Ranges rest{{page.next_uid(), 0xffffffffU}};
    uids_ = intersect(uids_, rest);
    done_ = uids_.empty();
  }
  co_return std::optional<pb::FetchMessagesResponse>(std::move(page));
}

}  // namespace merpati::imap
