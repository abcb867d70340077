#include "imap/flag_events.hpp"

#include <algorithm>
#include <iterator>

#include "imap/convert.hpp"
#include "imap/row_reader.hpp"
#include "merpati/imap/mailbox_name.hpp"

namespace merpati::imap {
namespace {

template <class Keywords>
std::vector<std::string> names_of(std::uint32_t bits, const Keywords& keywords) {
  std::vector<std::string> out;
  for (unsigned i = 0; i < kSystemFlags.size(); ++i)
    if ((bits >> i & 1U) != 0) out.emplace_back(kSystemFlags[i]);
  out.insert(out.end(), keywords.begin(), keywords.end());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Task<bool> FlagEvents::wanted() {
  co_return co_await session_.loop().events->wanted(filter::v1::EVENT_CAUSE_FLAG, session_.selected()->name);
}

Task<void> FlagEvents::expect(const Ranges& uids) {
  MERPATI_CO_TRY(expected_, co_await wanted());
  if (!expected_ || uids.empty()) co_return Result<void>();
  // What is beyond is dropped anyway.
  Ranges all = uids;
  auto first = take_front(all, ScriptEvents::kMostMessages);
  pb::FetchMask mask;
  mask.set_flags(true);
  RowReader rows(session_, std::move(first), mask);
  for (;;) {
    auto chunk = co_await rows.next();
    if (chunk.has_error() && chunk.error().code() == ErrorCode::kCancelled) co_return std::move(chunk).error();
    if (chunk.has_error()) {
      // The command goes on; which flags it changes is not known.
      session_.loop().probe.events_failed.add(static_cast<double>(count(uids)));
      expected_ = false;
      co_return Result<void>();
    }
    if (!*chunk) break;
    for (const auto& row : (*chunk)->rows()) before_[row.uid()] = names_of(row.flags(), row.keywords());
  }
  co_return Result<void>();
}

void FlagEvents::add(std::uint32_t uid, std::vector<std::string> flags) {
  auto& message = messages_.emplace_back();
  message.set_uid(uid);
  for (auto& flag : flags) message.add_changed_flags(std::move(flag));
}

void FlagEvents::changed(const google::protobuf::RepeatedPtrField<pb::MessageFlags>& messages) {
  if (!expected_) return;
  for (const auto& message : messages) {
    const auto had = before_.find(message.uid());
    const auto has = names_of(message.flags(), message.keywords());
    std::vector<std::string> differ;
    if (had != before_.end())
      std::set_symmetric_difference(had->second.begin(), had->second.end(), has.begin(), has.end(),
                                    std::back_inserter(differ));
    add(message.uid(), std::move(differ));
  }
}

void FlagEvents::seen(const google::protobuf::RepeatedPtrField<pb::MessageFlags>& messages) {
  for (const auto& message : messages) seen_.push_back(message.uid());
}

Task<void> FlagEvents::tell() {
  if ((messages_.empty() && seen_.empty()) || session_.selected() == nullptr) co_return Result<void>();
  MERPATI_CO_TRY(const bool wants, co_await wanted());
  if (!wants) co_return Result<void>();
  for (const auto uid : seen_) add(uid, {"\\Seen"});
  const auto& box = *session_.selected();
  MailboxEvent event{session_.call_options(), filter::v1::EVENT_CAUSE_FLAG, box.id, box.name, {}, std::move(messages_)};
  co_await session_.loop().events->happened(std::move(event));
  co_return Result<void>();
}

}  // namespace merpati::imap
