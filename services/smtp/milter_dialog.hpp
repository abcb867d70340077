// MilterDialog: one session's stream to the filter, which asks the milters: what the client says goes in, what it is to
// hear comes out.
#pragma once

#include <bitset>
#include <memory>
#include <string>

#include "merpati/filter/v1/milters.rpc.hpp"
#include "smtp/message_source.hpp"

namespace merpati::smtp {

/// One session's. An error means that the stream is of no use any more.
class MilterDialog {
 public:
  /// Opens the stream and tells of the connection; `answer` is what the client is to hear.
  static Task<std::unique_ptr<MilterDialog>> open(const filter::v1::MiltersClient& milters,
                                                  filter::v1::DialogConnect connect, Deadline deadline,
                                                  filter::v1::DialogResponse& answer);
  MilterDialog() = default;

  bool wants(filter::v1::DialogEvent event) const { return wanted_.test(static_cast<std::size_t>(event)); }
  /// Nobody wants to hear anything more in this connection.
  bool over() const { return wanted_.none(); }
  /// What the milters' configuration says about a stream that breaks.
  bool accept_when_lost() const { return accept_when_lost_; }

  /// Tells of an event and waits for the answer.
  Task<filter::v1::DialogResponse> say(filter::v1::DialogRequest request);
  /// The transaction ends without its message.
  Task<void> abort();
  /// The message: the header block, and the body of `source` where somebody wants it.
  Task<filter::v1::DialogResponse> say_content(const MessageSource& source);
  /// The next response to the content, where there are more.
  Task<filter::v1::DialogResponse> more();

 private:
  using Stream = rpc::ClientStream<filter::v1::DialogRequest, filter::v1::DialogResponse>;
  Task<filter::v1::DialogResponse> hear(Deadline deadline);
  void note_wanted(const filter::v1::DialogResponse& response);

  std::unique_ptr<Stream> stream_;
  std::bitset<filter::v1::DialogEvent_ARRAYSIZE> wanted_;
  bool accept_when_lost_ = false;
};

}  // namespace merpati::smtp
