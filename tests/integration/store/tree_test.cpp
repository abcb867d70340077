// Names that are kept for their children, subscriptions, special use; a maildrop that is taken over.
#include "store_fixture.hpp"

namespace merpati::store {
namespace {

constexpr std::int64_t kAccount = 1;

struct TreeTest : testing::Test {
  test::Postgres postgres;
  StoreFixture s{postgres};

  merpati::Result<v1::CreateMailboxResponse> create(const std::string& name, v1::SpecialUse use = {}) {
    v1::CreateMailboxRequest request;
    request.set_account_id(kAccount);
    request.set_name(name);
    request.set_special_use(use);
    return s.run(s.imap().create_mailbox(request, s.as(kAccount)));
  }
  merpati::Result<v1::DeleteMailboxResponse> remove(const std::string& name) {
    v1::DeleteMailboxRequest request;
    request.set_account_id(kAccount);
    request.set_name(name);
    return s.run(s.imap().delete_mailbox(request, s.as(kAccount)));
  }
  v1::ListMailboxesResponse list() {
    v1::ListMailboxesRequest request;
    request.set_account_id(kAccount);
    request.set_subscribed_names(true);
    return s.get(s.imap().list_mailboxes(request, s.as(kAccount)));
  }
  std::optional<v1::Mailbox> find(const std::string& name) {
    const auto all = list();
    for (const auto& mailbox : all.mailboxes())
      if (mailbox.name() == name) return mailbox;
    return std::nullopt;
  }
};

TEST_F(TreeTest, ADeletedNameStaysForItsChildrenAndGoesWithTheLast) {
  ASSERT_TRUE(create("a/b"));
  ASSERT_TRUE(create("a/c"));
  const auto validity = find("a")->uid_validity();
  ASSERT_TRUE(remove("a"));
  ASSERT_TRUE(find("a"));
  EXPECT_TRUE(find("a")->no_select());
  EXPECT_EQ(remove("a").error().code(), ErrorCode::kFailedPrecondition) << "RFC 9051 6.3.5";
  v1::OpenMailboxRequest open;
  open.set_account_id(kAccount);
  open.set_name("a");
  EXPECT_EQ(s.run(s.imap().open_mailbox(open, s.as(kAccount))).error().code(), ErrorCode::kNotFound);
  auto delivery = s.delivery(mail("to a name"), {kAccount});
  delivery.mutable_recipients(0)->set_mailbox("a");
  EXPECT_EQ(s.get(s.smtp().deliver(delivery)).results(0).mailbox_id(), s.open(kAccount).mailbox().id());
  ASSERT_TRUE(create("a"));
  EXPECT_FALSE(find("a")->no_select());
  EXPECT_GT(find("a")->uid_validity(), validity);
  ASSERT_TRUE(remove("a"));
  ASSERT_TRUE(remove("a/b"));
  EXPECT_TRUE(find("a")) << "a/c is there";
  ASSERT_TRUE(remove("a/c"));
  EXPECT_FALSE(find("a"));
}

TEST_F(TreeTest, ARenamedTreeKeepsItsMailUnderNewValidities) {
  ASSERT_TRUE(create("a/b"));
  auto delivery = s.delivery(mail("moves along"), {kAccount});
  delivery.mutable_recipients(0)->set_mailbox("a/b");
  s.get(s.smtp().deliver(delivery));
  const auto before = s.open(kAccount, "a/b");
  v1::RenameMailboxRequest rename;
  rename.set_account_id(kAccount);
  rename.set_from("a");
  rename.set_to("a/b/under itself");
  EXPECT_EQ(s.run(s.imap().rename_mailbox(rename, s.as(kAccount))).error().code(), ErrorCode::kFailedPrecondition);
  rename.set_to("new/parent");
  s.get(s.imap().rename_mailbox(rename, s.as(kAccount)));
  const auto after = s.open(kAccount, "new/parent/b");
  EXPECT_EQ(after.counts().messages(), 1u);
  EXPECT_EQ(after.mailbox().mailbox_id(), before.mailbox().mailbox_id()) << "RFC 8474: the same object";
  EXPECT_GT(after.mailbox().uid_validity(), before.mailbox().uid_validity());
  EXPECT_TRUE(find("new")) << "superior names are made";
}

TEST_F(TreeTest, SubscriptionsOutliveMailboxesAndASpecialUseIsTakenOnce) {
  ASSERT_TRUE(create("lists"));
  v1::SetSubscribedRequest subscribe;
  subscribe.set_account_id(kAccount);
  subscribe.set_name("lists");
  subscribe.set_subscribed(true);
  s.get(s.imap().set_subscribed(subscribe, s.as(kAccount)));
  EXPECT_TRUE(find("lists")->subscribed());
  ASSERT_TRUE(remove("lists"));
  const auto all = list();
  ASSERT_EQ(all.subscribed_missing_size(), 1);
  EXPECT_EQ(all.subscribed_missing(0), "lists");
  EXPECT_EQ(create("second junk", v1::SPECIAL_USE_JUNK).error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(create("stars", v1::SPECIAL_USE_FLAGGED));
}

TEST_F(TreeTest, AMaildropWhoseLeaseRanOutBelongsToTheNext) {
  s.deliver(kAccount, mail("kept"));
  v1::LeaseMaildropRequest lease;
  lease.set_account_id(kAccount);
  lease.set_session_id("one");
  const auto first = s.get(s.pop3().lease_maildrop(lease, s.as(kAccount)));
  postgres.sql("update store.accounts set lease_until = now() - interval '1 second'");
  lease.set_session_id("two");
  const auto second = s.get(s.pop3().lease_maildrop(lease, s.as(kAccount)));
  EXPECT_GT(second.lease_number(), first.lease_number());
  v1::RenewMaildropRequest renew;
  renew.set_account_id(kAccount);
  renew.set_lease_number(first.lease_number());
  EXPECT_EQ(s.run(s.pop3().renew_maildrop(renew, s.as(kAccount))).error().code(), ErrorCode::kFailedPrecondition);
  v1::CommitMaildropRequest commit;
  commit.set_account_id(kAccount);
  commit.set_mailbox_id(first.mailbox_id());
  commit.set_lease_number(first.lease_number());
  commit.add_delete_uids(1);
  EXPECT_EQ(s.run(s.pop3().commit_maildrop(commit, s.as(kAccount))).error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(s.open(kAccount).counts().messages(), 1u) << "who lost the lease deletes nothing";
}

TEST_F(TreeTest, RoomIsToldFromTheGrantsLimits) {
  s.deliver(kAccount, mail("there", std::string(3000, 'x')));
  const auto room = [&](std::int64_t limit, std::uint64_t size) {
    v1::CheckRoomRequest request;
    request.set_grant(s.grant(kAccount, limit));
    request.set_size(size);
    return s.get(s.smtp().check_room(request)).room();
  };
  EXPECT_TRUE(room(0, 1'000'000));
  EXPECT_TRUE(room(5000, 1000));
  EXPECT_FALSE(room(5000, 3000));
  EXPECT_FALSE(room(3000, 0)) << "it is full already";
  v1::CheckRoomRequest forged;
  forged.set_grant("forged");
  EXPECT_EQ(s.run(s.smtp().check_room(forged)).error().code(), ErrorCode::kUnauthenticated);
}

}  // namespace
}  // namespace merpati::store
