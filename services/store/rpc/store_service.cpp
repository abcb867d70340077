#include "store/rpc/store_service.hpp"

#include "merpati/auth/v1/token.pb.h"
#include "store/flag_changes.hpp"
#include "store/operations.hpp"
#include "store/status_reader.hpp"

namespace merpati::store {
namespace {

Caller caller_of(const rpc::Context& context) {
  Caller caller{context.deadline(), context.trace_id(), context.trace(), 0, 0};
  if (const auto* claims = context.claims()) {
    caller.quota_bytes = claims->quota_bytes();
    caller.quota_messages = claims->quota_messages();
  }
  return caller;
}

}  // namespace

// Every method: the caller's part of the context, then the operation. The coroutine keeps `caller` alive.
#define MERPATI_STORE_METHOD(method, Request, Response, operation)                             \
  Task<v1::Response> StoreService::method(rpc::Context& context, const v1::Request& request) { \
    const auto caller = caller_of(context);                                                    \
    co_return co_await operation;                                                              \
  }

MERPATI_STORE_METHOD(deliver, DeliverRequest, DeliverResponse, store::deliver(core_, caller, request))
MERPATI_STORE_METHOD(check_room, CheckRoomRequest, CheckRoomResponse, store::check_room(core_, caller, request))
MERPATI_STORE_METHOD(resolve_delivery, ResolveDeliveryRequest, ResolveDeliveryResponse,
                     store::resolve_delivery(core_, caller, request))
MERPATI_STORE_METHOD(append, AppendRequest, AppendResponse, store::append(core_, caller, request))
MERPATI_STORE_METHOD(list_mailboxes, ListMailboxesRequest, ListMailboxesResponse,
                     store::list_mailboxes(core_, caller, request))
MERPATI_STORE_METHOD(create_mailbox, CreateMailboxRequest, CreateMailboxResponse,
                     store::create_mailbox(core_, caller, request))
MERPATI_STORE_METHOD(rename_mailbox, RenameMailboxRequest, RenameMailboxResponse,
                     store::rename_mailbox(core_, caller, request))
MERPATI_STORE_METHOD(delete_mailbox, DeleteMailboxRequest, DeleteMailboxResponse,
                     store::delete_mailbox(core_, caller, request))
MERPATI_STORE_METHOD(set_subscribed, SetSubscribedRequest, SetSubscribedResponse,
                     store::set_subscribed(core_, caller, request))
MERPATI_STORE_METHOD(get_status, GetStatusRequest, GetStatusResponse,
                     core_.status_reader->read(request, caller.deadline))
MERPATI_STORE_METHOD(open_mailbox, OpenMailboxRequest, OpenMailboxResponse, store::open_mailbox(core_, caller, request))
MERPATI_STORE_METHOD(get_changes, GetChangesRequest, GetChangesResponse, store::get_changes(core_, caller, request))
MERPATI_STORE_METHOD(read_messages, FetchMessagesRequest, FetchMessagesResponse,
                     store::read_messages(core_, caller, request))
MERPATI_STORE_METHOD(read_content, ReadContentRequest, ReadContentResponse, store::read_content(core_, caller, request))
MERPATI_STORE_METHOD(keep_blob, KeepBlobRequest, KeepBlobResponse, store::keep_blob(core_, caller, request))
MERPATI_STORE_METHOD(search, SearchRequest, SearchResponse, store::search(core_, caller, request))
MERPATI_STORE_METHOD(get_quota, GetQuotaRequest, GetQuotaResponse, store::get_quota(core_, caller, request))
MERPATI_STORE_METHOD(store_flags, StoreFlagsRequest, StoreFlagsResponse,
                     core_.flag_changes->store(request, caller.deadline))
MERPATI_STORE_METHOD(expunge, ExpungeRequest, ExpungeResponse, store::expunge(core_, caller, request))
MERPATI_STORE_METHOD(copy_messages, CopyMessagesRequest, CopyMessagesResponse,
                     store::transfer_messages(core_, caller, request, Transfer::kCopy))
MERPATI_STORE_METHOD(move_messages, CopyMessagesRequest, CopyMessagesResponse,
                     store::transfer_messages(core_, caller, request, Transfer::kMove))
MERPATI_STORE_METHOD(lease_maildrop, LeaseMaildropRequest, LeaseMaildropResponse,
                     store::lease_maildrop(core_, caller, request))
MERPATI_STORE_METHOD(renew_maildrop, RenewMaildropRequest, RenewMaildropResponse,
                     store::renew_maildrop(core_, caller, request))
MERPATI_STORE_METHOD(commit_maildrop, CommitMaildropRequest, CommitMaildropResponse,
                     store::commit_maildrop(core_, caller, request))
#undef MERPATI_STORE_METHOD

Task<v1::PutBlobResponse> StoreService::put_blob(rpc::Context& context, rpc::Reader<v1::PutBlobRequest>& in) {
  const auto caller = caller_of(context);
  co_return co_await store::put_blob(core_, caller, in);
}

Task<void> StoreService::fetch_messages(rpc::Context& context, const v1::FetchMessagesRequest& request,
                                        rpc::Writer<v1::FetchMessagesResponse>& out) {
  const auto caller = caller_of(context);
  co_return co_await store::fetch_messages(core_, caller, request, out);
}

Task<void> StoreService::read_blob(rpc::Context& context, const v1::ReadBlobRequest& request,
                                   rpc::Writer<v1::ReadBlobResponse>& out) {
  const auto caller = caller_of(context);
  co_return co_await store::read_blob(core_, caller, request, out);
}

Task<void> StoreService::stream_content(rpc::Context& context, const v1::StreamContentRequest& request,
                                        rpc::Writer<v1::StreamContentResponse>& out) {
  const auto caller = caller_of(context);
  co_return co_await store::stream_content(core_, caller, request, out);
}

Task<void> StoreService::watch(rpc::Context&, rpc::Reader<v1::WatchRequest>& in, rpc::Writer<v1::WatchResponse>& out) {
  co_return co_await store::watch(core_, in, out);
}

Task<v1::PurgeAccountResponse> StoreService::purge_account(rpc::Context& context,
                                                           const v1::PurgeAccountRequest& request) {
  const auto caller = caller_of(context);
  MERPATI_CO_CHECK(co_await store::purge_account(core_, caller, request.account_id()));
  co_return v1::PurgeAccountResponse();
}

}  // namespace merpati::store
