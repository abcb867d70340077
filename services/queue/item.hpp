// What the queue holds: messages and, for each recipient, an item. Plain values; the repository reads and writes them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "merpati/base/clock.hpp"

namespace merpati::queue {

enum class ItemState : std::uint8_t { kHeld = 1, kDue = 2, kSending = 3, kDone = 4, kFailed = 5 };
enum class BodyType : std::uint8_t { k7Bit = 0, k8BitMime = 1, kBinaryMime = 2 };

/// What all items of one handed-over transaction share.
struct Message {
  std::string delivery_id;
  std::string reverse_path;  ///< "" for <>
  std::string header_prefix;
  bool has_octets = false;  ///< in the queue's own table; else in the store under blob_id
  std::string blob_id;
  std::uint64_t size = 0;  ///< with header_prefix
  std::int64_t sender_account_id = 0;
  std::int64_t deciding_account_id = 0;
  std::string trace_id;
  BodyType body_type = BodyType::k7Bit;
  bool smtputf8 = false;
  WallTime received_at;
  std::string envelope_id;    ///< DSN ENVID
  bool headers_only = false;  ///< DSN RET=HDRS
  std::string cell;
  bool scripted = false;  ///< the recipients' scripts have run
};

struct NewRecipient {
  std::string address;
  std::string domain;  ///< A-labels
  std::string notify;
  std::string original_recipient;
};

struct NewMessage {
  Message message;
  const std::string* octets = nullptr;  ///< null: the message has a blob_id
  std::vector<NewRecipient> recipients;
};

/// An item in the hands of this process. `lease_number` proves it.
struct LeasedItem {
  std::int64_t id = 0;
  std::int64_t lease_number = 0;
  std::string uuid;  ///< the delivery id towards the store
  std::string recipient;
  std::string domain;
  std::string notify;
  std::string original_recipient;
  int attempts = 0;  ///< this one included
  WallTime expires_at;
  bool returned = false;  ///< an operator wants it returned
  std::string last_error;
  std::shared_ptr<const Message> message;
};

/// What became of one attempt.
struct Outcome {
  enum class Kind : std::uint8_t { kDelivered, kTemporary, kFailed } kind = Kind::kTemporary;
  std::string status;  ///< RFC 3463, such as "5.1.1"
  std::string text;    ///< the remote host's reply, or our reason
  std::string host;    ///< who said it; empty: we did
  bool ours = false;   ///< the remote host was not asked, because a part of ours or the DNS was away

  static Outcome delivered(std::string text, std::string host = {}) {
    return {Kind::kDelivered, "2.0.0", std::move(text), std::move(host), false};
  }
  static Outcome temporary(std::string status, std::string text, std::string host = {}) {
    return {Kind::kTemporary, std::move(status), std::move(text), std::move(host), false};
  }
  static Outcome waiting(std::string status, std::string text) {
    return {Kind::kTemporary, std::move(status), std::move(text), {}, true};
  }
  static Outcome failed(std::string status, std::string text, std::string host = {}) {
    return {Kind::kFailed, std::move(status), std::move(text), std::move(host), false};
  }
};

/// Items of one message and one domain: they can travel in one SMTP transaction.
struct Job {
  std::shared_ptr<const Message> message;
  std::vector<LeasedItem> items;
};

}  // namespace merpati::queue
