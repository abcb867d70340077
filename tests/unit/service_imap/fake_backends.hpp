// Fakes of store and auth in memory, good enough to hold an IMAP session against. Used on one loop's thread.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "imap/convert.hpp"
#include "merpati/auth/v1/auth.pb.h"
#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/mime/imap_format.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/rpc/token.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap::testing {

namespace pb = store::v1;

struct FakeMessage {
  std::string octets;
  std::uint32_t flags = 0;
  std::set<std::string> keywords;
  std::uint64_t modseq = 0;
  std::int64_t received_ms = 0;
  std::int32_t zone = 0;
};

struct FakeMailbox {
  std::int64_t id = 0;
  std::uint32_t uid_validity = 1;
  std::uint32_t uid_next = 1;
  std::uint64_t modseq = 1;
  std::uint32_t first_recent = 1;
  bool subscribed = false;
  pb::SpecialUse use = pb::SPECIAL_USE_UNSPECIFIED;
  std::map<std::uint32_t, FakeMessage> messages;
  std::map<std::uint32_t, std::uint64_t> expunged;
};

class FakeStore final : public pb::StoreService {
 public:
  FakeStore() {
    create("INBOX");
    create("Sent").use = pb::SPECIAL_USE_SENT;
  }
  FakeMailbox& create(const std::string& name) {
    auto& box = boxes[name];
    box.id = ++last_id_;
    box.uid_validity = 1000 + static_cast<std::uint32_t>(last_id_);
    return box;
  }
  std::uint32_t add(const std::string& name, std::string octets, std::uint32_t flags = 0) {
    auto& box = boxes.at(name);
    const auto uid = box.uid_next++;
    box.messages[uid] = {std::move(octets), flags, {}, ++box.modseq, 1000LL * 1700000000, 0};
    return uid;
  }
  /// As another session would do it: with an event.
  void notify(const std::string& name) {
    for (auto* events : watchers_) {
      pb::WatchResponse event;
      event.set_account_id(7);
      event.set_mailbox_id(boxes.at(name).id);
      event.set_highest_modseq(boxes.at(name).modseq);
      events->queue.push_back(event);
      events->timer.cancel();
    }
  }

  std::map<std::string, FakeMailbox> boxes;
  std::map<std::string, int> calls;  ///< by method
  std::map<std::string, std::string> blobs;
  std::optional<Error> fail;  ///< what every call answers
  bool takes_no_watch = false;
  int streams_to_break = 0;  ///< after their first chunk

