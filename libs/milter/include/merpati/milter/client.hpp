// One connection to a milter: says what the SMTP client says, and hears what the milter thinks of it.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/milter/command.hpp"
#include "merpati/milter/response.hpp"

namespace merpati::milter {

struct Timeouts {
  std::chrono::milliseconds connect{5000};           ///< for negotiate()
  std::chrono::milliseconds command{30'000};         ///< for each answer up to data()
  std::chrono::milliseconds content{30'000};         ///< for each answer to fields and pieces of the body
  std::chrono::milliseconds end_of_message{60'000};  ///< for each answer at the end; SMFIR_PROGRESS gives it anew
};

/// One coroutine, one thread. Errors: kUnavailable (the milter is gone), kDeadlineExceeded, kInvalidArgument or
/// kFailedPrecondition (it breaks the protocol), kCancelled. After one the connection is of no use.
/// Each command answers kContinue at once when the milter does not want it, or never answers it.
class Client {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  Client(std::unique_ptr<Socket> socket, Timeouts timeouts) : socket_(std::move(socket)), timeouts_(timeouts) {}
  /// Says SMFIC_QUIT, if that needs no wait.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// First of all.
  Task<void> negotiate();
  const Options& options() const { return options_; }

  Task<Response> connect(const ClientInfo& client, const Macros& macros);
  Task<Response> helo(std::string_view name, const Macros& macros);
  Task<Response> mail(std::string_view reverse_path, const std::vector<std::string>& parameters, const Macros& macros);
  Task<Response> recipient(std::string_view address, const std::vector<std::string>& parameters, const Macros& macros);
  Task<Response> data(const Macros& macros);
  Task<Response> unknown(std::string_view line);
  /// `value`: what stands behind the colon, without the last line end.
  Task<Response> header(std::string_view name, std::string_view value);
  Task<Response> end_of_header(const Macros& macros);
  Task<Response> body(std::string_view chunk);
  /// Gives each change that the milter asks for to `change`, in order, and returns what becomes of the message. An
  /// error of `change` ends it. kFailedPrecondition for a change that the milter has not announced.
  using Change = std::function<Result<void>(const Response&)>;
  Task<Response> end_of_message(const Macros& macros, const Change& change, Deadline deadline);
  /// The message in hand does not come. No answer is expected.
  Task<void> abort();

 private:
  Task<Response> answer(std::uint32_t unanswered);
  Task<Response> content_answer(std::uint32_t unanswered);
  Task<void> flush(std::chrono::milliseconds timeout);
  Task<Response> hear(Deadline deadline);
  void macros(Command next, MacroStage stage, const Macros& values);

  std::unique_ptr<Socket> socket_;
  const Timeouts timeouts_;
  Options options_;
  std::string output_;  ///< what waits to be sent
  PacketReader input_;
  bool usable_ = true;
};

}  // namespace merpati::milter
