// Search programs over real rows and bodies, small and large.
#include "merpati/mime/transfer.hpp"
#include "store_fixture.hpp"

namespace merpati::store {
namespace {

class Search : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new test::Postgres();
    store_ = new StoreFixture(*server_);
    // 1: plain; 2: encoded header and body; 3: attachment and a message inside; 4: large, in the object store
    store_->deliver(kAccount,
                    "From: a@x.test\r\nSubject: Lunch\r\nDate: Fri, 20 Nov 2026 23:30:00 -0300\r\nX-Tag: "
                    "one\r\n\r\nsoup today\r\n");
    store_->deliver(kAccount,
                    "From: =?iso-8859-1?q?J=FCrgen?= <j@x.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
                    "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=koi8-r\r\n"
                    "Content-Transfer-Encoding: base64\r\n\r\n8NLJ18XU\r\n");
    store_->deliver(kAccount,
                    "Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
                    "application/x\r\n\r\nhidden\r\n"
                    "--b\r\nContent-Type: message/rfc822\r\n\r\nX-Inner: deep\r\n\r\ninner words\r\n--b--\r\n");
    std::string text = "the needle is here\r\n";
    while (text.size() < 300'000) text += "hay hay hay hay hay hay hay hay hay hay hay hay\r\n";
    put_large(
        "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nshort\r\n--b\r\n"
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
        mime::encode_base64_lines(text) + "--b--\r\n");
    mailbox_ = store_->open(kAccount).mailbox().id();
  }
  static void TearDownTestSuite() {
    delete store_;
    delete server_;
  }
  static void put_large(const std::string& octets) {
    auto send = [](v1::StoreClient client, std::string bytes) -> Task<std::string> {
      MERPATI_CO_TRY(auto writer, co_await client.put_blob());
      for (std::size_t at = 0; at < bytes.size(); at += 200'000) {
        v1::PutBlobRequest request;
        request.set_chunk(bytes.substr(at, 200'000));
        MERPATI_CO_CHECK(co_await writer->write(std::move(request)));
      }
      MERPATI_CO_TRY(auto done, co_await writer->finish());
      co_return done.blob_id();
    };
    auto request = store_->delivery("", {kAccount});
    request.mutable_body()->set_blob_id(store_->get(send(store_->smtp(), octets)));
    ASSERT_EQ(store_->get(store_->smtp().deliver(request)).results(0).status(), v1::DeliverResult::STATUS_DELIVERED);
  }
  static std::vector<std::uint32_t> find(const std::function<void(v1::SearchKey&)>& fill) {
    v1::SearchRequest request;
    request.set_account_id(kAccount);
    request.set_mailbox_id(mailbox_);
    fill(*request.mutable_key());
    const auto response = store_->get(store_->imap().search(request, store_->as(kAccount)));
    std::vector<std::uint32_t> out;
    for (const auto& range : response.uids()) {
      for (auto uid = range.first(); uid <= range.last(); ++uid) out.push_back(uid);
    }
    EXPECT_EQ(response.highest_modseq() == 0, out.empty());
    return out;
  }
  static std::vector<std::uint32_t> header(const std::string& name, const std::string& value) {
    return find([&](v1::SearchKey& key) {
      key.mutable_header()->set_name(name);
      key.mutable_header()->set_value(value);
    });
  }
  static std::vector<std::uint32_t> body(const std::string& text) {
    return find([&](v1::SearchKey& key) { key.set_body(text); });
  }
  static std::vector<std::uint32_t> text(const std::string& text) {
    return find([&](v1::SearchKey& key) { key.set_text(text); });
  }
  using Uids = std::vector<std::uint32_t>;

  static constexpr std::int64_t kAccount = 77;
  static inline test::Postgres* server_ = nullptr;
  static inline StoreFixture* store_ = nullptr;
  static inline std::int64_t mailbox_ = 0;
};

TEST_F(Search, HeadersAreDecodedAndFolded) {
  EXPECT_EQ(header("subject", "gr\xC3\x9C\xC3\x9F"), Uids{2});
  EXPECT_EQ(header("From", "J\xC3\xBCRGEN"), Uids{2});
  EXPECT_EQ(header("x-tag", ""), Uids{1});
  EXPECT_EQ(header("delivered-to", "u77@"), (Uids{1, 2, 3, 4}));
  EXPECT_EQ(header("subject", "LARGE"), Uids{4});
  EXPECT_EQ(header("x-inner", ""), Uids{});
}

TEST_F(Search, BodiesAreDecoded) {
  EXPECT_EQ(body("SOUP"), Uids{1});
  EXPECT_EQ(body("\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82"), Uids{2});
  EXPECT_EQ(body("hidden"), Uids{});
  EXPECT_EQ(body("inner words"), Uids{3});
  EXPECT_EQ(body("X-Inner: deep"), Uids{3});
  EXPECT_EQ(body("needle is"), Uids{4});
  EXPECT_EQ(body("lunch"), Uids{});
  EXPECT_EQ(text("lunch"), Uids{1});
  EXPECT_EQ(text("short"), Uids{4});
}

TEST_F(Search, KeysJoin) {
  EXPECT_EQ(find([](v1::SearchKey& key) {
              auto& either = *key.mutable_or_();
              either.add_keys()->set_body("soup");
              auto& both = *either.add_keys()->mutable_and_();
              both.add_keys()->mutable_not_()->set_text("soup");
              both.add_keys()->mutable_uids()->add_ranges()->set_first(2);
              both.mutable_keys(1)->mutable_uids()->mutable_ranges(0)->set_last(3);
            }),
            (Uids{1, 2, 3}));
  EXPECT_EQ(find([](v1::SearchKey& key) { key.set_all(true); }), (Uids{1, 2, 3, 4}));
  EXPECT_EQ(find([](v1::SearchKey& key) { key.set_flags_set(1); }), Uids{});
  EXPECT_EQ(find([](v1::SearchKey& key) { key.set_flags_unset(1); }), (Uids{1, 2, 3, 4}));
  EXPECT_EQ(find([](v1::SearchKey& key) { key.set_larger(100'000); }), Uids{4});
}

TEST_F(Search, DatesDisregardTheZone) {
  const std::int64_t day = 20777;  // 2026-11-20
  EXPECT_EQ(find([&](v1::SearchKey& key) { key.set_sent_on_day(day); }), Uids{1});
  EXPECT_EQ(find([&](v1::SearchKey& key) { key.set_sent_since_day(day + 1); }), Uids{2});
  EXPECT_EQ(find([&](v1::SearchKey& key) { key.set_sent_before_day(day); }), Uids{});
  EXPECT_EQ(find([&](v1::SearchKey& key) { key.set_received_on_day(1'790'000'000 / 86400); }), (Uids{1, 2, 3, 4}));
}

TEST_F(Search, TooLargeAProgramIsRefused) {
  v1::SearchRequest request;
  request.set_account_id(kAccount);
  request.set_mailbox_id(mailbox_);
  auto* key = request.mutable_key();
  for (int i = 0; i < 95; ++i) key = key->mutable_not_();
  key->set_all(true);
  EXPECT_TRUE(store_->run(store_->imap().search(request, store_->as(kAccount))).has_value());
  for (int i = 0; i < 10; ++i) key = key->mutable_not_();
  key->set_all(true);
  EXPECT_EQ(store_->run(store_->imap().search(request, store_->as(kAccount))).error().code(),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace merpati::store
