#include "merpati/objects/directory_store.hpp"

#include "directory_files.hpp"
#include "lane.hpp"

namespace merpati::objects {
namespace {

class Store final : public ObjectStore, public std::enable_shared_from_this<Store> {
 public:
  Store(DirectoryOptions options, asio::thread_pool& pool)
      : options_(std::move(options)),
        lane_(pool, options_.waiting_limit, options_.operation_timeout),
        files_(options_.root, options_.answer_limit) {}
  DirectoryFiles& files() { return files_; }
  Lane& lane() { return lane_; }
  const Observer& observer() const { return options_.observer; }

  Task<void> put(std::string key, std::string bytes, Deadline deadline) override {
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(observer(), "put");
    auto call = [self = shared_from_this(), key = std::move(key), bytes = std::move(bytes)] {
      return self->files_.put(key, bytes);
    };
    co_return observed(co_await lane_.run(std::move(call), deadline));
  }

  Task<std::unique_ptr<ObjectWriter>> open_writer(std::string key, Deadline deadline) override;

  Task<std::string> get(std::string key, Range range, Deadline deadline) override {
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(observer(), "get");
    auto call = [self = shared_from_this(), key = std::move(key), range] { return self->files_.get(key, range); };
    co_return observed(co_await lane_.run(std::move(call), deadline));
  }

  Task<ObjectInfo> head(std::string key, Deadline deadline) override {
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(observer(), "head");
    auto call = [self = shared_from_this(), key = std::move(key)] { return self->files_.head(key); };
    co_return observed(co_await lane_.run(std::move(call), deadline));
  }

  Task<void> remove(std::string key, Deadline deadline) override {
    MERPATI_CO_CHECK(check_key(key));
    const Observed observed(observer(), "remove");
    auto call = [self = shared_from_this(), key = std::move(key)] { return self->files_.remove(key); };
    co_return observed(co_await lane_.run(std::move(call), deadline));
  }

  Task<std::vector<RemoveFailure>> remove_many(std::vector<std::string> keys, Deadline deadline) override {
    const Observed observed(observer(), "remove");
    auto call = [self = shared_from_this(), keys = std::move(keys)]() -> Result<std::vector<RemoveFailure>> {
      std::vector<RemoveFailure> failures;
      for (const auto& key : keys) {
        auto removed = check_key(key);
        if (removed) removed = self->files_.remove(key);
        if (removed.has_error()) failures.push_back({key, std::move(removed).error()});
      }
      return failures;
    };
    co_return observed(co_await lane_.run(std::move(call), deadline));
  }

  Task<ListPage> list(std::string prefix, std::string continuation, std::size_t limit, Deadline deadline) override {
    if (limit < 1 || limit > 1000) co_return Error(ErrorCode::kInvalidArgument, "a page has 1 to 1000 objects");
    const Observed observed(observer(), "list");
    auto call = [self = shared_from_this(), prefix = std::move(prefix), continuation = std::move(continuation), limit] {
      return self->files_.list(prefix, continuation, limit);
    };
    co_return observed(co_await lane_.run(std::move(call), deadline));
  }

  Task<std::size_t> remove_abandoned(std::chrono::seconds age, Deadline deadline) override {
    auto call = [self = shared_from_this(), age] { return self->files_.remove_abandoned(age); };
    co_return co_await lane_.run(std::move(call), deadline);
  }

  Task<void> check(Deadline deadline) override {
    auto call = [self = shared_from_this()] { return self->files_.check(); };
    co_return co_await lane_.run(std::move(call), deadline);
  }

 private:
  const DirectoryOptions options_;
  Lane lane_;
  DirectoryFiles files_;
};

using Draft = DirectoryFiles::Draft;

class Writer final : public ObjectWriter {
 public:
  Writer(std::shared_ptr<Store> store, std::string key, std::shared_ptr<Draft> draft)
      : store_(std::move(store)), key_(std::move(key)), draft_(std::move(draft)) {}

  Task<void> write(std::string bytes, Deadline deadline) override {
    if (!draft_) co_return Error(ErrorCode::kFailedPrecondition, "the writer has ended");
    auto call = [draft = draft_, bytes = std::move(bytes)] { return draft->write(bytes); };
    auto written = co_await store_->lane().run(std::move(call), deadline);
    if (written.has_error()) draft_.reset();  // part of the bytes may be in the file: it can never be right again
    co_return written;
  }

  Task<void> commit(Deadline deadline) override {
    if (!draft_) co_return Error(ErrorCode::kFailedPrecondition, "the writer has ended");
    const Observed observed(store_->observer(), "put");
    auto call = [draft = std::move(draft_), key = key_] { return draft->publish(key); };
    co_return observed(co_await store_->lane().run(std::move(call), deadline));
  }

 private:
  std::shared_ptr<Store> store_;  // before draft_, whose end needs the store
  std::string key_;
  std::shared_ptr<Draft> draft_;
};

Task<std::unique_ptr<ObjectWriter>> Store::open_writer(std::string key, Deadline deadline) {
  MERPATI_CO_CHECK(check_key(key));
  const auto self = shared_from_this();
  auto call = [self] { return Draft::make(self->files_); };
  MERPATI_CO_TRY(auto draft, co_await lane_.run(std::move(call), deadline));
  std::unique_ptr<ObjectWriter> writer = std::make_unique<Writer>(self, std::move(key), std::move(draft));
  co_return writer;
}

}  // namespace

Result<std::shared_ptr<ObjectStore>> DirectoryStore::open(DirectoryOptions options, asio::thread_pool& pool) {
  auto store = std::make_shared<Store>(std::move(options), pool);
  MERPATI_CHECK(store->files().prepare());
  return std::shared_ptr<ObjectStore>(std::move(store));
}

}  // namespace merpati::objects
