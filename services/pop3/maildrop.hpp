// A maildrop: the view of INBOX that one login has, the marks of DELE, and the store's lease on it. Owned by one
// session.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"
#include "pop3/edge.hpp"

namespace merpati::pop3 {

/// Who is logged in: what auth has signed.
struct Login {
  std::string token;
  auth::v1::SessionClaims claims;
};

class Maildrop {
 public:
  struct Message {
    std::uint32_t uid = 0;
    std::uint64_t size = 0;
    std::string unique_id;
    bool deleted = false;
  };

  /// Takes the lease. kAlreadyExists: another session has it. Not open when the last login is too recent (LOGIN-DELAY).
  static Task<Maildrop> open(const Edge& edge, Login login, std::string session_id);
  bool is_open() const { return lease_number_ != 0; }

  std::size_t size() const { return messages_.size(); }
  const std::vector<Message>& messages() const { return messages_; }
  /// Null for a number that does not exist or is marked as deleted.
  const Message* find(std::uint32_t number) const;
  void mark_deleted(std::uint32_t number);
  void unmark_all();
  /// Without the deleted ones.
  std::uint32_t count() const { return count_; }
  std::uint64_t bytes() const { return bytes_; }

  /// Renews what is about to end, lease or token. A store or auth that is down is no error yet: kAborted when the lease
  /// was lost, kUnauthenticated when the login is no longer good.
  Task<void> keep(const Edge& edge);
  SteadyTime keep_at() const { return keep_at_; }

  /// UPDATE: removes what is marked and gives the lease back. Returns how many were there to be removed.
  Task<std::uint32_t> commit(const Edge& edge);
  /// Gives the lease back and removes nothing. May be repeated after an error.
  Task<void> give_back(const Edge& edge);

  std::int64_t account() const { return login_.claims.account_id(); }
  std::int64_t mailbox() const { return mailbox_id_; }
  rpc::CallOptions call_options(const Edge& edge) const;
  /// Of the command in hand; empty where traces are not exported.
  void set_trace(std::string trace) { trace_ = std::move(trace); }

 private:
  Task<std::uint32_t> close(const Edge& edge, std::vector<std::uint32_t> uids);
  Task<void> renew_token(const Edge& edge);

  Login login_;
  std::int64_t lease_number_ = 0;
  std::int64_t mailbox_id_ = 0;
  std::vector<Message> messages_;
  std::uint32_t count_ = 0;
  std::uint64_t bytes_ = 0;
  SteadyTime keep_at_{};
  std::string trace_;
  bool given_back_ = false;
};

/// May the call have been carried out, or succeed a little later?
bool is_temporary(const Error& error);

/// A store that was away as a session ended gets its lease back when it has returned: until then, and no longer than
/// the lease lasts, a task of the edge tries every second. Otherwise nobody could log in for a minute afterwards.
void give_back_later(std::shared_ptr<Edge> edge, Maildrop drop);
/// The same for a lease that a failed login may have been given.
void give_back_later(std::shared_ptr<Edge> edge, Login login, std::string session_id);

}  // namespace merpati::pop3
