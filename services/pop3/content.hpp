// The octets of one message, piece by piece: small ones in one call, large ones as a stream.
#pragma once

#include <memory>
#include <string>

#include "pop3/session.hpp"

namespace merpati::pop3 {

class Content {
 public:
  enum class Want : std::uint8_t { kWhole, kBeginning };
  Content(Session& session, const Maildrop::Message& message, Want want);

  /// The next piece; empty at the end. kNotFound: expunged and collected since the login.
  Task<std::string> next();

 private:
  Task<std::string> next_by_call();
  Task<void> open_stream();
  Task<std::string> next_of_stream();

  Session& session_;
  const Maildrop::Message& message_;
  bool streaming_;
  std::uint64_t piece_;
  std::uint64_t offset_ = 0;
  bool complete_ = false;
  std::unique_ptr<rpc::Reader<store::v1::StreamContentResponse>> stream_;
  std::uint64_t stream_from_ = 0;  // where it began
};

/// "+OK", the message (or its header and `lines` lines of its body) and the final dot. Errors before the first octet
/// are told to the client; later ones end the session.
Task<void> send_message(Session& session, const Maildrop::Message& message, std::optional<std::uint32_t> lines);

}  // namespace merpati::pop3
