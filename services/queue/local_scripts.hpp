// What is done with an item for an address of ours: what the Sieve scripts of accounts want, and how it goes on to
// where an alias leads. Asked of the filter.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merpati/auth/v1/auth.pb.h"
#include "merpati/filter/v1/filter.pb.h"
#include "merpati/rpc/channel.hpp"
#include "queue/content.hpp"
#include "queue/item.hpp"

namespace merpati::queue {

/// A copy for one mailbox.
struct LocalCopy {
  std::string grant, address;  ///< who gets it
  std::string cell;
  filter::v1::FileInto into;
  bool junk = false;
  int part = 0;  ///< of the account's copies
};

/// A message that a script sends on, or composes, or that an alias leads elsewhere.
struct Departure {
  std::string name;  ///< the same at each attempt, another one for each of an item's: makes the delivery id
  std::string reverse_path, prefix;
  std::optional<std::string> octets;  ///< otherwise the blob, otherwise the item's own body
  std::string blob_id;
  std::vector<std::string> recipients;
  std::string notify;
  bool headers_only = false;
  bool composed = false;
  bool by_alias = false;  ///< notices go as the sender asked for (RFC 3461 5.2.7)
};

struct LocalPlan {
  std::vector<LocalCopy> copies;
  std::vector<Departure> departures;  ///< of scripts: after the copies
  std::vector<Departure> forwards;    ///< to where an alias leads
  std::optional<Outcome> refusal;     ///< of a recipient whose script refuses
  bool settle = false;                ///< the filter wants to know what becomes of it
};

using LocalRecipients = google::protobuf::RepeatedPtrField<auth::v1::Recipient>;
using RemoteAddresses = google::protobuf::RepeatedPtrField<std::string>;

class LocalScripts {
 public:
  /// A null channel: there are no scripts, and what goes on keeps its sender.
  explicit LocalScripts(std::shared_ptr<rpc::Channel> filter) : filter_(std::move(filter)) {}

  /// The same for the same item, until it is settled. Errors of the call.
  Task<LocalPlan> ask(const LeasedItem& item, Content& content, const LocalRecipients& recipients,
                      const RemoteAddresses& elsewhere);
  Task<void> settle(const LeasedItem& item, bool taken);

 private:
  std::shared_ptr<rpc::Channel> filter_;
};

}  // namespace merpati::queue
