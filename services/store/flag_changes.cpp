#include "store/flag_changes.hpp"

#include "merpati/base/gather.hpp"
#include "store/flags.hpp"
#include "store/watchers.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;
using Group = Gatherer<v1::StoreFlagsRequest, v1::StoreFlagsResponse>;
constexpr Group::Limits kBatches{64, 100'000, 4096, 2, true};

const pg::Statement kChange{
    "store_change_flags",
    "select item, kind, uid, modseq, flags, keywords from change_flags_many($1, $2, $3, $4, $5, $6, $7, $8, $9)"};
enum Kind { kMailbox = 0, kChanged = 1, kUnchanged = 2, kModified = 3, kGone = 9 };

void fill(v1::MessageFlags& out, const pg::Row& row) {
  out.set_uid(static_cast<std::uint32_t>(row.bigint(2)));
  out.set_modseq(static_cast<std::uint64_t>(row.bigint(3)));
  out.set_flags(static_cast<std::uint32_t>(row.integer(4)));
  if (row.is_null(5)) return;
  for (const auto word : row.texts(5)) out.add_keywords(word.data(), word.size());
}

pg::Params params_of(const Group::Batch& batch) {
  std::vector<std::int64_t> account, mailbox, unchanged_since, first, last;
  std::vector<std::int32_t> mode, flags, item;
  std::vector<std::string> keywords;
  for (const auto& one : batch) {
    const auto& request = one->work;
    account.push_back(request.account_id());
    mailbox.push_back(request.mailbox_id());
    mode.push_back(request.mode());
    flags.push_back(static_cast<int>(request.flags()) & kAllFlags);
    keywords.push_back(join_keywords(request.keywords()).value());  // checked before
    unchanged_since.push_back(request.has_unchanged_since() ? static_cast<std::int64_t>(request.unchanged_since())
                                                            : -1);
    const auto ranges = to_ranges(request.uids());
    item.insert(item.end(), ranges.firsts.size(), static_cast<std::int32_t>(account.size()));
    first.insert(first.end(), ranges.firsts.begin(), ranges.firsts.end());
    last.insert(last.end(), ranges.lasts.begin(), ranges.lasts.end());
  }
  pg::Params params;
  params.bigints(account).bigints(mailbox).integers(mode).integers(flags).texts(keywords).bigints(unchanged_since);
  params.integers(item).bigints(first).bigints(last);
  return params;
}

}  // namespace

struct FlagChanges::Impl {
  explicit Impl(Core& c)
      : core(c), gatherer(core.group, kBatches, [this](Group::Batch& batch) { return commit_all(batch); }) {}

  asio::awaitable<void> commit_all(Group::Batch& batch) {
    const auto commit = [this](Group::Batch& part) { return commit_one(part); };
    co_await commit_bisecting(batch, commit);
  }

  Task<void> commit_one(Group::Batch& batch) {
    MERPATI_CO_TRY(auto rows, co_await core.pool.write(kChange, params_of(batch), Deadline::after(60s)));
    std::vector<v1::StoreFlagsResponse> responses(batch.size());
    std::vector<bool> gone(batch.size());
    for (const auto row : rows) {
      const auto index = static_cast<std::size_t>(row.integer(0) - 1);
      auto& response = responses.at(index);
      switch (row.integer(1)) {
        case kMailbox:
          response.set_highest_modseq(static_cast<std::uint64_t>(row.bigint(3)));
          break;
        case kChanged:
          fill(*response.add_changed(), row);
          break;
        case kUnchanged:
          fill(*response.add_unchanged(), row);
          break;
        case kModified:
          add_uid(*response.mutable_modified(), static_cast<std::uint32_t>(row.bigint(2)));
          break;
        default:
          gone[index] = true;
          break;
      }
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (gone[i]) {
        batch[i]->answer = Error(ErrorCode::kNotFound, "the mailbox is gone");
        continue;
      }
      if (responses[i].changed_size() > 0)
        core.watchers->changed(batch[i]->work.account_id(), batch[i]->work.mailbox_id(), responses[i].highest_modseq());
      batch[i]->answer = std::move(responses[i]);
    }
    co_return Result<void>();
  }

  Core& core;
  Group gatherer;
};

FlagChanges::FlagChanges(Core& core) : impl_(std::make_unique<Impl>(core)) {}
FlagChanges::~FlagChanges() = default;

Task<v1::StoreFlagsResponse> FlagChanges::store(v1::StoreFlagsRequest request, Deadline deadline) {
  if (request.mode() < v1::StoreFlagsRequest::MODE_REPLACE || request.mode() > v1::StoreFlagsRequest::MODE_REMOVE)
    co_return Error(ErrorCode::kInvalidArgument, "a mode is missing");
  if (request.uids().empty()) co_return Error(ErrorCode::kInvalidArgument, "uids are missing");
  auto keywords = join_keywords(request.keywords());
  if (keywords.has_error()) co_return keywords.error();
  const auto weight = 100 + static_cast<std::size_t>(request.uids_size());
  co_return co_await impl_->gatherer.call(std::move(request), weight, deadline);
}

}  // namespace merpati::store
