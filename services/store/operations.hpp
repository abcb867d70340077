// The store's operations, one file each: a request in the contract's form gives its answer. They run on the caller's
// loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "merpati/rpc/reader_writer.hpp"
#include "merpati/store/v1/store.pb.h"
#include "store/core.hpp"

namespace merpati::store {

// Mail in: deliver.cpp, append.cpp, put_blob.cpp
Task<v1::DeliverResponse> deliver(Core& core, const Caller& caller, const v1::DeliverRequest& request);
Task<v1::CheckRoomResponse> check_room(Core& core, const Caller& caller, const v1::CheckRoomRequest& request);
Task<v1::ResolveDeliveryResponse> resolve_delivery(Core& core, const Caller& caller,
                                                   const v1::ResolveDeliveryRequest& request);
Task<v1::AppendResponse> append(Core& core, const Caller& caller, const v1::AppendRequest& request);
Task<v1::PutBlobResponse> put_blob(Core& core, const Caller& caller, rpc::Reader<v1::PutBlobRequest>& in);

// Blobs without a message: blob.cpp
Task<void> read_blob(Core& core, const Caller& caller, const v1::ReadBlobRequest& request,
                     rpc::Writer<v1::ReadBlobResponse>& out);
Task<v1::KeepBlobResponse> keep_blob(Core& core, const Caller& caller, const v1::KeepBlobRequest& request);

// The tree: tree.cpp
Task<v1::ListMailboxesResponse> list_mailboxes(Core& core, const Caller& caller,
                                               const v1::ListMailboxesRequest& request);
Task<v1::CreateMailboxResponse> create_mailbox(Core& core, const Caller& caller,
                                               const v1::CreateMailboxRequest& request);
Task<v1::RenameMailboxResponse> rename_mailbox(Core& core, const Caller& caller,
                                               const v1::RenameMailboxRequest& request);
Task<v1::DeleteMailboxResponse> delete_mailbox(Core& core, const Caller& caller,
                                               const v1::DeleteMailboxRequest& request);
Task<v1::SetSubscribedResponse> set_subscribed(Core& core, const Caller& caller,
                                               const v1::SetSubscribedRequest& request);
Task<v1::GetQuotaResponse> get_quota(Core& core, const Caller& caller, const v1::GetQuotaRequest& request);
Task<void> purge_account(Core& core, const Caller& caller, std::int64_t account);

// Reading: snapshot.cpp, fetch.cpp, content.cpp, search.cpp
Task<v1::OpenMailboxResponse> open_mailbox(Core& core, const Caller& caller, const v1::OpenMailboxRequest& request);
Task<v1::GetChangesResponse> get_changes(Core& core, const Caller& caller, const v1::GetChangesRequest& request);
Task<void> fetch_messages(Core& core, const Caller& caller, const v1::FetchMessagesRequest& request,
                          rpc::Writer<v1::FetchMessagesResponse>& out);
Task<v1::FetchMessagesResponse> read_messages(Core& core, const Caller& caller,
                                              const v1::FetchMessagesRequest& request);
Task<v1::ReadContentResponse> read_content(Core& core, const Caller& caller, const v1::ReadContentRequest& request);
Task<void> stream_content(Core& core, const Caller& caller, const v1::StreamContentRequest& request,
                          rpc::Writer<v1::StreamContentResponse>& out);

Task<v1::SearchResponse> search(Core& core, const Caller& caller, const v1::SearchRequest& request);

// Changing: change.cpp (flags: flag_changes.hpp)
Task<v1::ExpungeResponse> expunge(Core& core, const Caller& caller, const v1::ExpungeRequest& request);
enum class Transfer { kCopy, kMove };
Task<v1::CopyMessagesResponse> transfer_messages(Core& core, const Caller& caller,
                                                 const v1::CopyMessagesRequest& request, Transfer how);

// Events: watch.cpp
Task<void> watch(Core& core, rpc::Reader<v1::WatchRequest>& in, rpc::Writer<v1::WatchResponse>& out);

// POP3: maildrop.cpp
Task<v1::LeaseMaildropResponse> lease_maildrop(Core& core, const Caller& caller,
                                               const v1::LeaseMaildropRequest& request);
Task<v1::RenewMaildropResponse> renew_maildrop(Core& core, const Caller& caller,
                                               const v1::RenewMaildropRequest& request);
Task<v1::CommitMaildropResponse> commit_maildrop(Core& core, const Caller& caller,
                                                 const v1::CommitMaildropRequest& request);

/// `name` in NFC. kInvalidArgument unless it may be a mailbox's name: UTF-8 without controls, no empty level, at most
/// 255 octets a level and 1,000 in all; "INBOX" in any case becomes "INBOX".
Result<std::string> normal_name(std::string_view name);

/// Unix milliseconds as INTERNALDATE; 0 is now, and what lies outside of the years 1700 to 2200 is brought inside.
WallTime received_time(std::int64_t milliseconds);

}  // namespace merpati::store