  Task<pb::PutBlobResponse> put_blob(rpc::Context&, rpc::Reader<pb::PutBlobRequest>& in) override {
    std::string all;
    for (;;) {
      MERPATI_CO_TRY(auto part, co_await in.read());
      if (!part) break;
      all += part->chunk();
    }
    pb::PutBlobResponse out;
    out.set_blob_id(sha256(all));
    out.set_size(all.size());
    blobs[out.blob_id()] = all;
    co_return out;
  }
  Task<pb::AppendResponse> append(rpc::Context&, const pb::AppendRequest& in) override {
    MERPATI_CO_CHECK(enter("append"));
    MERPATI_CO_TRY(auto* box, find(in.mailbox()));
    pb::AppendResponse out;
    for (const auto& message : in.messages()) {
      const auto uid = add(
          in.mailbox(), message.body().has_inline_() ? message.body().inline_() : blobs.at(message.body().blob_id()));
      auto& added = box->messages[uid];
      for (const auto& flag : message.flags()) {
        if (flag_bit(flag) != 0) {
          added.flags |= flag_bit(flag);
        } else {
          added.keywords.insert(flag);
        }
      }
      if (message.received_at_ms() != 0)
        added.received_ms = message.received_at_ms(), added.zone = message.received_zone_minutes();
      out.add_uids(uid);
    }
    out.set_mailbox_id(box->id);
    out.set_uid_validity(box->uid_validity);
    notify(in.mailbox());
    co_return out;
  }
  Task<pb::ListMailboxesResponse> list_mailboxes(rpc::Context&, const pb::ListMailboxesRequest& in) override {
    MERPATI_CO_CHECK(enter("list_mailboxes"));
    pb::ListMailboxesResponse out;
    for (auto& [name, box] : boxes) {
      auto& mailbox = *out.add_mailboxes();
      describe(name, box, mailbox);
      if (in.with_counts()) count(box, *mailbox.mutable_counts());
    }
    for (const auto& name : subscribed_missing) out.add_subscribed_missing(name);
    co_return out;
  }
  std::set<std::string> subscribed_missing;
  Task<pb::CreateMailboxResponse> create_mailbox(rpc::Context&, const pb::CreateMailboxRequest& in) override {
    if (boxes.count(in.name()) != 0) co_return Error(ErrorCode::kAlreadyExists, "exists");
    create(in.name()).use = in.special_use();
    co_return pb::CreateMailboxResponse();
  }
  Task<pb::RenameMailboxResponse> rename_mailbox(rpc::Context&, const pb::RenameMailboxRequest& in) override {
    MERPATI_CO_TRY(auto* box, find(in.from()));
    boxes[in.to()] = *box;
    boxes.erase(in.from());
    co_return pb::RenameMailboxResponse();
  }
  Task<pb::DeleteMailboxResponse> delete_mailbox(rpc::Context&, const pb::DeleteMailboxRequest& in) override {
    if (in.name() == "INBOX") co_return Error(ErrorCode::kFailedPrecondition, "INBOX");
    MERPATI_CO_CHECK(find(in.name()));
    boxes.erase(in.name());
    co_return pb::DeleteMailboxResponse();
  }
  Task<pb::SetSubscribedResponse> set_subscribed(rpc::Context&, const pb::SetSubscribedRequest& in) override {
    if (boxes.count(in.name()) != 0) boxes[in.name()].subscribed = in.subscribed();
    co_return pb::SetSubscribedResponse();
  }
  Task<pb::GetStatusResponse> get_status(rpc::Context&, const pb::GetStatusRequest& in) override {
    MERPATI_CO_CHECK(enter("get_status"));
    pb::GetStatusResponse out;
    for (const auto& name : in.names()) {
      auto& status = *out.add_statuses();
      status.set_name(name);
      const auto found = boxes.find(name);
      status.set_exists(found != boxes.end());
      if (status.exists()) count(found->second, *status.mutable_counts());
    }
    co_return out;
  }
  Task<pb::OpenMailboxResponse> open_mailbox(rpc::Context&, const pb::OpenMailboxRequest& in) override {
    MERPATI_CO_CHECK(enter("open_mailbox"));
    MERPATI_CO_TRY(auto* box, find(in.name()));
    pb::OpenMailboxResponse out;
    describe(in.name(), *box, *out.mutable_mailbox());
    count(*box, *out.mutable_counts());
    Ranges uids;
    std::set<std::string> keywords;
    for (const auto& [uid, message] : box->messages) {
      push_back(uids, uid);
      keywords.insert(message.keywords.begin(), message.keywords.end());
      if ((message.flags & 1) == 0 && out.first_unseen_uid() == 0) out.set_first_unseen_uid(uid);
    }
    to_proto(uids, out.mutable_uids());
    out.set_first_recent_uid(box->first_recent);
    if (in.take_recent()) box->first_recent = box->uid_next;
    for (const auto& keyword : keywords) out.add_keywords(keyword);
    co_return out;
  }
  Task<pb::GetChangesResponse> get_changes(rpc::Context&, const pb::GetChangesRequest& in) override {
    MERPATI_CO_CHECK(enter("get_changes"));
    pb::GetChangesResponse out;
    auto* box = by_id(in.mailbox_id());
    if (box == nullptr) {
      out.set_deleted(true);
      co_return out;
    }
    out.set_highest_modseq(box->modseq);
    out.set_uid_next(box->uid_next);
    Ranges vanished;
    for (const auto& [uid, modseq] : box->expunged) {
      if (modseq > in.since_modseq()) push_back(vanished, uid);
    }
    to_proto(vanished, out.mutable_vanished());
    Ranges added;
    for (const auto& [uid, message] : box->messages) {
      if (message.modseq <= in.since_modseq() && uid < in.below_uid()) continue;
      if (uid >= in.below_uid()) {
        push_back(added, uid);
      } else {
        flags_of(uid, message, *out.add_changed());
      }
    }
    to_proto(added, out.mutable_added());
    out.set_first_recent_uid(box->first_recent);
    if (in.take_recent()) box->first_recent = box->uid_next;
    co_return out;
  }
  Task<pb::FetchMessagesResponse> read_messages(rpc::Context&, const pb::FetchMessagesRequest& in) override {
    MERPATI_CO_CHECK(enter("read_messages"));
    pb::FetchMessagesResponse out;
    rows(in, out);
    co_return out;
  }
  Task<void> fetch_messages(rpc::Context&, const pb::FetchMessagesRequest& in,
                            rpc::Writer<pb::FetchMessagesResponse>& to) override {
    MERPATI_CO_CHECK(enter("fetch_messages"));
    pb::FetchMessagesResponse all;
    rows(in, all);
    pb::FetchMessagesResponse chunk;
    for (auto& row : *all.mutable_rows()) {
      *chunk.add_rows() = row;
      if (chunk.rows_size() == 50) {
        MERPATI_CO_CHECK(co_await to.write(chunk));
        chunk.Clear();
      }
    }
    co_return co_await to.write(chunk);
  }
  Task<pb::ReadContentResponse> read_content(rpc::Context&, const pb::ReadContentRequest& in) override {
    MERPATI_CO_CHECK(enter("read_content"));
    pb::ReadContentResponse out;
    auto* box = by_id(in.mailbox_id());
    std::size_t total = 0;
    for (const auto& range : in.ranges()) {
      auto& content = *out.add_contents();
      content.set_uid(range.uid());
      const auto found = box->messages.find(range.uid());
      content.set_gone(found == box->messages.end());
      if (content.gone()) continue;
      const auto& octets = found->second.octets;
      content.set_message_size(octets.size());
      content.set_octets(octets.substr(
          range.offset(),
          std::min<std::size_t>(range.length() == 0 ? octets.size() : range.length(), reply_limit - total)));
      total += content.octets().size();
      if (total >= reply_limit) break;
    }
    co_return out;
  }
  std::size_t reply_limit = 64 * 1024;
  Task<void> stream_content(rpc::Context&, const pb::StreamContentRequest& in,
                            rpc::Writer<pb::StreamContentResponse>& to) override {
    MERPATI_CO_CHECK(enter("stream_content"));
    const auto octets =
        by_id(in.mailbox_id())->messages.at(in.range().uid()).octets.substr(in.range().offset(), in.range().length());
    for (std::size_t at = 0; at < octets.size(); at += 10000) {
      if (at > 0 && streams_to_break > 0) {
        --streams_to_break;
        co_return Error(ErrorCode::kUnavailable, "this replica has gone");
      }
      pb::StreamContentResponse chunk;
      chunk.set_chunk(octets.substr(at, 10000));
      MERPATI_CO_CHECK(co_await to.write(std::move(chunk)));
    }
    co_return Result<void>();
  }
  Task<pb::SearchResponse> search(rpc::Context&, const pb::SearchRequest& in) override {
    MERPATI_CO_CHECK(enter("search"));
    pb::SearchResponse out;
    Ranges uids;
    for (const auto& [uid, message] : by_id(in.mailbox_id())->messages) {
      if (!matches(in.key(), uid, message)) continue;
      push_back(uids, uid);
      out.set_highest_modseq(std::max(out.highest_modseq(), message.modseq));
    }
    to_proto(uids, out.mutable_uids());
    co_return out;
  }
  Task<pb::StoreFlagsResponse> store_flags(rpc::Context&, const pb::StoreFlagsRequest& in) override {
    MERPATI_CO_CHECK(enter("store_flags"));
    auto& box = *by_id(in.mailbox_id());
    pb::StoreFlagsResponse out;
    Ranges modified;
    const auto modseq = box.modseq + 1;
    for (auto& [uid, message] : box.messages) {
      if (!contains(from_proto(in.uids()), uid)) continue;
      if (in.has_unchanged_since() && message.modseq > in.unchanged_since()) {
        push_back(modified, uid);
        continue;
      }
      const auto before = std::pair(message.flags, message.keywords);
      if (in.mode() == pb::StoreFlagsRequest::MODE_REPLACE)
        message.flags = in.flags(), message.keywords = {in.keywords().begin(), in.keywords().end()};
      if (in.mode() == pb::StoreFlagsRequest::MODE_ADD)
        message.flags |= in.flags(), message.keywords.insert(in.keywords().begin(), in.keywords().end());
      if (in.mode() == pb::StoreFlagsRequest::MODE_REMOVE) {
        message.flags &= ~in.flags();
        for (const auto& keyword : in.keywords()) message.keywords.erase(keyword);
      }
      const bool changed = before != std::pair(message.flags, message.keywords);
      if (changed) message.modseq = box.modseq = modseq;
      flags_of(uid, message, changed ? *out.add_changed() : *out.add_unchanged());
    }
    to_proto(modified, out.mutable_modified());
    out.set_highest_modseq(box.modseq);
    notify(name_of(in.mailbox_id()));
    co_return out;
  }
  Task<pb::ExpungeResponse> expunge(rpc::Context&, const pb::ExpungeRequest& in) override {
    MERPATI_CO_CHECK(enter("expunge"));
    auto& box = *by_id(in.mailbox_id());
    pb::ExpungeResponse out;
    Ranges gone;
    for (const auto& [uid, message] : box.messages) {
      if ((message.flags & 8) != 0 && (in.uids().empty() || contains(from_proto(in.uids()), uid))) push_back(gone, uid);
    }
    remove(box, gone);
    to_proto(gone, out.mutable_vanished());
    out.set_highest_modseq(box.modseq);
    notify(name_of(in.mailbox_id()));
    co_return out;
  }
  Task<pb::CopyMessagesResponse> copy_messages(rpc::Context&, const pb::CopyMessagesRequest& in) override {
    co_return copy(in, false);
  }
  Task<pb::CopyMessagesResponse> move_messages(rpc::Context&, const pb::CopyMessagesRequest& in) override {
    co_return copy(in, true);
  }

