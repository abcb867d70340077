// Outbound mail: owned by queue.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {
namespace {

std::string items_text(const google::protobuf::RepeatedField<std::int64_t>& ids, const std::string& domain) {
  if (ids.empty()) return domain.empty() ? "all" : domain;
  std::string text;
  for (const auto id : ids) {
    if (text.size() > 200) return text + " ...";
    text += (text.empty() ? "" : " ") + std::to_string(id);
  }
  return text;
}

}  // namespace

Task<queue::v1::ListItemsResponse> AdminService::list_queue(rpc::Context& context,
                                                            const queue::v1::ListItemsRequest& request) {
  return pass(context, Act{"ListQueue", "", Act::Reach::kPlatform, false, {}}, queue_, &Queue::list_items, request);
}

Task<queue::v1::Item> AdminService::get_queue_item(rpc::Context& context, const queue::v1::GetItemRequest& request) {
  return pass(context, Act{"GetQueueItem", std::to_string(request.item_id()), Act::Reach::kPlatform, false, {}}, queue_,
              &Queue::get_item, request);
}

Task<queue::v1::RetryItemsResponse> AdminService::retry_queue(rpc::Context& context,
                                                              const queue::v1::RetryItemsRequest& request) {
  return pass(context,
              Act{"RetryQueue", items_text(request.item_ids(), request.domain()), Act::Reach::kPlatform, true, {}},
              queue_, &Queue::retry_items, request);
}

Task<queue::v1::DropItemsResponse> AdminService::drop_queue(rpc::Context& context,
                                                            const queue::v1::DropItemsRequest& request) {
  return pass(context, Act{"DropQueue", items_text(request.item_ids(), "none"), Act::Reach::kPlatform, true, {}},
              queue_, &Queue::drop_items, request);
}

}  // namespace merpati::admin
