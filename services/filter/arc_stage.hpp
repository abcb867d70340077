// ArcStage: puts an ARC set on what a verdict sends on: redirects of scripts, and of aliases that lead elsewhere
// (forwarding.hpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "filter/arc_sealer.hpp"
#include "filter/engine.hpp"
#include "merpati/rpc/channel.hpp"

namespace merpati::filter {

/// Thread safe.
class ArcStage {
 public:
  /// `store` is where edited messages over 64 KiB are read, up to `max_size` octets of each.
  ArcStage(ArcSealer sealer, std::string authserv_id, std::shared_ptr<rpc::Channel> store, std::uint64_t max_size);

  /// After all else: `response` is what leaves. What cannot be sealed goes without; fails only when the call ends.
  Task<void> apply(const v1::CheckMessageRequest& request, const MessageView& view, rpc::CallOptions call,
                   v1::CheckMessageResponse& response);

 private:
  /// One form of the message that leaves, and whose edits get the fields.
  struct Departure {
    google::protobuf::RepeatedPtrField<v1::HeaderEdit>* edits;
    const store::v1::Body* body;  ///< null: as it came
  };
  static std::vector<Departure> departures(v1::CheckMessageResponse& response);
  Task<ArcSealer::Known> known(const v1::CheckMessageRequest& request, const MessageView& view,
                               Deadline deadline) const;
  Task<ArcSealer::Fields> seal_as_it_came(const MessageView& view, const v1::CheckMessageResponse& response,
                                          const ArcSealer::Known& known, std::size_t room);
  Task<ArcSealer::Fields> seal_edited(const v1::CheckMessageRequest& request, const MessageView& view,
                                      rpc::CallOptions call, const store::v1::Body& body, ArcSealer::Known known,
                                      std::size_t room);

  ArcSealer sealer_;
  const std::string authserv_id_;
  std::shared_ptr<rpc::Channel> store_;
  const std::uint64_t max_size_;
};

}  // namespace merpati::filter
