// The gRPC face of the store: each method takes the caller's context apart and calls the operation.
#pragma once

#include "merpati/store/v1/store.rpc.hpp"
#include "store/core.hpp"

namespace merpati::store {

class StoreService final : public v1::StoreService {
 public:
  explicit StoreService(Core& core) : core_(core) {}

  Task<v1::PutBlobResponse> put_blob(rpc::Context& context, rpc::Reader<v1::PutBlobRequest>& in) override;
  Task<v1::DeliverResponse> deliver(rpc::Context& context, const v1::DeliverRequest& request) override;
  Task<v1::CheckRoomResponse> check_room(rpc::Context& context, const v1::CheckRoomRequest& request) override;
  Task<v1::ResolveDeliveryResponse> resolve_delivery(rpc::Context& context,
                                                     const v1::ResolveDeliveryRequest& request) override;
  Task<v1::AppendResponse> append(rpc::Context& context, const v1::AppendRequest& request) override;
  Task<v1::ListMailboxesResponse> list_mailboxes(rpc::Context& context,
                                                 const v1::ListMailboxesRequest& request) override;
  Task<v1::CreateMailboxResponse> create_mailbox(rpc::Context& context,
                                                 const v1::CreateMailboxRequest& request) override;
  Task<v1::RenameMailboxResponse> rename_mailbox(rpc::Context& context,
                                                 const v1::RenameMailboxRequest& request) override;
  Task<v1::DeleteMailboxResponse> delete_mailbox(rpc::Context& context,
                                                 const v1::DeleteMailboxRequest& request) override;
  Task<v1::SetSubscribedResponse> set_subscribed(rpc::Context& context,
                                                 const v1::SetSubscribedRequest& request) override;
  Task<v1::GetStatusResponse> get_status(rpc::Context& context, const v1::GetStatusRequest& request) override;
  Task<v1::OpenMailboxResponse> open_mailbox(rpc::Context& context, const v1::OpenMailboxRequest& request) override;
  Task<v1::GetChangesResponse> get_changes(rpc::Context& context, const v1::GetChangesRequest& request) override;
  Task<void> fetch_messages(rpc::Context& context, const v1::FetchMessagesRequest& request,
                            rpc::Writer<v1::FetchMessagesResponse>& out) override;
  Task<v1::FetchMessagesResponse> read_messages(rpc::Context& context,
                                                const v1::FetchMessagesRequest& request) override;
  Task<v1::ReadContentResponse> read_content(rpc::Context& context, const v1::ReadContentRequest& request) override;
  Task<void> stream_content(rpc::Context& context, const v1::StreamContentRequest& request,
                            rpc::Writer<v1::StreamContentResponse>& out) override;
  Task<void> read_blob(rpc::Context& context, const v1::ReadBlobRequest& request,
                       rpc::Writer<v1::ReadBlobResponse>& out) override;
  Task<v1::KeepBlobResponse> keep_blob(rpc::Context& context, const v1::KeepBlobRequest& request) override;
  Task<v1::SearchResponse> search(rpc::Context& context, const v1::SearchRequest& request) override;
  Task<v1::GetQuotaResponse> get_quota(rpc::Context& context, const v1::GetQuotaRequest& request) override;
  Task<v1::StoreFlagsResponse> store_flags(rpc::Context& context, const v1::StoreFlagsRequest& request) override;
  Task<v1::ExpungeResponse> expunge(rpc::Context& context, const v1::ExpungeRequest& request) override;
  Task<v1::CopyMessagesResponse> copy_messages(rpc::Context& context, const v1::CopyMessagesRequest& request) override;
  Task<v1::CopyMessagesResponse> move_messages(rpc::Context& context, const v1::CopyMessagesRequest& request) override;
  Task<void> watch(rpc::Context& context, rpc::Reader<v1::WatchRequest>& in,
                   rpc::Writer<v1::WatchResponse>& out) override;
  Task<v1::LeaseMaildropResponse> lease_maildrop(rpc::Context& context,
                                                 const v1::LeaseMaildropRequest& request) override;
  Task<v1::RenewMaildropResponse> renew_maildrop(rpc::Context& context,
                                                 const v1::RenewMaildropRequest& request) override;
  Task<v1::CommitMaildropResponse> commit_maildrop(rpc::Context& context,
                                                   const v1::CommitMaildropRequest& request) override;
  Task<v1::PurgeAccountResponse> purge_account(rpc::Context& context, const v1::PurgeAccountRequest& request) override;

 private:
  Core& core_;
};

}  // namespace merpati::store
