// What happens between the last octet of a message and the reply: filter, hold, deliver, release.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "smtp/edits.hpp"
#include "smtp/message_source.hpp"
#include "smtp/milter_outcome.hpp"
#include "smtp/site.hpp"
#include "smtp/trace_headers.hpp"
#include "smtp/transaction.hpp"

namespace merpati::smtp {

/// One message of one transaction. Nothing is acknowledged before it is committed: run() returns the reply to send.
class Acceptance {
 public:
  struct Parts {
    Site& site;
    const Transaction& transaction;
    filter::v1::Transaction filter_view;  ///< the transaction as the filter is told of it
    MessageBuffer& buffer;
    MilterOutcome milters;  ///< what milters made of it
    ReceivedFrom received;
    std::int64_t sender_account_id = 0;  ///< 0: not submitted by one of our accounts
    bool accept_unfiltered = false;      ///< when the filter does not answer
  };
  explicit Acceptance(Parts parts);
  Task<Reply> run();
  /// Tells the log, and who keeps the events of messages' lives, what the client hears.
  void conclude(const Reply& reply);

 private:
  /// Where the message goes: an account here, or an address elsewhere.
  struct Target {
    const auth::v1::Recipient* local = nullptr;
    std::string address;
    std::string alias;  ///< the address of ours that leads to one elsewhere; empty: the sender named it
    bool junk = false;
    bool discard = false;
    filter::v1::RecipientVerdict verdict;
  };

  struct CellDelivery {
    std::string cell;
    store::v1::DeliverRequest request;
    std::vector<const Target*> targets;  ///< one for each of the request's recipients
  };
  using Results = std::vector<store::v1::DeliverResult>;  ///< one for each recipient of a delivery

  Task<Reply> accept();
  asio::awaitable<void> settle(bool taken);
  void find_targets();
  void fill_in_missing();
  Task<filter::v1::CheckMessageResponse> ask_filter();
  Task<filter::v1::ReceivedMessage> as_received();
  std::optional<Reply> decided_by_milters();
  std::optional<Reply> apply_verdicts(filter::v1::CheckMessageResponse& verdict);
  Reply confused(const char* why) const;
  void tell_discarded();

  // acceptance_plan.cpp
  Task<store::v1::Body> make_body(const HeaderEdits& edits);
  Task<store::v1::Body> body_of(std::string octets);
  template <class Form>
  Task<std::optional<store::v1::Body>> own_body(const Form& form);
  std::string prefix_for(const Target& target) const;
  CellDelivery& delivery_to(const std::string& cell);
  Task<void> fill_delivery();
  Task<store::v1::Body> body_in(std::string cell, store::v1::Body body);
  Task<void> move_to_deciding_cell();
  Task<void> bring_bodies(CellDelivery& delivery);

  // acceptance_leaving.cpp
  queue::v1::EnqueueRequest envelope() const;
  queue::v1::EnqueueRequest as_it_came(const HeaderEdits& edits) const;
  queue::v1::EnqueueRequest redirected(const filter::v1::Redirect& redirect, const Target& target) const;
  Task<queue::v1::EnqueueRequest> sent(const filter::v1::SendMessage& send, const Target& target);
  Task<void> fill_queue();

  bool leaves() const { return !outbound_.empty(); }
  void add_outbound(queue::v1::EnqueueRequest message);
  Result<void> hold_outbound();
  Task<void> enqueue_outbound();

  // acceptance_commit.cpp
  Task<Reply> commit();
  Task<void> let_go();
  Task<void> take_back();
  Task<Reply> deliver_together();
  Task<bool> leave_out(CellDelivery& delivery, const Results& results);
  Task<Reply> deliver_cells();
  Task<Results> deliver_to(const CellDelivery& delivery);
  Task<store::v1::DeliverResponse> outcome_of_failed(const CellDelivery& delivery);
  Task<store::v1::DeliverResponse> deliver(const CellDelivery& delivery);
  Task<bool> was_committed(const CellDelivery& delivery, std::int64_t account_id);
  static std::vector<std::size_t> unserved(const CellDelivery& delivery, const Results& results);
  std::vector<queue::v1::EnqueueRequest> messages_for(const CellDelivery& delivery,
                                                      const std::vector<std::size_t>& recipients) const;
  Task<Reply> settle(const std::vector<Results>& all);
  Reply accepted() const { return {250, "2.0.0", "Ok: " + transaction_.id}; }

  /// Whose calls these are; null: nobody here gets it.
  const auth::v1::Recipient* first_local() const;
  rpc::CallOptions options() const;

  Parts parts_;
  Site& site_;
  const Transaction& transaction_;
  std::string delivery_id_;  ///< what the store and the queue know this by; another one after leave_out
  Deadline deadline_;
  std::int64_t received_at_ms_;
  std::vector<Target> targets_;
  MessageSource source_;
  std::string message_;  ///< a small message's octets, while the filter has them and after
  std::string cell_;     ///< whose store has this message's blobs: the deciding account's
  std::string blob_id_;  ///< a large message's blob
  std::uint64_t size_ = 0;
  Received received_;
  std::string reverse_path_;  ///< as the filter leaves it
  std::string prepended_;     ///< for all recipients
  std::string message_id_;    ///< for the trace, as verdict_
  std::string verdict_;       ///< in words, empty: the filter was not asked
  std::optional<trace::v1::Verdict> judged_;
  HeaderEdits edits_;
  bool message_junk_ = false;
  store::v1::Body body_;  ///< what most recipients get
  std::vector<CellDelivery> deliveries_;
  std::optional<Error> failure_;  ///< of the last call of Deliver that failed
  bool deciding_has_it_ = false;  ///< the account that the queue would ask the store about
  bool scripted_ = false;         ///< the filter ran the recipients' scripts
  bool settle_ = false;           ///< the filter wants to know what becomes of it
  /// What leaves: calls with further messages in `also`. The first decides for the others.
  std::vector<queue::v1::EnqueueRequest> outbound_;
};

}  // namespace merpati::smtp
