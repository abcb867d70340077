// The platform's processes: each replica is asked for its own status, all at once.
#include "admin/rpc/admin_service.hpp"
#include "merpati/base/wakeup.hpp"
#include "merpati/rpc/replica_channels.hpp"
#include "merpati/runtime/v1/status.rpc.hpp"

namespace merpati::admin {
namespace {

constexpr auto kOneAnswer = std::chrono::seconds(2);

/// What is asked of each, and who waits for the last answer. Lives as long as anybody uses it.
struct Round {
  v1::GetServicesResponse response;  ///< one row for each, made before anybody is asked
  std::size_t left = 0;
  Wakeup done;
};

std::string text_of(const Error& error) {
  if (!error.public_text().empty()) return error.public_text();
  std::string text(to_string(error.code()));
  return error.message().empty() ? text : text + ": " + error.message();
}

/// On the executor of the handler that began the round.
asio::awaitable<void> ask(std::shared_ptr<Round> round, int row, Channel channel, Deadline deadline) {
  runtime::v1::StatusClient client(std::move(channel));
  const runtime::v1::GetStatusRequest request;
  rpc::CallOptions options;
  options.deadline = deadline;
  auto status = co_await client.get_status(request, options);
  auto& service = *round->response.mutable_services(row);
  service.set_reachable(status.has_value());
  if (status.has_error())
    service.set_error(text_of(status.error()));
  else
    *service.mutable_status() = *std::move(status);
  if (--round->left == 0) round->done.notify();
}

}  // namespace

Task<v1::GetServicesResponse> AdminService::get_services(rpc::Context& context, const v1::GetServicesRequest&) {
  Act act{"GetServices", "", Act::Reach::kPlatform, false, {}};
  co_return co_await run(context, std::move(act), ask_services(context.deadline()));
}

Task<v1::GetServicesResponse> AdminService::ask_services(Deadline deadline) {
  auto round = std::make_shared<Round>();
  std::vector<Channel> channels;
  const auto add = [&](const std::string& name, const std::string& address, Channel channel) {
    auto& service = *round->response.add_services();
    service.set_service(name);
    service.set_address(address);
    channels.push_back(std::move(channel));
  };
  for (const auto& [name, channel] : status_) {
    auto replicas = rpc::replicas_of(*channel);
    for (auto& replica : replicas) add(name, replica.address, std::move(replica.channel));
    if (replicas.empty()) add(name, "", channel);
  }
  if (channels.empty()) co_return std::move(round->response);
  round->left = channels.size();
  const auto executor = co_await asio::this_coro::executor;
  const auto until = deadline.within(kOneAnswer);
  for (std::size_t i = 0; i < channels.size(); ++i)
    tasks_.spawn(executor, ask(round, static_cast<int>(i), std::move(channels[i]), until));
  MERPATI_CO_CHECK(co_await round->done.wait());
  co_return std::move(round->response);
}

}  // namespace merpati::admin
