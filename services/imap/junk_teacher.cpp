#include "imap/junk_teacher.hpp"

#include <algorithm>
#include <vector>

#include "merpati/filter/v1/learning.rpc.hpp"
#include "merpati/runtime/seldom.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostWaiting = 200;          // commands
constexpr std::uint32_t kMostMessages = 200;       // of one command that are learnt
constexpr std::uint64_t kMostOctets = 256 * 1024;  // of a message; the filter looks at no more
constexpr auto kOneMessage = 10s;
constexpr auto kUsesAreKnownFor = 60s;
constexpr std::size_t kMostAccounts = 2000;  // whose mailboxes are known
constexpr auto kQuiet = 5min;

/// Nothing is learnt from a move into Trash: what is thrown away may be either.
filter::v1::Lesson lesson_of(std::pair<pb::SpecialUse, pb::SpecialUse> uses) {
  const auto [from, to] = uses;
  if (from == to || to == pb::SPECIAL_USE_TRASH) return filter::v1::LESSON_UNSPECIFIED;
  if (to == pb::SPECIAL_USE_JUNK) return filter::v1::LESSON_SPAM;
  return from == pb::SPECIAL_USE_JUNK ? filter::v1::LESSON_HAM : filter::v1::LESSON_UNSPECIFIED;
}

}  // namespace

JunkTeacher::JunkTeacher(asio::any_io_executor executor, const Probe& probe,
                         std::shared_ptr<store::v1::StoreClient> store, std::shared_ptr<rpc::Channel> filter,
                         TaskGroup& tasks)
    : executor_(std::move(executor)),
      probe_(probe),
      store_(std::move(store)),
      filter_(filter ? std::make_shared<filter::v1::LearningClient>(std::move(filter)) : nullptr),
      tasks_(tasks) {}

void JunkTeacher::moved(MovedMessages messages) {
  if (filter_ == nullptr || messages.from == messages.to) return;
  if (SteadyTime::clock::now() < quiet_until_) return;
  if (const auto uses = known_uses(messages); uses && lesson_of(*uses) == filter::v1::LESSON_UNSPECIFIED) return;
  if (waiting_.size() >= kMostWaiting) return drop(messages);
  waiting_.push_back(std::move(messages));
  if (std::exchange(working_, true)) return;
  tasks_.spawn(executor_, work());
}

asio::awaitable<void> JunkTeacher::work() {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!waiting_.empty()) {
    const MovedMessages messages = std::move(waiting_.front());
    waiting_.pop_front();
    const auto taught = co_await teach(messages);
    if (taught.has_value()) continue;
    if (taught.error().code() == ErrorCode::kCancelled) break;
    // What else waits will not fare better while its like fails; the next move tries anew.
    static log::Seldom seldom;
    const auto left_out = seldom.due();
    if (!left_out) continue;
    log::info("imap_move_not_learnt", taught.error().describe(),
              {{"account_id", messages.call.account_id}, {"left_out", *left_out}});
  }
  working_ = false;
}

Task<void> JunkTeacher::teach(const MovedMessages& messages) {
  auto uses = co_await uses_of(messages);
  if (uses.has_error()) {
    drop(messages);
    co_return std::move(uses).error();
  }
  const auto lesson = lesson_of(*uses);
  if (lesson == filter::v1::LESSON_UNSPECIFIED) co_return Result<void>();
  std::vector<std::uint32_t> uids;
  for (const auto& range : messages.uids)
    for (std::uint64_t uid = range.first; uid <= range.last && uids.size() < kMostMessages; ++uid)
      uids.push_back(static_cast<std::uint32_t>(uid));
  const auto all = static_cast<double>(count(messages.uids));
  probe_.moves_dropped.add(all - static_cast<double>(uids.size()));
  for (std::size_t at = 0; at < uids.size(); ++at) {
    filter::v1::LearnRequest request;
    request.set_account_id(messages.call.account_id);
    request.set_lesson(lesson);
    auto octets = co_await read(messages, uids[at]);
    // It may be gone again.
    if (octets.has_error() && octets.error().code() == ErrorCode::kNotFound) continue;
    Result<void> done;
    if (octets.has_error()) {
      done = std::move(octets).error();
    } else {
      request.add_messages(*std::move(octets));
      auto call = messages.call;
      call.deadline = Deadline::after(kOneMessage);
      auto learnt = co_await filter_->learn(request, call);
      if (learnt.has_error()) done = std::move(learnt).error();
    }
    if (done.has_value()) {
      probe_.moves_learnt.add();
      continue;
    }
    if (done.error().code() == ErrorCode::kFailedPrecondition) {
      quiet_until_ = SteadyTime::clock::now() + kQuiet;
      co_return Result<void>();
    }
    probe_.moves_dropped.add(static_cast<double>(uids.size() - at));
    co_return std::move(done).error();
  }
  co_return Result<void>();
}

std::optional<std::pair<pb::SpecialUse, pb::SpecialUse>> JunkTeacher::known_uses(const MovedMessages& messages) const {
  const auto account = uses_.find(messages.call.account_id);
  if (account == uses_.end() || account->second.until < SteadyTime::clock::now()) return std::nullopt;
  const auto& by_mailbox = account->second.by_mailbox;
  const auto from = by_mailbox.find(messages.from), to = by_mailbox.find(messages.to);
  if (to == by_mailbox.end() || (messages.from != 0 && from == by_mailbox.end())) return std::nullopt;
  return std::pair(from == by_mailbox.end() ? pb::SPECIAL_USE_UNSPECIFIED : from->second, to->second);
}

Task<std::pair<pb::SpecialUse, pb::SpecialUse>> JunkTeacher::uses_of(const MovedMessages& messages) {
  if (const auto uses = known_uses(messages)) co_return *uses;
  const auto account = messages.call.account_id;
  pb::ListMailboxesRequest request;
  request.set_account_id(account);
  auto call = messages.call;
  call.deadline = Deadline::after(kOneMessage);
  MERPATI_CO_TRY(const auto listed, co_await store_->list_mailboxes(request, call));
  Uses uses;
  uses.until = SteadyTime::clock::now() + kUsesAreKnownFor;
  for (const auto& mailbox : listed.mailboxes()) uses.by_mailbox[mailbox.id()] = mailbox.special_use();
  if (uses_.size() >= kMostAccounts) uses_.clear();
  uses_.insert_or_assign(account, std::move(uses));
  // A mailbox that is gone again was for nothing.
  co_return known_uses(messages).value_or(std::pair(pb::SPECIAL_USE_UNSPECIFIED, pb::SPECIAL_USE_UNSPECIFIED));
}

Task<std::string> JunkTeacher::read(const MovedMessages& messages, std::uint32_t uid) {
  pb::StreamContentRequest request;
  request.set_account_id(messages.call.account_id);
  request.set_mailbox_id(messages.to);
  request.mutable_range()->set_uid(uid);
  request.mutable_range()->set_length(kMostOctets);
  auto call = messages.call;
  call.deadline = Deadline::after(kOneMessage);
  MERPATI_CO_TRY(auto reader, co_await store_->stream_content(request, call));
  std::string octets;
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await reader->read());
    if (!chunk) break;
    octets += chunk->chunk();
  }
  co_return octets;
}

void JunkTeacher::drop(const MovedMessages& messages) {
  probe_.moves_dropped.add(static_cast<double>(count(messages.uids)));
}

}  // namespace merpati::imap
