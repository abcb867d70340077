// STATUS (RFC 9051 6.3.11), with SIZE (RFC 8438) and HIGHESTMODSEQ. Pipelined ones are asked for together.
#include <algorithm>

#include "imap/announce.hpp"
#include "imap/pending_reply.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

constexpr int kNamesInOneCall = 32;  // a quarter of what may be pending, so that calls overlap

std::uint64_t value_of(StatusItem item, const pb::MailboxCounts& counts) {
  switch (item) {
    case StatusItem::kMessages:
      return counts.messages();
    case StatusItem::kRecent:
      return counts.recent();
    case StatusItem::kUidNext:
      return counts.uid_next();
    case StatusItem::kUidValidity:
      return counts.uid_validity();
    case StatusItem::kUnseen:
      return counts.unseen();
    case StatusItem::kDeleted:
      return counts.deleted();
    case StatusItem::kSize:
      return counts.bytes();
    case StatusItem::kHighestModSeq:
      return counts.highest_modseq();
  }
  return 0;
}

// One call for the STATUS commands that came together: names are added until it is full, or until somebody waits for
// it.
class StatusCall {
 public:
  bool takes_more() const { return !call_ && request_.names_size() < kNamesInOneCall; }
  /// The name's place in the answer.
  int add(Session& session, const std::string& name) {
    request_.add_names(name);
    const int place = request_.names_size() - 1;
    if (request_.names_size() == kNamesInOneCall) send(session);
    return place;
  }
  Task<const pb::MailboxStatus*> wait(Session& session, int place) {
    if (!call_) send(session);
    if (!response_) response_.emplace(co_await call_->wait());
    if (response_->has_error()) co_return response_->error();
    if (place >= (*response_)->statuses_size()) co_return Error(ErrorCode::kDataLoss, "no status in the reply");
    co_return &(*response_)->statuses(place);
  }

 private:
  void send(Session& session) {
    request_.set_account_id(session.account());
    call_ = start_call(session.loop(), session.loop().store, &store::v1::StoreClient::get_status, std::move(request_),
                       session.call_options());
  }
  pb::GetStatusRequest request_;
  std::optional<StartedCall<pb::GetStatusResponse>> call_;
  std::optional<Result<pb::GetStatusResponse>> response_;
};

class PendingStatus final : public PendingReply {
 public:
  PendingStatus(std::shared_ptr<StatusCall> call, int place, std::string name, std::vector<StatusItem> items)
      : call_(std::move(call)), place_(place), name_(std::move(name)), items_(std::move(items)) {}

  const std::shared_ptr<StatusCall>& call() const { return call_; }

  Task<Reply> finish(Session& session) override {
    MERPATI_CO_TRY(const auto* status, co_await call_->wait(session, place_));
    if (!status->exists()) co_return no("NONEXISTENT", "There is no such mailbox");
    auto& out = session.out();
    out += "* STATUS ";
    append_mailbox(out, name_, session.name_form());
    out += ' ';
    append_status_items(out, items_, status->counts());
    out += "\r\n";
    co_return ok();
  }

 private:
  std::shared_ptr<StatusCall> call_;
  int place_;
  std::string name_;
  std::vector<StatusItem> items_;
};

}  // namespace

void append_status_items(std::string& out, const std::vector<StatusItem>& items, const pb::MailboxCounts& counts) {
  out += '(';
  bool first = true;
  for (const auto item : items) {
    if (!first) out += ' ';
    first = false;
    out += to_string(item);
    out += ' ';
    append_number(out, value_of(item, counts));
  }
  out += ')';
}

void enable_condstore_for(Session& session, const std::vector<StatusItem>& items) {
  if (std::find(items.begin(), items.end(), StatusItem::kHighestModSeq) != items.end()) session.enable_condstore();
}

std::unique_ptr<PendingReply> start_status(Session& session, const Command& command, const PendingReply* before) {
  const auto& arguments = command.get<StatusArguments>();
  auto name = session.mailbox_name(arguments.mailbox);
  if (name.has_error()) return std::make_unique<ReadyReply>(no("CANNOT", name.error().public_text()));
  enable_condstore_for(session, arguments.items);  // RFC 7162 3.1
  const auto* last = dynamic_cast<const PendingStatus*>(before);
  auto call = last != nullptr && last->call()->takes_more() ? last->call() : std::make_shared<StatusCall>();
  const int place = call->add(session, *name);
  return std::make_unique<PendingStatus>(std::move(call), place, *std::move(name), arguments.items);
}

}  // namespace merpati::imap
