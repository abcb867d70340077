// What edges see of the store, against a real PostgreSQL.
#include "store_fixture.hpp"

namespace merpati::store {
namespace {

test::Postgres& server() {
  static test::Postgres instance;
  return instance;
}
StoreFixture& store() {
  static StoreFixture instance(server());
  return instance;
}
std::int64_t fresh_account() {
  static std::int64_t next = 1000;
  return next++;
}

/// The request and the client live as long as the call.
Task<v1::DeliverResponse> send(v1::StoreClient client, v1::DeliverRequest request) {
  co_return co_await client.deliver(request);
}

TEST(Store, WhatIsDeliveredIsReadBackByteForByte) {
  auto& s = store();
  const auto account = fresh_account();
  const auto octets = mail("one", "line\r\n.dot\r\n\xff\xfe raw\r\n no end");
  const auto result = s.deliver(account, octets);
  ASSERT_EQ(result.status(), v1::DeliverResult::STATUS_DELIVERED) << result.text();
  const auto box = s.open(account);
  EXPECT_EQ(result.mailbox_id(), box.mailbox().id());
  EXPECT_EQ(box.counts().messages(), 1u);
  EXPECT_EQ(box.counts().unseen(), 1u);
  EXPECT_EQ(box.first_unseen_uid(), result.uid());
  const auto prefix = "Delivered-To: u" + std::to_string(account) + "@example.test\r\n";
  EXPECT_EQ(s.content(account, box.mailbox().id(), result.uid()), prefix + octets);

  v1::FetchMessagesRequest fetch;
  fetch.set_account_id(account);
  fetch.set_mailbox_id(box.mailbox().id());
  auto& mask = *fetch.mutable_mask();
  mask.set_flags(true), mask.set_received_at(true), mask.set_size(true), mask.set_envelope(true),
      mask.set_bodystructure(true);
  mask.set_parts(true), mask.set_ids(true), mask.set_header(true), mask.set_overview(true);
  const auto rows = s.get(s.imap().read_messages(fetch, s.as(account)));
  ASSERT_EQ(rows.rows_size(), 1);
  const auto& row = rows.rows(0);
  EXPECT_EQ(row.size(), prefix.size() + octets.size());
  EXPECT_EQ(row.received_at_ms(), 1'790'000'000'000);
  EXPECT_NE(row.envelope().find("\"one\""), std::string::npos) << row.envelope();
  EXPECT_EQ(row.bodystructure()[0], '(');
  EXPECT_EQ(row.subject(), "one");
  EXPECT_EQ(row.prefix_size(), prefix.size());
  EXPECT_EQ(row.header(), prefix + octets.substr(0, octets.find("\r\n\r\n") + 4));
  EXPECT_EQ(octets.substr(row.root().body_offset()), octets.substr(octets.find("\r\n\r\n") + 4));
}

TEST(Store, ADeliveryIdCountsOnceForEachAccount) {
  auto& s = store();
  const auto a = fresh_account(), b = fresh_account();
  const auto request = s.delivery(mail("twice"), {a, a, b});
  auto first = s.get(s.smtp().deliver(request));
  EXPECT_EQ(first.results(0).status(), v1::DeliverResult::STATUS_DELIVERED);
  EXPECT_EQ(first.results(1).status(), v1::DeliverResult::STATUS_DUPLICATE);
  EXPECT_EQ(first.results(2).status(), v1::DeliverResult::STATUS_DELIVERED);
  for (int i = 0; i < 3; ++i) {
    auto again = s.get(s.smtp().deliver(request));
    EXPECT_EQ(again.results(0).status(), v1::DeliverResult::STATUS_DUPLICATE);
    EXPECT_EQ(again.results(0).uid(), first.results(0).uid());
    EXPECT_EQ(again.results(2).email_id(), first.results(2).email_id());
  }
  EXPECT_EQ(s.open(a).counts().messages(), 1u);
  EXPECT_EQ(s.open(b).counts().messages(), 1u);
}

TEST(Store, ManyAtOnceRetriedGiveEachMailOnceAndUidsInOrder) {
  auto& s = store();
  const std::vector<std::int64_t> accounts{fresh_account(), fresh_account(), fresh_account()};
  std::vector<std::future<Result<v1::DeliverResponse>>> all;
  std::vector<v1::DeliverRequest> requests;
  for (int i = 0; i < 200; ++i)
    requests.push_back(s.delivery(mail("n" + std::to_string(i)), {accounts[static_cast<std::size_t>(i) % 3],
                                                                  accounts[static_cast<std::size_t>(i + 1) % 3]}));
  for (int round = 0; round < 2; ++round)
    for (const auto& request : requests)
      all.push_back(asio::co_spawn(s.process().loops().next(), send(s.smtp(), request), asio::use_future));
  int delivered = 0, duplicate = 0;
  for (auto& item : all) {
    auto response = item.get();
    ASSERT_TRUE(response.has_value()) << response.error().describe();
    for (const auto& result : response->results()) {
      delivered += result.status() == v1::DeliverResult::STATUS_DELIVERED;
      duplicate += result.status() == v1::DeliverResult::STATUS_DUPLICATE;
    }
  }
  EXPECT_EQ(delivered, 400);
  EXPECT_EQ(duplicate, 400);
  std::uint32_t total = 0;
  for (const auto account : accounts) {
    const auto box = s.open(account);
    total += box.counts().messages();
    std::uint32_t listed = 0;
    for (const auto& range : box.uids()) listed += range.last() - range.first() + 1;
    EXPECT_EQ(listed, box.counts().messages());
    EXPECT_GT(box.counts().uid_next(), box.uids(box.uids_size() - 1).last());
  }
  EXPECT_EQ(total, 400u);
}

TEST(Store, OneBadElementDoesNotHarmItsNeighbours) {
  auto& s = store();
  const auto account = fresh_account();
  std::vector<std::future<Result<v1::DeliverResponse>>> all;
  for (int i = 0; i < 40; ++i) {
    auto request = s.delivery(mail("m" + std::to_string(i)), {account});
    if (i == 18) request.mutable_recipients(0)->set_grant("forged");
    if (i == 19) request.mutable_recipients(0)->add_flags("no atom");
    all.push_back(asio::co_spawn(s.process().loops().next(), send(s.smtp(), request), asio::use_future));
  }
  int good = 0;
  for (auto& item : all) {
    auto response = item.get();
    if (response.has_value()) good += response->results(0).status() == v1::DeliverResult::STATUS_DELIVERED;
  }
  EXPECT_EQ(good, 38);
  EXPECT_EQ(s.open(account).counts().messages(), 38u);
}

TEST(Store, QuotaAndJunkAndFlagsAndMissingMailboxes) {
  auto& s = store();
  const auto account = fresh_account();
  auto request = s.delivery(mail("junk"), {account});
  request.mutable_recipients(0)->set_into_junk(true);
  request.mutable_recipients(0)->add_flags("\\Seen");
  request.mutable_recipients(0)->add_flags("$Label");
  auto response = s.get(s.smtp().deliver(request));
  EXPECT_EQ(response.results(0).mailbox_id(), s.open(account, "Junk").mailbox().id());
  EXPECT_EQ(s.open(account, "Junk").counts().unseen(), 0u);
  EXPECT_EQ(s.open(account, "Junk").keywords(0), "$Label");

  request = s.delivery(mail("made"), {account});
  request.mutable_recipients(0)->set_mailbox("lists/dev");
  request.mutable_recipients(0)->set_create(true);
  response = s.get(s.smtp().deliver(request));
  EXPECT_EQ(s.open(account, "lists/dev").counts().messages(), 1u);

  request = s.delivery(mail("missing"), {account});
  request.mutable_recipients(0)->set_mailbox("nowhere");
  response = s.get(s.smtp().deliver(request));
  EXPECT_EQ(response.results(0).mailbox_id(), s.open(account).mailbox().id());

  request = s.delivery(mail("full", std::string(5000, 'x')), {account});
  request.mutable_recipients(0)->set_grant(s.grant(account, 4000));
  response = s.get(s.smtp().deliver(request));
  EXPECT_EQ(response.results(0).status(), v1::DeliverResult::STATUS_OVER_QUOTA);
}

TEST(Store, ATombstoneStopsALateDelivery) {
  auto& s = store();
  const auto account = fresh_account();
  const auto request = s.delivery(mail("late"), {account});
  v1::ResolveDeliveryRequest resolve;
  resolve.set_delivery_id(request.delivery_id());
  resolve.set_account_id_of_recipient(account);
  EXPECT_FALSE(s.get(s.queue().resolve_delivery(resolve)).committed());
  EXPECT_EQ(s.get(s.smtp().deliver(request)).results(0).status(), v1::DeliverResult::STATUS_TEMPORARY);
  const auto other = s.delivery(mail("in time"), {account});
  EXPECT_EQ(s.get(s.smtp().deliver(other)).results(0).status(), v1::DeliverResult::STATUS_DELIVERED);
  resolve.set_delivery_id(other.delivery_id());
  EXPECT_TRUE(s.get(s.queue().resolve_delivery(resolve)).committed());
}

TEST(Store, AppendIsAllOrNoneAndOnceForItsRequestId) {
  auto& s = store();
  const auto account = fresh_account();
  v1::AppendRequest request;
  request.set_account_id(account);
  request.set_request_id(new_uuid());
  request.set_mailbox("Drafts");
  for (int i = 0; i < 3; ++i) {
    auto& message = *request.add_messages();
    message.mutable_body()->set_inline_(mail("draft" + std::to_string(i)));
    message.add_flags("\\Draft");
  }
  const auto first = s.get(s.imap().append(request, s.as(account)));
  EXPECT_EQ(std::vector(first.uids().begin(), first.uids().end()), (std::vector<std::uint32_t>{1, 2, 3}));
  const auto again = s.get(s.imap().append(request, s.as(account)));
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(s.open(account, "Drafts").counts().messages(), 3u);
  request.set_request_id(new_uuid());
  auto full = s.run(s.imap().append(request, s.as(account, 500)));
  ASSERT_TRUE(full.has_error());
  EXPECT_EQ(full.error().code(), ErrorCode::kResourceExhausted);
  request.set_mailbox("Nowhere");
  auto missing = s.run(s.imap().append(request, s.as(account)));
  ASSERT_TRUE(missing.has_error());
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(s.open(account, "Drafts").counts().messages(), 3u);
}

TEST(Store, FlagsExpungeAndChangesByModseq) {
  auto& s = store();
  const auto account = fresh_account();
  for (int i = 0; i < 5; ++i) s.deliver(account, mail("f" + std::to_string(i)));
  const auto box = s.open(account);
  v1::StoreFlagsRequest flags;
  flags.set_account_id(account);
  flags.set_mailbox_id(box.mailbox().id());
  flags.set_mode(v1::StoreFlagsRequest::MODE_ADD);
  flags.set_flags(v1::SYSTEM_FLAG_DELETED | v1::SYSTEM_FLAG_SEEN);
  flags.add_keywords("$Work");
  add_range(flags.mutable_uids(), 2, 3);
  add_range(flags.mutable_uids(), 5, 9);
  auto changed = s.get(s.imap().store_flags(flags, s.as(account)));
  EXPECT_EQ(changed.changed_size(), 3);
  EXPECT_GT(changed.highest_modseq(), box.counts().highest_modseq());
  auto again = s.get(s.imap().store_flags(flags, s.as(account)));
  EXPECT_EQ(again.changed_size(), 0);
  EXPECT_EQ(again.unchanged_size(), 3);
  EXPECT_EQ(again.highest_modseq(), changed.highest_modseq());
  flags.set_mode(v1::StoreFlagsRequest::MODE_REPLACE);
  flags.clear_keywords();
  flags.set_flags(0);
  flags.set_unchanged_since(box.counts().highest_modseq());
  auto refused = s.get(s.imap().store_flags(flags, s.as(account)));
  EXPECT_EQ(refused.changed_size(), 0);
  ASSERT_EQ(refused.modified_size(), 2);
  EXPECT_EQ(refused.modified(0).first(), 2u);

  s.deliver(account, mail("new"));
  v1::ExpungeRequest expunge;
  expunge.set_account_id(account);
  expunge.set_mailbox_id(box.mailbox().id());
  add_range(expunge.mutable_uids(), 1, 3);
  auto gone = s.get(s.imap().expunge(expunge, s.as(account)));
  ASSERT_EQ(gone.vanished_size(), 1);
  EXPECT_EQ(gone.vanished(0).first(), 2u);
  EXPECT_EQ(gone.vanished(0).last(), 3u);

  v1::GetChangesRequest changes;
  changes.set_account_id(account);
  changes.set_mailbox_id(box.mailbox().id());
  changes.set_since_modseq(box.counts().highest_modseq());
  changes.set_below_uid(box.counts().uid_next());
  const auto delta = s.get(s.imap().get_changes(changes, s.as(account)));
  EXPECT_EQ(delta.highest_modseq(), gone.highest_modseq());
  ASSERT_EQ(delta.vanished_size(), 1);
  ASSERT_EQ(delta.added_size(), 1);
  EXPECT_EQ(delta.added(0).first(), 6u);
  ASSERT_EQ(delta.changed_size(), 1);
  EXPECT_EQ(delta.changed(0).uid(), 5u);
  EXPECT_EQ(delta.changed(0).flags(), 9u);
  EXPECT_EQ(delta.changed(0).keywords(0), "$Work");
  const auto now = s.open(account);
  EXPECT_EQ(now.counts().messages(), 4u);
  EXPECT_EQ(now.counts().deleted(), 1u);
  EXPECT_EQ(now.counts().unseen(), 3u);
  // A session that has not heard of the expunge yet may still read the octets.
  EXPECT_NE(s.content(account, box.mailbox().id(), 2).find("Subject: f1"), std::string::npos);
}

TEST(Store, CopyAndMoveKeepContentAndCounts) {
  auto& s = store();
  const auto account = fresh_account();
  for (int i = 0; i < 4; ++i) s.deliver(account, mail("c" + std::to_string(i)));
  const auto box = s.open(account);
  v1::CopyMessagesRequest request;
  request.set_account_id(account);
  request.set_mailbox_id(box.mailbox().id());
  request.set_to("Archive");
  add_range(request.mutable_uids(), 1, 2);
  const auto copied = s.get(s.imap().copy_messages(request, s.as(account)));
  EXPECT_EQ(copied.source(0).last(), 2u);
  EXPECT_EQ(copied.target(0).last(), 2u);
  request.clear_uids();
  add_range(request.mutable_uids(), 3, 4);
  const auto moved = s.get(s.imap().move_messages(request, s.as(account)));
  EXPECT_EQ(moved.target(0).first(), 3u);
  EXPECT_EQ(s.open(account).counts().messages(), 2u);
  EXPECT_EQ(s.open(account, "Archive").counts().messages(), 4u);
  EXPECT_NE(s.content(account, moved.mailbox_id(), 4).find("Subject: c3"), std::string::npos);
  request.set_to("Nowhere");
  EXPECT_EQ(s.run(s.imap().copy_messages(request, s.as(account))).error().code(), ErrorCode::kNotFound);
}

TEST(Store, LargeBodiesLiveInTheObjectStore) {
  auto& s = store();
  const auto account = fresh_account();
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += "line " + std::to_string(i * 7919) + " of a long mail\r\n";
  std::string random = random_bytes(700'000);
  std::replace(random.begin(), random.end(), '\0', '\1');  // mail with NUL is shown otherwise
  for (const auto& body : {text, random}) {
    const auto octets = mail("large", body);
    auto put = [](v1::StoreClient client, const std::string& all) -> Task<v1::PutBlobResponse> {
      MERPATI_CO_TRY(auto upload, co_await client.put_blob());
      for (std::size_t at = 0; at < all.size(); at += 200'000) {
        v1::PutBlobRequest chunk;
        chunk.set_chunk(all.substr(at, 200'000));
        MERPATI_CO_CHECK(co_await upload->write(std::move(chunk)));
      }
      co_return co_await upload->finish();
    };
    const auto blob = s.get(put(s.smtp(), octets));
    EXPECT_EQ(blob.blob_id(), sha256(octets));
    auto request = s.delivery("", {account});
    request.mutable_body()->set_blob_id(blob.blob_id());
    const auto result = s.get(s.smtp().deliver(request)).results(0);
    ASSERT_EQ(result.status(), v1::DeliverResult::STATUS_DELIVERED) << result.text();
    const auto prefix = "Delivered-To: u" + std::to_string(account) + "@example.test\r\n";
    EXPECT_EQ(s.content(account, result.mailbox_id(), result.uid()), prefix + octets);
    auto stream = [](v1::StoreClient client, v1::StreamContentRequest range,
                     rpc::CallOptions options) -> Task<std::string> {
      MERPATI_CO_TRY(auto reader, co_await client.stream_content(range, options));
      std::string all;
      for (;;) {
        MERPATI_CO_TRY(auto chunk, co_await reader->read());
        if (!chunk) co_return all;
        all += chunk->chunk();
      }
    };
    v1::KeepBlobRequest keep;
    keep.set_blob_id(blob.blob_id());
    keep.set_seconds(3600);
    EXPECT_EQ(s.get(s.queue().keep_blob(keep)).size(), octets.size());
    auto read_blob = [](v1::StoreClient client, std::string id) -> Task<std::string> {
      v1::ReadBlobRequest wanted;
      wanted.set_blob_id(std::move(id));
      MERPATI_CO_TRY(auto reader, co_await client.read_blob(wanted));
      std::string all;
      for (;;) {
        MERPATI_CO_TRY(auto chunk, co_await reader->read());
        if (!chunk) co_return all;
        all += chunk->chunk();
      }
    };
    EXPECT_EQ(s.get(read_blob(s.queue(), blob.blob_id())), octets);
    v1::StreamContentRequest range;
    range.set_account_id(account);
    range.set_mailbox_id(result.mailbox_id());
    range.mutable_range()->set_uid(result.uid());
    EXPECT_EQ(s.get(stream(s.imap(), range, s.as(account))), prefix + octets);
    range.mutable_range()->set_offset(65'000);
    range.mutable_range()->set_length(400'000);
    EXPECT_EQ(s.get(stream(s.imap(), range, s.as(account))), (prefix + octets).substr(65'000, 400'000));
  }
  auto unknown = s.delivery("", {account});
  unknown.mutable_body()->set_blob_id(std::string(32, 'x'));
  EXPECT_EQ(s.get(s.smtp().deliver(unknown)).results(0).status(), v1::DeliverResult::STATUS_TEMPORARY);
}

TEST(Store, TheTreeOfMailboxes) {
  auto& s = store();
  const auto account = fresh_account();
  v1::CreateMailboxRequest create;
  create.set_account_id(account);
  create.set_name("a/b/c");
  s.get(s.imap().create_mailbox(create, s.as(account)));
  EXPECT_EQ(s.run(s.imap().create_mailbox(create, s.as(account))).error().code(), ErrorCode::kAlreadyExists);
  create.set_name("inbox");
  EXPECT_EQ(s.run(s.imap().create_mailbox(create, s.as(account))).error().code(), ErrorCode::kAlreadyExists);
  create.set_name("a//b");
  EXPECT_EQ(s.run(s.imap().create_mailbox(create, s.as(account))).error().code(), ErrorCode::kInvalidArgument);
  v1::RenameMailboxRequest rename;
  rename.set_account_id(account);
  rename.set_from("a");
  rename.set_to("z");
  s.get(s.imap().rename_mailbox(rename, s.as(account)));
  v1::ListMailboxesRequest list;
  list.set_account_id(account);
  list.set_with_counts(true);
  list.set_subscribed_names(true);
  const auto all = s.get(s.imap().list_mailboxes(list, s.as(account)));
  std::vector<std::string> names;
  for (const auto& mailbox : all.mailboxes()) names.push_back(mailbox.name());
  EXPECT_EQ(names,
            (std::vector<std::string>{"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash", "z", "z/b", "z/b/c"}));
  EXPECT_EQ(all.mailboxes(3).special_use(), v1::SPECIAL_USE_JUNK);
  EXPECT_TRUE(all.mailboxes(3).subscribed());
  s.deliver(account, mail("moves"));
  rename.set_from("INBOX");
  rename.set_to("old");
  s.get(s.imap().rename_mailbox(rename, s.as(account)));
  EXPECT_EQ(s.open(account).counts().messages(), 0u);
  EXPECT_EQ(s.open(account, "old").counts().messages(), 1u);
  v1::DeleteMailboxRequest remove;
  remove.set_account_id(account);
  remove.set_name("old");
  const auto validity = s.open(account, "old").mailbox().uid_validity();
  s.get(s.imap().delete_mailbox(remove, s.as(account)));
  create.set_name("old");
  s.get(s.imap().create_mailbox(create, s.as(account)));
  EXPECT_GT(s.open(account, "old").mailbox().uid_validity(), validity);
  remove.set_name("INBOX");
  EXPECT_EQ(s.run(s.imap().delete_mailbox(remove, s.as(account))).error().code(), ErrorCode::kFailedPrecondition);
}

TEST(Store, StatusIsFreshAndRecentGoesToOneSession) {
  auto& s = store();
  const auto account = fresh_account();
  for (int i = 0; i < 3; ++i) s.deliver(account, mail("s" + std::to_string(i)));
  v1::GetStatusRequest request;
  request.set_account_id(account);
  request.add_names("INBOX");
  request.add_names("Nowhere");
  auto status = s.get(s.imap().get_status(request, s.as(account)));
  EXPECT_EQ(status.statuses(0).counts().recent(), 3u);
  EXPECT_EQ(status.statuses(0).counts().messages(), 3u);
  EXPECT_FALSE(status.statuses(1).exists());
  EXPECT_EQ(s.open(account, "INBOX", false).counts().recent(), 3u);
  EXPECT_EQ(s.open(account, "INBOX", true).counts().recent(), 3u);
  EXPECT_EQ(s.open(account, "INBOX", true).counts().recent(), 0u);
  status = s.get(s.imap().get_status(request, s.as(account)));
  EXPECT_EQ(status.statuses(0).counts().recent(), 0u);
  // An expunge takes from the count only what was recent.
  for (int i = 0; i < 2; ++i) s.deliver(account, mail("t" + std::to_string(i)));
  v1::StoreFlagsRequest flags;
  flags.set_account_id(account);
  flags.set_mailbox_id(s.open(account).mailbox().id());
  flags.set_mode(v1::StoreFlagsRequest::MODE_ADD);
  flags.set_flags(v1::SYSTEM_FLAG_DELETED);
  add_range(flags.mutable_uids(), 3, 4);
  s.get(s.imap().store_flags(flags, s.as(account)));
  v1::ExpungeRequest expunge;
  expunge.set_account_id(account);
  expunge.set_mailbox_id(flags.mailbox_id());
  s.get(s.imap().expunge(expunge, s.as(account)));
  status = s.get(s.imap().get_status(request, s.as(account)));
  EXPECT_EQ(status.statuses(0).counts().recent(), 1u);
  EXPECT_EQ(status.statuses(0).counts().messages(), 3u);
}

TEST(Store, SeveralCopiesForOneAccountInOneDelivery) {
  auto& s = store();
  const auto account = fresh_account();
  auto request = s.delivery(mail("copies", "x\r\n"), {account, account, account});
  request.mutable_recipients(1)->set_part(1);
  request.mutable_recipients(1)->set_mailbox("Archive");
  const auto first = s.get(s.smtp().deliver(request));
  EXPECT_EQ(first.results(0).status(), v1::DeliverResult::STATUS_DELIVERED);
  EXPECT_EQ(first.results(1).status(), v1::DeliverResult::STATUS_DELIVERED);
  EXPECT_EQ(first.results(2).status(), v1::DeliverResult::STATUS_DUPLICATE) << "the same part again";
  EXPECT_NE(first.results(0).mailbox_id(), first.results(1).mailbox_id());
  EXPECT_EQ(s.get(s.smtp().deliver(request)).results(1).status(), v1::DeliverResult::STATUS_DUPLICATE);
  EXPECT_EQ(s.open(account, "Archive").counts().messages(), 1u);
  // A tombstone is for every part.
  auto late = s.delivery(mail("late", "x\r\n"), {account});
  late.mutable_recipients(0)->set_part(3);
  v1::ResolveDeliveryRequest resolve;
  resolve.set_delivery_id(late.delivery_id());
  resolve.set_account_id_of_recipient(account);
  EXPECT_FALSE(s.get(s.queue().resolve_delivery(resolve)).committed());
  EXPECT_EQ(s.get(s.smtp().deliver(late)).results(0).status(), v1::DeliverResult::STATUS_TEMPORARY);
  resolve.set_delivery_id(request.delivery_id());
  EXPECT_TRUE(s.get(s.queue().resolve_delivery(resolve)).committed());
}

TEST(Store, LoginDelayIsCountedInTheStore) {
  auto& s = store();
  const auto account = fresh_account();
  v1::LeaseMaildropRequest lease;
  lease.set_account_id(account);
  lease.set_session_id("one");
  lease.set_login_delay_seconds(600);
  const auto first = s.get(s.pop3().lease_maildrop(lease, s.as(account)));
  EXPECT_GT(first.lease_number(), 0);
  v1::CommitMaildropRequest commit;
  commit.set_account_id(account);
  commit.set_lease_number(first.lease_number());
  commit.set_mailbox_id(first.mailbox_id());
  s.get(s.pop3().commit_maildrop(commit, s.as(account)));
  EXPECT_EQ(s.get(s.pop3().lease_maildrop(lease, s.as(account))).lease_number(), 0);
  lease.set_login_delay_seconds(0);
  EXPECT_GT(s.get(s.pop3().lease_maildrop(lease, s.as(account))).lease_number(), 0);
}

TEST(Store, TheMaildropIsExclusiveAndFenced) {
  auto& s = store();
  const auto account = fresh_account();
  for (int i = 0; i < 3; ++i) s.deliver(account, mail("p" + std::to_string(i)));
  v1::LeaseMaildropRequest lease;
  lease.set_account_id(account);
  lease.set_session_id("one");
  const auto first = s.get(s.pop3().lease_maildrop(lease, s.as(account)));
  ASSERT_EQ(first.messages_size(), 3);
  lease.set_session_id("two");
  EXPECT_EQ(s.run(s.pop3().lease_maildrop(lease, s.as(account))).error().code(), ErrorCode::kAlreadyExists);
  v1::CommitMaildropRequest commit;
  commit.set_account_id(account);
  commit.set_mailbox_id(first.mailbox_id());
  commit.set_lease_number(first.lease_number());
  commit.add_delete_uids(1);
  commit.add_delete_uids(3);
  commit.add_delete_uids(77);
  EXPECT_EQ(s.get(s.pop3().commit_maildrop(commit, s.as(account))).deleted(), 2u);
  EXPECT_EQ(s.get(s.pop3().commit_maildrop(commit, s.as(account))).deleted(), 0u);
  const auto second = s.get(s.pop3().lease_maildrop(lease, s.as(account)));
  ASSERT_EQ(second.messages_size(), 1);
  EXPECT_EQ(second.messages(0).uidl(), first.messages(1).uidl());
  EXPECT_EQ(s.run(s.pop3().commit_maildrop(commit, s.as(account))).error().code(), ErrorCode::kFailedPrecondition);
}

TEST(Store, WatchHearsOfChangesAfterTheirCommit) {
  auto& s = store();
  const auto account = fresh_account(), other = fresh_account();
  s.deliver(account, mail("before"));
  auto watch = [](StoreFixture& s, std::int64_t account, std::int64_t other) -> Task<v1::WatchResponse> {
    auto client = s.imap();
    MERPATI_CO_TRY(auto stream, co_await client.watch());
    v1::WatchRequest request;
    request.set_account_id(account);
    request.set_token(s.as(account).token);
    MERPATI_CO_CHECK(co_await stream->write(request));
    request.set_account_id(other);  // with another account's token: ignored
    MERPATI_CO_CHECK(co_await stream->write(request));
    MERPATI_CO_CHECK(co_await sleep_for(100ms));
    const auto to_other = s.delivery(mail("other"), {other}), to_account = s.delivery(mail("watched"), {account});
    MERPATI_CO_CHECK(co_await send(s.smtp(), to_other));
    MERPATI_CO_CHECK(co_await send(s.smtp(), to_account));
    MERPATI_CO_TRY(auto event, co_await stream->read());
    stream->cancel();
    if (!event) co_return Error(ErrorCode::kInternal, "the stream ended");
    co_return *event;
  };
  const auto event = s.get(watch(s, account, other));
  EXPECT_EQ(event.account_id(), account);
  EXPECT_EQ(event.highest_modseq(), s.open(account).counts().highest_modseq());
}

TEST(Store, APurgedAccountIsGoneForGood) {
  auto& s = store();
  const auto account = fresh_account();
  s.deliver(account, mail("last"));
  v1::PurgeAccountRequest purge;
  purge.set_account_id(account);
  s.get(s.admin().purge_account(purge));
  EXPECT_EQ(s.deliver(account, mail("late")).status(), v1::DeliverResult::STATUS_REFUSED);
}

TEST(Store, AServerKilledInTheMiddleLosesAndDoublesNothing) {
  test::Postgres::Options durable;
  durable.fsync = true;
  test::Postgres own(durable);
  StoreFixture s(own);
  const std::int64_t account = 7;
  s.deliver(account, mail("first"));
  std::atomic<int> delivered = 1;
  std::atomic<bool> stop = false;
  auto sender = [&](int number) {
    for (int i = 0; !stop; ++i) {
      const auto request = s.delivery(mail("k" + std::to_string(number) + "-" + std::to_string(i)), {account});
      // What was refused is tried again under its id, as an edge with a queue would.
      for (;;) {
        auto response = s.run(s.smtp().deliver(request));
        if (response.has_value() && (response->results(0).status() == v1::DeliverResult::STATUS_DELIVERED ||
                                     response->results(0).status() == v1::DeliverResult::STATUS_DUPLICATE))
          break;
        std::this_thread::sleep_for(20ms);
      }
      ++delivered;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(sender, i);
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(300ms);
    own.kill();
    own.start();
  }
  std::this_thread::sleep_for(300ms);
  stop = true;
  for (auto& thread : threads) thread.join();
  const auto box = s.open(account);
  EXPECT_EQ(box.counts().messages(), static_cast<std::uint32_t>(delivered));
  EXPECT_EQ(own.sql("select count(*) from store.messages"), std::to_string(delivered));
  EXPECT_EQ(own.sql("select count(distinct blob_id) from store.messages"), std::to_string(delivered));
}

}  // namespace
}  // namespace merpati::store
