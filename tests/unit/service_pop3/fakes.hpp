// Backends in memory: one account with a maildrop, with the store's rules of lease, fencing and commit.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "merpati/auth/v1/auth.rpc.hpp"
#include "merpati/base/guarded.hpp"
#include "merpati/rpc/dispatcher.hpp"
#include "merpati/rpc/token.hpp"
#include "merpati/store/v1/store.rpc.hpp"
#include "support/fake_auth.hpp"

namespace merpati::pop3::test {

class FakeStore : public store::v1::StoreService {
 public:
  struct State {
    std::map<std::uint32_t, std::string> messages;
    std::int64_t lease = 0;
    bool leased = false;
    bool down = false;
    bool lose_bodies = false;    ///< a stream breaks half way, and no other one goes on
    int streams_to_break = 0;    ///< half way; others go on
    std::uint32_t gone_uid = 0;  ///< its octets are collected
    int renewals = 0;
  };
  Guarded<State> state;

  Task<store::v1::LeaseMaildropResponse> lease_maildrop(rpc::Context&,
                                                        const store::v1::LeaseMaildropRequest& request) override {
    const bool delayed = request.login_delay_seconds() > 0;
    co_return state.with([delayed](State& s) -> Result<store::v1::LeaseMaildropResponse> {
      if (s.down) return Error(ErrorCode::kUnavailable, "down");
      if (s.leased) return Error(ErrorCode::kAlreadyExists, "leased");
      if (delayed && s.lease > 0) return store::v1::LeaseMaildropResponse();
      s.leased = true;
      store::v1::LeaseMaildropResponse response;
      response.set_lease_number(++s.lease);
      response.set_mailbox_id(1);
      response.set_uid_validity(77);
      for (const auto& [uid, text] : s.messages) {
        auto& message = *response.add_messages();
        message.set_uid(uid);
        message.set_size(text.size());
        if (uid != 3) message.set_uidl("id-" + std::to_string(uid));
      }
      return response;
    });
  }

  Task<store::v1::RenewMaildropResponse> renew_maildrop(rpc::Context&,
                                                        const store::v1::RenewMaildropRequest& r) override {
    co_return state.with([&](State& s) -> Result<store::v1::RenewMaildropResponse> {
      ++s.renewals;
      if (s.lease != r.lease_number()) return Error(ErrorCode::kFailedPrecondition, "lost");
      return store::v1::RenewMaildropResponse();
    });
  }

  Task<store::v1::CommitMaildropResponse> commit_maildrop(rpc::Context&,
                                                          const store::v1::CommitMaildropRequest& r) override {
    co_return state.with([&](State& s) -> Result<store::v1::CommitMaildropResponse> {
      if (s.down) return Error(ErrorCode::kUnavailable, "down");
      if (s.lease != r.lease_number()) return Error(ErrorCode::kFailedPrecondition, "lost");
      s.leased = false;
      store::v1::CommitMaildropResponse response;
      std::uint32_t deleted = 0;
      for (const auto uid : r.delete_uids()) deleted += static_cast<std::uint32_t>(s.messages.erase(uid));
      response.set_deleted(deleted);
      return response;
    });
  }

  Task<store::v1::ReadContentResponse> read_content(rpc::Context&, const store::v1::ReadContentRequest& r) override {
    co_return state.with([&](State& s) -> Result<store::v1::ReadContentResponse> {
      if (s.down) return Error(ErrorCode::kUnavailable, "down");
      const auto& range = r.ranges(0);
      store::v1::ReadContentResponse response;
      auto& content = *response.add_contents();
      content.set_uid(range.uid());
      if (range.uid() == s.gone_uid) {
        content.set_gone(true);
        return response;
      }
      const auto& text = s.messages.at(range.uid());
      const auto length = std::min<std::uint64_t>(range.length() == 0 ? 65536 : range.length(), 65536);
      content.set_octets(text.substr(range.offset(), length));
      content.set_message_size(text.size());
      return response;
    });
  }

  Task<void> stream_content(rpc::Context&, const store::v1::StreamContentRequest& r,
                            rpc::Writer<store::v1::StreamContentResponse>& out) override {
    const auto text = state.with([&](State& s) { return s.messages.at(r.range().uid()); });
    const auto begin = r.range().offset();
    const bool lose = state.with([](State& s) { return s.lose_bodies; });
    const bool breaks = state.with([](State& s) { return s.streams_to_break > 0 && s.streams_to_break-- > 0; });
    for (std::size_t at = begin; at < text.size(); at += 50000) {
      if ((lose && at > 0) || (breaks && at > begin)) co_return Error(ErrorCode::kUnavailable, "objects are down");
      store::v1::StreamContentResponse chunk;
      chunk.set_chunk(text.substr(at, 50000));
      MERPATI_CO_CHECK(co_await out.write(std::move(chunk)));
    }
    co_return Result<void>();
  }
};

struct Backends {
  Backends() : auth(key, "pop3", {auth::v1::SCOPE_MAIL_READ, auth::v1::SCOPE_MAIL_WRITE}) {
    auto ring = std::make_shared<rpc::KeyRing>();
    ring->add(key.id, key.pub);
    auth_dispatcher.set_token_verifier(ring);
    store_dispatcher.set_token_verifier(ring);
    auth_dispatcher.register_service(auth);
    store_dispatcher.register_service(store);
  }
  rpc::SigningKey key = rpc::SigningKey::generate("k1");
  merpati::test::FakeAuth auth;
  FakeStore store;
  rpc::Dispatcher auth_dispatcher, store_dispatcher;
};

}  // namespace merpati::pop3::test
