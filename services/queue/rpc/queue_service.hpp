// merpati.queue.v1.Queue: converts between the contract and the repository.
#pragma once

#include <functional>
#include <memory>

#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/trace/recorder.hpp"
#include "queue/repository.hpp"

namespace merpati::queue {

class QueueService : public v1::QueueService {
 public:
  /// `wake` is called after something became due. `store` may be null: bodies must then be inline.
  QueueService(Repository& repository, std::shared_ptr<rpc::Channel> store, std::chrono::nanoseconds keep_blobs,
               std::function<void()> wake, trace::Recorder* events);

  Task<v1::EnqueueResponse> enqueue(rpc::Context&, const v1::EnqueueRequest&) override;
  Task<v1::ReleaseResponse> release(rpc::Context&, const v1::ReleaseRequest&) override;
  Task<v1::DropResponse> drop(rpc::Context&, const v1::DropRequest&) override;
  Task<v1::ListItemsResponse> list_items(rpc::Context&, const v1::ListItemsRequest&) override;
  Task<v1::Item> get_item(rpc::Context&, const v1::GetItemRequest&) override;
  Task<v1::RetryItemsResponse> retry_items(rpc::Context&, const v1::RetryItemsRequest&) override;
  Task<v1::DropItemsResponse> drop_items(rpc::Context&, const v1::DropItemsRequest&) override;

 private:
  Task<NewMessage> make_message(const v1::EnqueueRequest& request, std::string trace_id, Deadline deadline);
  Task<std::uint64_t> keep_blob(std::string blob_id, std::string cell, Deadline deadline);
  void tell_enqueued(const std::vector<NewMessage>& messages, const Enqueued& done, bool held);
  void tell(trace::v1::Kind kind, const std::string& trace_id, const std::string& delivery_id);

  Repository& repository_;
  std::shared_ptr<rpc::Channel> store_;
  std::chrono::nanoseconds keep_blobs_;
  std::function<void()> wake_;
  trace::Recorder* const events_;  ///< null: no events of messages' lives are kept
};

}  // namespace merpati::queue