  Task<void> watch(rpc::Context&, rpc::Reader<pb::WatchRequest>& in, rpc::Writer<pb::WatchResponse>& to) override {
    using namespace asio::experimental::awaitable_operators;
    Events events{{}, {}, asio::steady_timer(co_await asio::this_coro::executor)};
    watchers_.insert(&events);
    co_await (take_requests(events, in) || send_events(events, to));
    watchers_.erase(&events);
    co_return Result<void>();
  }
  /// Takes what a loop wants to watch, unless `takes_no_watch`; then take_watches() does.
  void take_watches() {
    takes_no_watch = false;
    for (auto* events : watchers_) take(*events);
  }
  void remove(FakeMailbox& box, const Ranges& gone) {
    if (gone.empty()) return;
    ++box.modseq;
    for (const auto& range : gone) {
      for (auto uid = range.first; uid <= range.last; ++uid) box.messages.erase(uid), box.expunged[uid] = box.modseq;
    }
  }

 private:
  struct Events {
    std::vector<pb::WatchResponse> queue;
    std::vector<pb::WatchRequest> requests;
    asio::steady_timer timer;
  };
  asio::awaitable<void> take_requests(Events& events, rpc::Reader<pb::WatchRequest>& in) {
    for (;;) {
      const auto request = co_await in.read();
      if (request.has_error() || !request->has_value()) co_return;
      if (!(*request)->stop()) events.requests.push_back(**request);
      if (!takes_no_watch) take(events);
    }
  }
  static void take(Events& events) {
    for (const auto& request : events.requests) {
      pb::WatchResponse& begun = events.queue.emplace_back();
      begun.set_account_id(request.account_id());
      begun.set_begun(request.serial());
    }
    events.requests.clear();
    events.timer.cancel();
  }
  static asio::awaitable<void> send_events(Events& events, rpc::Writer<pb::WatchResponse>& to) {
    Result<void> written;
    while (written.has_value()) {
      while (!events.queue.empty() && written.has_value()) {
        auto event = events.queue.front();
        events.queue.erase(events.queue.begin());
        written = co_await to.write(std::move(event));
      }
      events.timer.expires_at(SteadyTime::max());
      co_await events.timer.async_wait(kAwait);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) break;
    }
  }
  Result<void> enter(const char* method) {
    ++calls[method];
    if (fail) return *fail;
    return {};
  }
  Result<FakeMailbox*> find(const std::string& name) {
    const auto found = boxes.find(name);
    if (found == boxes.end()) return Error(ErrorCode::kNotFound, "no mailbox");
    return &found->second;
  }
  FakeMailbox* by_id(std::int64_t id) {
    for (auto& [name, box] : boxes) {
      if (box.id == id) return &box;
    }
    return nullptr;
  }
  std::string name_of(std::int64_t id) {
    for (auto& [name, box] : boxes) {
      if (box.id == id) return name;
    }
    return {};
  }
  static void describe(const std::string& name, const FakeMailbox& box, pb::Mailbox& out) {
    out.set_id(box.id);
    out.set_name(name);
    out.set_uid_validity(box.uid_validity);
    out.set_subscribed(box.subscribed);
    out.set_special_use(box.use);
  }
  static void count(const FakeMailbox& box, pb::MailboxCounts& out) {
    for (const auto& [uid, message] : box.messages) {
      out.set_messages(out.messages() + 1);
      if ((message.flags & 1) == 0) out.set_unseen(out.unseen() + 1);
      if ((message.flags & 8) != 0) out.set_deleted(out.deleted() + 1);
      if (uid >= box.first_recent) out.set_recent(out.recent() + 1);
      out.set_bytes(out.bytes() + message.octets.size());
    }
    out.set_uid_next(box.uid_next);
    out.set_uid_validity(box.uid_validity);
    out.set_highest_modseq(box.modseq);
  }
  static void flags_of(std::uint32_t uid, const FakeMessage& message, pb::MessageFlags& out) {
    out.set_uid(uid);
    out.set_flags(message.flags);
    for (const auto& keyword : message.keywords) out.add_keywords(keyword);
    out.set_modseq(message.modseq);
  }
  static void part_of(const mime::Part& part, pb::Part& out) {
    out.set_type(part.type + "/" + part.subtype);
    out.set_header_offset(static_cast<std::uint32_t>(part.header.offset));
    out.set_body_offset(static_cast<std::uint32_t>(part.body.offset));
    out.set_body_size(static_cast<std::uint32_t>(part.body.size));
    out.set_encoding(part.encoding);
    for (const auto& child : part.children) part_of(child, *out.add_parts());
  }
  void rows(const pb::FetchMessagesRequest& in, pb::FetchMessagesResponse& out) {
    for (const auto& [uid, message] : by_id(in.mailbox_id())->messages) {
      if (!in.uids().empty() && !contains(from_proto(in.uids()), uid)) continue;
      if (message.modseq <= in.changed_since()) continue;
      auto& row = *out.add_rows();
      const auto summary = mime::summarize(message.octets);
      row.set_uid(uid);
      row.set_flags(message.flags);
      for (const auto& keyword : message.keywords) row.add_keywords(keyword);
      row.set_modseq(message.modseq);
      row.set_received_at_ms(message.received_ms);
      row.set_received_zone_minutes(message.zone);
      row.set_size(message.octets.size());
      row.set_envelope(mime::render_envelope(summary.envelope));
      row.set_body(mime::render_body(summary.root));
      row.set_bodystructure(mime::render_bodystructure(summary.root));
      part_of(summary.root, *row.mutable_root());
      row.set_header_bytes(static_cast<std::uint32_t>(summary.root.body.offset));
      row.set_header(message.octets.substr(0, summary.root.body.offset));
    }
  }
  static bool matches(const pb::SearchKey& key, std::uint32_t uid, const FakeMessage& message) {
    switch (key.key_case()) {
      case pb::SearchKey::kAll:
        return true;
      case pb::SearchKey::kAnd:
        return std::all_of(key.and_().keys().begin(), key.and_().keys().end(),
                           [&](const auto& k) { return matches(k, uid, message); });
      case pb::SearchKey::kOr:
        return std::any_of(key.or_().keys().begin(), key.or_().keys().end(),
                           [&](const auto& k) { return matches(k, uid, message); });
      case pb::SearchKey::kNot:
        return !matches(key.not_(), uid, message);
      case pb::SearchKey::kUids:
        return contains(from_proto(key.uids().ranges()), uid);
      case pb::SearchKey::kFlagsSet:
        return (message.flags & key.flags_set()) == key.flags_set();
      case pb::SearchKey::kKeyword:
        return message.keywords.count(key.keyword()) != 0;
      case pb::SearchKey::kText:
        return message.octets.find(key.text()) != std::string::npos;
      case pb::SearchKey::kHeader:
        return message.octets.find(key.header().value()) != std::string::npos;
      case pb::SearchKey::kLarger:
        return message.octets.size() > key.larger();
      case pb::SearchKey::kModseqAtLeast:
        return message.modseq >= key.modseq_at_least();
      case pb::SearchKey::kRecentFromUid:
        return uid >= key.recent_from_uid();
      default:
        return false;
    }
  }
  Result<pb::CopyMessagesResponse> copy(const pb::CopyMessagesRequest& in, bool move) {
    MERPATI_TRY(auto* to, find(in.to()));
    auto& from = *by_id(in.mailbox_id());
    Ranges source;
    Ranges target;
    for (const auto& [uid, message] : std::map(from.messages)) {
      if (!contains(from_proto(in.uids()), uid)) continue;
      push_back(source, uid);
      const auto made = add(in.to(), message.octets, message.flags);
      push_back(target, made);
    }
    if (move) remove(from, source);
    pb::CopyMessagesResponse out;
    out.set_mailbox_id(to->id);
    out.set_uid_validity(to->uid_validity);
    to_proto(source, out.mutable_source());
    to_proto(target, out.mutable_target());
    out.set_highest_modseq(from.modseq);
    return out;
  }
  std::int64_t last_id_ = 0;
  std::set<Events*> watchers_;
};

