#include "queue/held_items.hpp"

#include "merpati/base/fail_point.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::queue {

Task<std::size_t> resolve_held(Repository& repository, std::shared_ptr<rpc::Channel> store,
                               std::chrono::nanoseconds age) {
  const auto deadline = [] { return Deadline::after(std::chrono::seconds(30)); };
  MERPATI_CO_TRY(const auto held, co_await repository.held_longer_than(age, deadline()));
  std::size_t released = 0;
  store::v1::StoreClient client(store);
  for (const HeldDelivery& delivery : held) {
    store::v1::ResolveDeliveryRequest request;
    request.set_delivery_id(delivery.delivery_id);
    request.set_account_id_of_recipient(delivery.deciding_account_id);
    rpc::CallOptions options;
    options.deadline = deadline();
    options.cell = delivery.cell;
    MERPATI_CO_TRY(const auto response, co_await client.resolve_delivery(request, options));
    MERPATI_CO_FAIL_POINT("queue_held_resolved");
    log::info("queue_held_resolved",
              response.committed() ? "The delivery was committed" : "The delivery was not committed",
              {{"delivery_id", delivery.delivery_id}});
    if (response.committed()) {
      MERPATI_CO_CHECK(co_await repository.release(delivery.delivery_id, deadline()));
      ++released;
    } else {
      MERPATI_CO_CHECK(co_await repository.drop_held(delivery.delivery_id, deadline()));
    }
  }
  co_return released;
}

}  // namespace merpati::queue
