// StoredBody: one message's octets and what the parser found in them, ready for the commit of its rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "merpati/base/task.hpp"
#include "store/codec.hpp"

namespace merpati::store::v1 {
class Body;
class MessageSummary;
}  // namespace merpati::store::v1

namespace merpati::store {

class Core;

struct StoredBody {
  std::string blob_id;        ///< SHA-256, 32 octets
  std::uint64_t size = 0;     ///< as it is shown: of binary mail that of its view
  bool is_object = false;     ///< octets are in the object store already
  Codec codec = Codec::kRaw;  ///< binary when there is a view
  std::string octets;         ///< encoded; empty for an object
  std::string envelope, structure, detail;
  std::int64_t thread = 0;  ///< 0: no id in the message to make one from
};

/// Splits a summary into the columns of a row.
void set_summary(StoredBody& body, v1::MessageSummary&& summary);
/// The columns back into one summary; an unreadable detail gives what can be had.
v1::MessageSummary join_summary(std::string_view envelope, std::string_view structure, std::string_view detail);

/// Parses and compresses an inline body, or looks up an uploaded one (kNotFound when it is not there any more).
/// kInvalidArgument when neither is given or an inline one is too large.
Task<std::shared_ptr<const StoredBody>> prepare_body(Core& core, const v1::Body& body, Deadline deadline);

}  // namespace merpati::store
