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
filter::v1::Lesson lesson_of(pb::SpecialUse from, pb::SpecialUse to) {
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
  const auto lesson = lesson_of(uses->first, uses->second);
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

Task<std::pair<pb::SpecialUse, pb::SpecialUse>> JunkTeacher::uses_of(const MovedMessages& messages) {
  const auto now = SteadyTime::clock::now();
  const auto account = messages.call.account_id;
  auto found = uses_.find(account);
  const auto knows = [&](std::int64_t mailbox) { return found->second.by_mailbox.contains(mailbox); };
  if (found == uses_.end() || found->second.until < now || !knows(messages.from) || !knows(messages.to)) {
    pb::ListMailboxesRequest request;
    request.set_account_id(account);
    auto call = messages.call;
    call.deadline = Deadline::after(kOneMessage);
    MERPATI_CO_TRY(const auto listed, co_await store_->list_mailboxes(request, call));
    Uses uses;
    uses.until = now + kUsesAreKnownFor;
    for (const auto& mailbox : listed.mailboxes()) uses.by_mailbox[mailbox.id()] = mailbox.special_use();
    if (uses_.size() >= kMostAccounts) uses_.clear();
    found = uses_.insert_or_assign(account, std::move(uses)).first;
  }
  const auto use = [&](std::int64_t mailbox) {
    const auto known = found->second.by_mailbox.find(mailbox);
    return known == found->second.by_mailbox.end() ? pb::SPECIAL_USE_UNSPECIFIED : known->second;
  };
  co_return std::pair(use(messages.from), use(messages.to));
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
