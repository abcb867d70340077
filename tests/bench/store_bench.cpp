// Rates of the store's handlers, in process: deliveries, STATUS, list views, single bodies. PostgreSQL is a private one
// with fsync on, on the same machine.
#include <cstdio>

#include "integration/store/store_fixture.hpp"

namespace merpati::store {
namespace {

Task<void> deliver_many(StoreFixture& s, std::atomic<int>& next, int count, int accounts, std::string prefix) {
  auto client = s.smtp();
  for (;;) {
    const int i = next++;
    if (i >= count) co_return Result<void>();
    const auto body = to_base64(random_bytes(2700));
    const auto request = s.delivery(mail(prefix + std::to_string(i), body), {1 + i % accounts});
    MERPATI_CO_TRY(auto response, co_await client.deliver(request));
    if (response.results(0).status() != v1::DeliverResult::STATUS_DELIVERED)
      co_return Error(ErrorCode::kInternal, "not delivered");
  }
}

Task<void> status_many(StoreFixture& s, std::atomic<int>& next, int count) {
  auto client = s.imap();
  const auto options = s.as(1);
  v1::GetStatusRequest request;
  request.set_account_id(1);
  request.add_names("INBOX");
  while (next++ < count) MERPATI_CO_CHECK(co_await client.get_status(request, options));
  co_return Result<void>();
}

Task<void> bodies_many(StoreFixture& s, std::atomic<int>& next, int count, std::int64_t mailbox, int messages) {
  auto client = s.imap();
  const auto options = s.as(1);
  for (;;) {
    const int i = next++;
    if (i >= count) co_return Result<void>();
    v1::ReadContentRequest request;
    request.set_account_id(1);
    request.set_mailbox_id(mailbox);
    request.add_ranges()->set_uid(static_cast<std::uint32_t>(1 + i % messages));
    MERPATI_CO_CHECK(co_await client.read_content(request, options));
  }
}

Task<int> list_all(StoreFixture& s, std::int64_t mailbox) {
  auto client = s.imap();
  v1::FetchMessagesRequest request;
  request.set_account_id(1);
  request.set_mailbox_id(mailbox);
  auto& mask = *request.mutable_mask();
  mask.set_flags(true), mask.set_received_at(true), mask.set_size(true), mask.set_envelope(true),
      mask.set_bodystructure(true);
  MERPATI_CO_TRY(auto reader, co_await client.fetch_messages(request, s.as(1)));
  int rows = 0;
  for (;;) {
    MERPATI_CO_TRY(auto page, co_await reader->read());
    if (!page) co_return rows;
    rows += page->rows_size();
  }
}

template <class Start>
void measure(StoreFixture& s, const char* what, int count, int parallel, Start start) {
  std::atomic<int> next = 0;
  const auto before = std::chrono::steady_clock::now();
  std::vector<std::future<Result<void>>> all;
  for (int i = 0; i < parallel; ++i)
    all.push_back(asio::co_spawn(s.process().loops().next(), start(next), asio::use_future));
  for (auto& item : all) {
    auto done = item.get();
    if (done.has_error()) std::printf("%s\n", done.error().describe().c_str());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
  std::printf("%-42s %10.0f a second\n", what, count / took.count());
}

int run() {
  test::Postgres::Options options;
  options.fsync = true;
  test::Postgres postgres(options);
  StoreFixture s(postgres, 2);
  for (int round = 0; round < 2; ++round) {
    measure(s, "deliveries, 40 at once, 10 accounts", 10000, 40,
            [&](auto& next) { return deliver_many(s, next, 10000, 10, "a" + std::to_string(round)); });
    measure(s, "deliveries, 40 at once, 1000 accounts", 10000, 40,
            [&](auto& next) { return deliver_many(s, next, 10000, 1000, "b" + std::to_string(round)); });
  }
  measure(s, "deliveries, one at a time", 500, 1, [&](auto& next) { return deliver_many(s, next, 500, 1, "c"); });
  measure(s, "deliveries, 40 at once, one account", 5000, 40,
          [&](auto& next) { return deliver_many(s, next, 5000, 1, "d"); });
  const auto box = s.open(1);
  const int messages = static_cast<int>(box.counts().messages());
  std::printf("INBOX of account 1 has %d messages\n", messages);
  measure(s, "STATUS, 32 at once", 50000, 32, [&](auto& next) { return status_many(s, next, 50000); });
  measure(s, "STATUS, one at a time", 5000, 1, [&](auto& next) { return status_many(s, next, 5000); });
  const auto mailbox = box.mailbox().id();
  measure(s, "bodies, 16 at once", 10000, 16,
          [&](auto& next) { return bodies_many(s, next, 10000, mailbox, messages); });
  measure(s, "bodies, one at a time", 3000, 1,
          [&](auto& next) { return bodies_many(s, next, 3000, mailbox, messages); });
  for (int i = 0; i < 3; ++i) {
    const auto before = std::chrono::steady_clock::now();
    const int rows = s.get(list_all(s, mailbox));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
    std::printf("%-42s %10.0f a second\n", "rows with envelope and structure", rows / took.count());
  }
  return 0;
}

}  // namespace
}  // namespace merpati::store

int main() { return merpati::store::run(); }
