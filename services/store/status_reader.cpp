#include "store/status_reader.hpp"

#include <deque>

#include "merpati/base/gather.hpp"
#include "merpati/runtime/loops.hpp"
#include "store/flags.hpp"
#include "store/operations.hpp"

namespace merpati::store {
namespace {

using namespace std::chrono_literals;
using Group = Gatherer<v1::GetStatusRequest, v1::GetStatusResponse>;
constexpr int kMostNames = 10'000;

const pg::Statement kStatus{"store_status",
                            "select t.i, m.messages, m.unseen, m.deleted, m.uid_next, m.uid_validity, "
                            "m.highest_modseq, m.bytes, m.deleted_bytes, m.id, m.recent "
                            "from unnest($1::bigint[], $2::text[]) with ordinality t (account, name, i) "
                            "join mailboxes m on m.account_id = t.account and m.name = t.name where not m.no_select"};

}  // namespace

struct StatusReader::Impl {
  explicit Impl(Core& c) : core(c) {
    auto run = [this](Group::Batch& batch) { return read_all(batch); };
    for (auto& group : groups) group = std::make_unique<Group>(core.group, Group::Limits{256, 20'000, 8192, 2}, run);
  }

  asio::awaitable<void> read_all(Group::Batch& batch) {
    auto done = co_await read_one(batch);
    if (!done.has_error()) co_return;
    for (auto& item : batch)
      if (!item->answer) item->answer = done.error();
  }

  Task<void> read_one(Group::Batch& batch) {
    std::vector<std::int64_t> accounts;
    std::deque<std::string> kept;
    std::vector<std::string_view> names;
    std::vector<v1::MailboxStatus*> statuses;
    std::vector<v1::GetStatusResponse> responses(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto& request = batch[i]->work;
      for (const auto& name : request.names()) {
        accounts.push_back(request.account_id());
        // A name that nobody can have is asked for as it is, and not found.
        auto normal = normal_name(name);
        names.push_back(kept.emplace_back(normal.has_value() ? *std::move(normal) : name));
        auto* status = responses[i].add_statuses();
        status->set_name(name);
        statuses.push_back(status);
      }
    }
    pg::Params params;
    params.bigints(accounts).texts(names);
    MERPATI_CO_TRY(auto rows, co_await core.pool.query(kStatus, std::move(params), Deadline::after(20s)));
    for (const auto row : rows) {
      const auto index = static_cast<std::size_t>(row.bigint(0) - 1);
      auto& status = *statuses.at(index);
      status.set_exists(true);
      auto& counts = *status.mutable_counts();
      counts.set_messages(static_cast<std::uint32_t>(row.bigint(1)));
      counts.set_unseen(static_cast<std::uint32_t>(row.bigint(2)));
      counts.set_deleted(static_cast<std::uint32_t>(row.bigint(3)));
      counts.set_uid_next(static_cast<std::uint32_t>(row.bigint(4)));
      counts.set_uid_validity(static_cast<std::uint32_t>(row.bigint(5)));
      counts.set_highest_modseq(static_cast<std::uint64_t>(row.bigint(6)));
      counts.set_bytes(static_cast<std::uint64_t>(row.bigint(7)));
      counts.set_deleted_bytes(static_cast<std::uint64_t>(row.bigint(8)));
      counts.set_mailbox_id(mailbox_id_text(accounts[index], row.bigint(9)));
      counts.set_recent(static_cast<std::uint32_t>(row.bigint(10)));
    }
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->answer = std::move(responses[i]);
    co_return Result<void>();
  }

  Core& core;
  std::array<std::unique_ptr<Group>, 8> groups;  // by loop, so that a gathered call crosses no thread
};

StatusReader::StatusReader(Core& core) : impl_(std::make_unique<Impl>(core)) {}
StatusReader::~StatusReader() = default;

Task<v1::GetStatusResponse> StatusReader::read(v1::GetStatusRequest request, Deadline deadline) {
  if (request.names_size() > kMostNames) co_return Error(ErrorCode::kInvalidArgument, "too many names");
  if (request.names().empty()) co_return v1::GetStatusResponse();
  MERPATI_CO_CHECK(co_await impl_->core.ensure_account(request.account_id(), deadline));
  const auto weight = static_cast<std::size_t>(request.names_size());
  auto& group = *impl_->groups[runtime::Loops::current() % impl_->groups.size()];
  co_return co_await group.call(std::move(request), weight, deadline);
}

}  // namespace merpati::store