class FakeAuth : public auth::v1::AuthService {
 public:
  explicit FakeAuth(rpc::SigningKey key) : key_(std::move(key)) {}

  auth::v1::LoginResult result() const {
    auth::v1::SessionClaims claims;
    claims.set_account_id(7);
    claims.set_address("alice@example.test");
    claims.add_scopes(auth::v1::SCOPE_MAIL_READ);
    claims.add_scopes(auth::v1::SCOPE_MAIL_WRITE);
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    claims.set_issued_at(now);
    claims.set_expires_at(now + 900);
    auth::v1::LoginResult out;
    out.set_token(rpc::sign(key_, rpc::TokenKind::kSession, claims.SerializeAsString()));
    *out.mutable_claims() = claims;
    return out;
  }
  Task<auth::v1::LoginResponse> login(rpc::Context&, const auth::v1::LoginRequest& in) override {
    auth::v1::LoginResponse out;
    last_client = in.client();
    if (in.user() == "alice" && in.password() == "secret") {
      *out.mutable_success() = result();
    } else {
      out.mutable_failure()->set_reason(auth::v1::LoginFailure::REASON_CREDENTIALS);
    }
    co_return out;
  }
  Task<void> sasl(rpc::Context&, rpc::Reader<auth::v1::SaslRequest>& in,
                  rpc::Writer<auth::v1::SaslResponse>& to) override {
    MERPATI_CO_TRY(auto first, co_await in.read());
    auth::v1::SaslResponse answer;
    std::string said = first->start().initial_response();
    if (!first->start().has_initial_response()) {
      answer.set_challenge("");
      MERPATI_CO_CHECK(co_await to.write(answer));
      MERPATI_CO_TRY(auto next, co_await in.read());
      if (!next || next->cancel()) co_return Result<void>();
      said = next->response();
    }
    if (said == std::string("\0alice\0secret", 13)) {
      *answer.mutable_success() = result();
      answer.mutable_success()->set_server_final(server_final);
    } else {
      answer.mutable_failure()->set_reason(auth::v1::LoginFailure::REASON_CREDENTIALS);
    }
    co_return co_await to.write(answer);
  }
  std::string server_final;
  auth::v1::ClientInfo last_client;  ///< of LOGIN

 private:
  rpc::SigningKey key_;
};

}  // namespace merpati::imap::testing
