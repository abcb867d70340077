// STATUS (RFC 9051 6.3.11), with SIZE and HIGHESTMODSEQ. Pipelined ones are asked for together.
#include "imap/announce.hpp"
#include "imap/pending_reply.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

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

class PendingStatus final : public PendingReply {
 public:
  PendingStatus(StartedCall<pb::GetStatusResponse> call, std::string name, std::vector<StatusItem> items)
      : call_(std::move(call)), name_(std::move(name)), items_(std::move(items)) {}

  Task<Reply> finish(Session& session) override {
    MERPATI_CO_TRY(auto response, co_await call_.wait());
    if (response.statuses().empty() || !response.statuses(0).exists())
      co_return no("NONEXISTENT", "There is no such mailbox");
    auto& out = session.out();
    out += "* STATUS ";
    append_mailbox(out, name_, session.name_form());
    out += ' ';
    append_status_items(out, items_, response.statuses(0).counts());
    out += "\r\n";
    co_return ok();
  }

 private:
  StartedCall<pb::GetStatusResponse> call_;
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

std::unique_ptr<PendingReply> start_status(Session& session, const Command& command) {
  const auto& arguments = command.get<StatusArguments>();
  auto name = session.mailbox_name(arguments.mailbox);
  if (name.has_error()) return std::make_unique<ReadyReply>(no("CANNOT", name.error().public_text()));
  for (const auto item : arguments.items) {
    if (item == StatusItem::kHighestModSeq) session.enable_condstore();  // RFC 7162 3.1
  }
  pb::GetStatusRequest request;
  request.set_account_id(session.account());
  request.add_names(*name);
  auto call = start_call(session.loop(), session.loop().store, &store::v1::StoreClient::get_status, std::move(request),
                         session.call_options());
  return std::make_unique<PendingStatus>(std::move(call), *std::move(name), arguments.items);
}

}  // namespace merpati::imap
