#include "smtp/milter_dialog.hpp"

namespace merpati::smtp {
namespace {

using namespace std::chrono_literals;
using filter::v1::DialogRequest;
using filter::v1::DialogResponse;

// The filter's milters have times of their own; these are only for a filter that forgets. RFC 5321 4.5.3.2: clients
// wait 5 minutes for a command and 10 for the end of a message.
constexpr auto kOneCommand = 5min;
constexpr auto kOneMessage = 9min;
constexpr std::size_t kPart = 256 * 1024;  // octets of content in one request

}  // namespace

Task<std::unique_ptr<MilterDialog>> MilterDialog::open(const filter::v1::MiltersClient& milters,
                                                       filter::v1::DialogConnect connect, Deadline deadline,
                                                       DialogResponse& answer) {
  auto dialog = std::make_unique<MilterDialog>();
  const rpc::CallOptions options;
  MERPATI_CO_TRY(dialog->stream_, co_await with_deadline(milters.dialog(options), deadline));
  DialogRequest request;
  *request.mutable_connect() = std::move(connect);
  MERPATI_CO_CHECK(co_await with_deadline(dialog->stream_->write(std::move(request)), deadline));
  MERPATI_CO_TRY(answer, co_await dialog->hear(deadline.within(kOneCommand)));
  dialog->note_wanted(answer);
  co_return dialog;
}

void MilterDialog::note_wanted(const DialogResponse& response) {
  wanted_.reset();
  for (const int event : response.wanted())
    if (event > 0 && static_cast<std::size_t>(event) < wanted_.size()) wanted_.set(static_cast<std::size_t>(event));
  accept_when_lost_ = response.accept_when_lost();
}

Task<DialogResponse> MilterDialog::hear(Deadline deadline) {
  MERPATI_CO_TRY(auto response, co_await with_deadline(stream_->read(), deadline));
  if (!response) co_return Error(ErrorCode::kUnavailable, "the filter has ended the dialog");
  co_return *std::move(response);
}

Task<DialogResponse> MilterDialog::say(DialogRequest request) {
  const bool settles = request.has_hello() || request.has_mail();
  const auto deadline = Deadline::after(kOneCommand);
  MERPATI_CO_CHECK(co_await with_deadline(stream_->write(std::move(request)), deadline));
  MERPATI_CO_TRY(auto response, co_await hear(deadline));
  if (settles) note_wanted(response);
  co_return response;
}

Task<void> MilterDialog::abort() {
  DialogRequest request;
  request.mutable_abort();
  co_return co_await with_deadline(stream_->write(std::move(request)), Deadline::after(kOneCommand));
}

Task<DialogResponse> MilterDialog::say_content(const MessageSource& source) {
  const auto deadline = Deadline::after(kOneMessage);
  const bool body = wants(filter::v1::DIALOG_EVENT_BODY);
  DialogRequest request;
  request.mutable_content()->set_header(std::string(source.header()));
  request.mutable_content()->set_size(source.size());
  for (std::uint64_t taken = 0;;) {
    if (body) {
      MERPATI_CO_TRY(auto part, co_await source.read_body(taken, kPart));
      taken += part.size();
      request.mutable_content()->set_body(std::move(part));
    }
    const bool last = !body || taken >= source.body_size();
    request.mutable_content()->set_last(last);
    MERPATI_CO_CHECK(co_await with_deadline(stream_->write(std::move(request)), deadline));
    if (last) break;
    request = DialogRequest();
  }
  MERPATI_CO_TRY(auto response, co_await hear(deadline));
  note_wanted(response);
  co_return response;
}

Task<DialogResponse> MilterDialog::more() { co_return co_await hear(Deadline::after(kOneCommand)); }

}  // namespace merpati::smtp
