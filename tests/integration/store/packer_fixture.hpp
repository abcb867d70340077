// The packer of a store: its inside beside the module that edges call, over any object store.
#pragma once

#include <functional>
#include <utility>

#include "merpati/objects/directory_store.hpp"
#include "store/collector.hpp"
#include "store/content.hpp"
#include "store/packer.hpp"
#include "store_fixture.hpp"

namespace merpati::store {
/// Does something between the upload of an object and what the caller makes of it.
class Interrupting : public objects::ObjectStore {
 public:
  explicit Interrupting(std::shared_ptr<objects::ObjectStore> under) : under_(std::move(under)) {}
  std::function<void()> after_commit;

  Task<void> put(std::string key, std::string bytes, Deadline d) override {
    co_return co_await under_->put(std::move(key), std::move(bytes), d);
  }
  Task<std::unique_ptr<objects::ObjectWriter>> open_writer(std::string key, Deadline d) override {
    MERPATI_CO_TRY(auto writer, co_await under_->open_writer(std::move(key), d));
    co_return std::make_unique<Writer>(*this, std::move(writer));
  }
  Task<std::string> get(std::string key, objects::Range range, Deadline d) override {
    ++gets;
    co_return co_await under_->get(std::move(key), range, d);
  }
  Task<objects::ObjectInfo> head(std::string key, Deadline d) override {
    co_return co_await under_->head(std::move(key), d);
  }
  Task<void> remove(std::string key, Deadline d) override { co_return co_await under_->remove(std::move(key), d); }
  Task<std::vector<objects::RemoveFailure>> remove_many(std::vector<std::string> keys, Deadline d) override {
    co_return co_await under_->remove_many(std::move(keys), d);
  }
  Task<objects::ListPage> list(std::string prefix, std::string next, std::size_t limit, Deadline d) override {
    co_return co_await under_->list(std::move(prefix), std::move(next), limit, d);
  }
  Task<std::size_t> remove_abandoned(std::chrono::seconds age, Deadline d) override {
    co_return co_await under_->remove_abandoned(age, d);
  }
  Task<void> check(Deadline d) override { co_return co_await under_->check(d); }
  int gets = 0;

 private:
  struct Writer : objects::ObjectWriter {
    Writer(Interrupting& o, std::unique_ptr<objects::ObjectWriter> u) : owner(o), under(std::move(u)) {}
    Task<void> write(std::string bytes, Deadline d) override { co_return co_await under->write(std::move(bytes), d); }
    Task<void> commit(Deadline d) override {
      MERPATI_CO_CHECK(co_await under->commit(d));
      if (owner.after_commit) owner.after_commit();
      co_return Result<void>();
    }
    Interrupting& owner;
    std::unique_ptr<objects::ObjectWriter> under;
  };
  std::shared_ptr<objects::ObjectStore> under_;
};

/// The store's inside in a process of its own, beside the fixture's module, whose packer is off.
struct Inside {
  using OpenObjects = std::function<std::shared_ptr<objects::ObjectStore>(asio::thread_pool&)>;
  Inside(const std::string& dsn, const OpenObjects& open, std::uint64_t pack_size = 1 << 20)
      : process(runtime::ProcessOptions{}),
        pool({process.loops().main()}, options(dsn)),
        group(process.loops().main()),
        core(pool, process.blocking(), group, settings(pack_size)) {
    if (!process.start()) throw std::runtime_error("the process does not start");
    objects = std::make_shared<Interrupting>(open(process.blocking()));
    core.objects = objects;
  }
  ~Inside() {
    pool.close();
    process.stop();
  }
  static OpenObjects directory(const std::filesystem::path& root) {
    return [root](asio::thread_pool& pool) { return objects::DirectoryStore::open({.root = root}, pool).value(); };
  }
  static pg::PoolOptions options(const std::string& dsn) {
    pg::PoolOptions out;
    out.dsn = dsn;
    out.schema = "store";
    out.settings["enable_seqscan"] = "off";
    return out;
  }
  static Settings settings(std::uint64_t pack_size) {
    Settings out;
    out.pack_after = std::chrono::hours(24);
    out.pack_size = pack_size;
    return out;
  }
  runtime::Process process;
  pg::Pool pool;
  TaskGroup group;
  Core core;
  std::shared_ptr<Interrupting> objects;
};

/// A store with its packer in the hands of the test, and what its mailboxes must give back.
struct PackedStore {
  explicit PackedStore(std::uint64_t pack_size = 1 << 20)
      : inside(postgres.dsn(), Inside::directory(s.objects()), pack_size) {}
  PackedStore(const StoreFixture::ConfigureObjects& configure, const Inside::OpenObjects& open, std::uint64_t pack_size)
      : s(postgres, 1, configure), inside(postgres.dsn(), open, pack_size) {}

  Packed pack(std::chrono::hours later = std::chrono::hours(72)) {
    return s.get(pack_once(inside.core, Clock::system().wall() + later));
  }
  void collect(std::chrono::hours later) { s.get(collect_once(inside.core, Clock::system().wall() + later)); }
  /// Delivers texts of several sizes and kinds and notes what must be read back.
  void fill(std::int64_t account, int count, const std::string& name = "m") {
    for (int i = 0; i < count; ++i) {
      std::string text = "line " + std::to_string(i) + " " + to_base64(random_bytes(3000)) + "\r\n";
      if (i % 4 == 1) text = std::string(20'000, 'z') + " needle" + std::to_string(i) + "\r\n";
      if (i % 4 == 2) text = "short\r\n";
      if (i % 4 == 3) text = std::string("with\0nul ", 9) + std::to_string(i) + "\r\n";
      const auto result = s.deliver(account, mail(name + std::to_string(i), text));
      ASSERT_EQ(result.status(), v1::DeliverResult::STATUS_DELIVERED);
      box = result.mailbox_id();
      expected[{account, result.uid()}] = s.content(account, box, result.uid());
    }
  }
  /// Without what this process keeps in memory.
  void restart() {
    s.stop();
    s.start();
  }
  void check() {
    for (const auto& [key, octets] : expected)
      EXPECT_EQ(s.content(key.first, box, key.second), octets) << key.first << " " << key.second;
  }
  void expunge(std::int64_t account, std::uint32_t first, std::uint32_t last) {
    v1::StoreFlagsRequest flags;
    flags.set_account_id(account);
    flags.set_mailbox_id(box);
    flags.set_mode(v1::StoreFlagsRequest::MODE_ADD);
    flags.set_flags(v1::SYSTEM_FLAG_DELETED);
    add_range(flags.mutable_uids(), first, last);
    s.get(s.imap().store_flags(flags, s.as(account)));
    v1::ExpungeRequest request;
    request.set_account_id(account);
    request.set_mailbox_id(box);
    s.get(s.imap().expunge(request, s.as(account)));
    for (auto uid = first; uid <= last; ++uid) expected.erase({account, uid});
  }
  std::string sql(const std::string& text) { return postgres.sql(text); }
  std::size_t stored_packs() {
    return s.get(inside.objects->list("packs/", "", 1000, Deadline::after(5s))).objects.size();
  }

  test::Postgres postgres;
  StoreFixture s{postgres};
  Inside inside;
  std::int64_t box = 0;
  std::map<std::pair<std::int64_t, std::uint32_t>, std::string> expected;
};

}  // namespace merpati::store
