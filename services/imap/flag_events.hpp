// FlagEvents: gathers which flags of which messages a command changed, for scripts (RFC 6785 4.5).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "imap/convert.hpp"
#include "imap/session.hpp"

namespace merpati::imap {

/// Costs nothing where no script is meant for the selected mailbox.
class FlagEvents {
 public:
  explicit FlagEvents(Session& session) : session_(session) {}

  /// Before the change: reads which flags the messages have, if that will be wanted.
  Task<void> expect(const Ranges& uids);
  /// After it; the messages that changed.
  void changed(const google::protobuf::RepeatedPtrField<pb::MessageFlags>& messages);
  /// They were without \Seen before.
  void seen(const google::protobuf::RepeatedPtrField<pb::MessageFlags>& messages);
  /// Tells of all of them.
  Task<void> tell();

 private:
  Task<bool> wanted();
  void add(std::uint32_t uid, std::vector<std::string> flags);

  Session& session_;
  bool expected_ = false;
  std::map<std::uint32_t, std::vector<std::string>> before_;
  std::vector<filter::v1::EventMessage> messages_;
  std::vector<std::uint32_t> seen_;
};

}  // namespace merpati::imap
