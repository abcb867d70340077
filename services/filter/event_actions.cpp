#include "filter/event_actions.hpp"

#include <algorithm>

#include "filter/compose.hpp"
#include "filter/event_flags.hpp"
#include "filter/forwarding.hpp"
#include "filter/message_checks.hpp"
#include "filter/store_upload.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/header_edit.hpp"
#include "merpati/queue/v1/queue.rpc.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::filter {
namespace {

/// Where a redirect goes; not to where the message was before, nor to its owner.
std::vector<std::string> destinations(const sieve::Redirect& to, const DeliveryWorld& world,
                                      const EventTarget& target) {
  const auto header = target.octets.substr(0, target.header_size);
  std::vector<std::string> out{to.address};
  if (!to.list.empty()) out = world.lists->members(to.list);
  std::erase_if(out, [&](const std::string& address) {
    return !can_be_sent_to(address) || mime::iequals(address, target.address) || goes_round(header, address);
  });
  return out;
}

/// RFC 6785 3: without a keep the message is marked as deleted.
const sieve::Keep* keep_of(const sieve::Outcome& outcome) {
  for (const auto& action : outcome.actions)
    if (const auto* keep = std::get_if<sieve::Keep>(&action.what)) return keep;
  return nullptr;
}

/// As at a delivery, a redirect that goes nowhere keeps.
bool is_kept_anyway(const sieve::Outcome& outcome, const DeliveryWorld& world, const EventTarget& target) {
  return std::ranges::any_of(outcome.actions, [&](const sieve::Action& action) {
    const auto* to = std::get_if<sieve::Redirect>(&action.what);
    return to != nullptr && destinations(*to, world, target).empty();
  });
}

std::string in_version(const sieve::Version& version, const EventTarget& target) {
  std::string out = version.header.empty() ? std::string(target.octets.substr(0, target.header_size)) : version.header;
  return version.body ? out + *version.body : out.append(target.octets.substr(target.header_size));
}

/// INBOX has one spelling (RFC 9051 5.1).
std::string mailbox_of(const sieve::Filing& into, const DeliveryWorld& world) {
  auto mailbox = world.name_of(into);
  return mime::iequals(mailbox, "INBOX") ? "INBOX" : mailbox;
}

Error not_whole() { return Error(ErrorCode::kResourceExhausted, "the message is larger than filter.max_scanned_size"); }

Occasion occasion_of(const DeliveryWorld& world, const EventTarget& target, const std::string& host) {
  return {host,
          target.address,
          {},
          target.octets.substr(0, target.header_size),
          target.whole ? target.octets : std::string_view(),
          world.at};
}

}  // namespace

Task<void> EventActions::apply(const sieve::Outcome& outcome, const DeliveryWorld& world, const EventTarget& target) {
  for (const auto& action : outcome.actions)
    if (std::holds_alternative<sieve::FileInto>(action.what))
      MERPATI_CO_CHECK(co_await file(outcome, action, world, target));
  for (const auto& action : outcome.actions) {
    if (std::holds_alternative<sieve::Redirect>(action.what))
      MERPATI_CO_CHECK(co_await redirect(outcome, action, world, target));
    if (const auto* note = std::get_if<sieve::Notify>(&action.what))
      MERPATI_CO_CHECK(co_await notify(*note, world, target));
    if (const auto* report = std::get_if<sieve::Report>(&action.what)) {
      auto message = compose_report(*report, occasion_of(world, target, host_));
      MERPATI_CO_CHECK(co_await send(target.address, {report->to}, std::move(message), target));
    }
  }
  if (const auto* keep = keep_of(outcome))
    co_return co_await change_flags(target.mailbox_id, target.uid, target.flags, keep->flags, target);
  if (is_kept_anyway(outcome, world, target)) co_return Result<void>();
  const std::vector<std::string> none, deleted{"\\Deleted"};
  co_return co_await change_flags(target.mailbox_id, target.uid, none, deleted, target);
}

Task<void> EventActions::file(const sieve::Outcome& outcome, const sieve::Action& action, const DeliveryWorld& world,
                              const EventTarget& target) {
  const auto& into = std::get<sieve::FileInto>(action.what).into;
  auto mailbox = mailbox_of(into, world);
  if (action.version == 0) co_return co_await copy(into, std::move(mailbox), target);
  if (!target.whole) co_return not_whole();
  co_return co_await append(into, std::move(mailbox), in_version(outcome.versions[action.version], target), target);
}

Task<void> EventActions::copy(const sieve::Filing& into, std::string mailbox, const EventTarget& target) {
  store::v1::CopyMessagesRequest request;
  request.set_account_id(target.call.account_id);
  request.set_mailbox_id(target.mailbox_id);
  add_uid(target.uid, *request.mutable_uids());
  request.set_to(mailbox);
  store::v1::StoreClient store(store_);
  auto copied = co_await store.copy_messages(request, target.call);
  if (copied.has_error() && copied.error().code() == ErrorCode::kNotFound && into.create) {
    MERPATI_CO_CHECK(co_await create(std::move(mailbox), target));
    copied = co_await store.copy_messages(request, target.call);
  }
  if (copied.has_error()) co_return std::move(copied).error();
  if (copied->target().empty()) co_return Error(ErrorCode::kNotFound, "the message is gone");
  co_return co_await change_flags(copied->mailbox_id(), copied->target(0).first(), target.flags, into.flags, target);
}

Task<void> EventActions::append(const sieve::Filing& into, std::string mailbox, std::string octets,
                                const EventTarget& target) {
  store::v1::AppendRequest request;
  request.set_account_id(target.call.account_id);
  request.set_request_id(new_uuid());
  request.set_mailbox(mailbox);
  auto& message = *request.add_messages();
  MERPATI_CO_TRY(*message.mutable_body(), co_await body_of(store_, std::move(octets), target.call));
  for (const auto& flag : into.flags) message.add_flags(flag);
  message.set_received_at_ms(target.received_at_ms);
  message.set_received_zone_minutes(target.zone_minutes);
  store::v1::StoreClient store(store_);
  auto appended = co_await store.append(request, target.call);
  if (appended.has_error() && appended.error().code() == ErrorCode::kNotFound && into.create) {
    MERPATI_CO_CHECK(co_await create(std::move(mailbox), target));
    appended = co_await store.append(request, target.call);
  }
  if (appended.has_error()) co_return std::move(appended).error();
  co_return Result<void>();
}

Task<void> EventActions::create(std::string mailbox, const EventTarget& target) {
  store::v1::CreateMailboxRequest request;
  request.set_account_id(target.call.account_id);
  request.set_name(std::move(mailbox));
  store::v1::StoreClient store(store_);
  auto created = co_await store.create_mailbox(request, target.call);
  if (created.has_error() && created.error().code() != ErrorCode::kAlreadyExists) co_return std::move(created).error();
  co_return Result<void>();
}

/// Only what the script changed: what others do with the message meanwhile stays.
Task<void> EventActions::change_flags(std::int64_t mailbox, std::uint32_t uid, const std::vector<std::string>& before,
                                      const std::vector<std::string>& after, const EventTarget& target) {
  const std::pair<store::v1::StoreFlagsRequest::Mode, std::vector<std::string>> changes[] = {
      {store::v1::StoreFlagsRequest::MODE_ADD, flags_without(after, before)},
      {store::v1::StoreFlagsRequest::MODE_REMOVE, flags_without(before, after)}};
  for (const auto& [mode, flags] : changes) {
    if (flags.empty()) continue;
    store::v1::StoreFlagsRequest request;
    request.set_account_id(target.call.account_id);
    request.set_mailbox_id(mailbox);
    add_uid(uid, *request.mutable_uids());
    request.set_mode(mode);
    for (const auto& flag : flags) {
      if (const auto bit = flag_bit(flag); bit != 0)
        request.set_flags(request.flags() | bit);
      else
        request.add_keywords(flag);
    }
    store::v1::StoreClient store(store_);
    MERPATI_CO_CHECK(co_await store.store_flags(request, target.call));
  }
  co_return Result<void>();
}

/// RFC 6785 3.4: as if the mailbox's owner submitted it, with what it lacks for that.
Task<void> EventActions::redirect(const sieve::Outcome& outcome, const sieve::Action& action,
                                  const DeliveryWorld& world, const EventTarget& target) {
  auto recipients = destinations(std::get<sieve::Redirect>(action.what), world, target);
  if (recipients.empty()) co_return Result<void>();
  if (!target.whole) co_return not_whole();
  auto octets = action.version == 0 ? std::string(target.octets) : in_version(outcome.versions[action.version], target);
  const auto size = mime::header_block_size(octets);
  // RFC 5321 4.4: Return-Path is for who delivers.
  const mime::HeaderEdit edits[] = {{mime::HeaderEdit::Kind::kDelete, "Return-Path", 0, {}}};
  std::string header = "Delivered-To: " + target.address + "\r\n";
  header += mime::edit_header_block(std::string_view(octets).substr(0, size), edits);
  const auto lacks = [&](const char* name) { return mime::count_fields(header, name) == 0; };
  std::string more;
  if (lacks("From")) more += "From: <" + target.address + ">\r\n";
  if (lacks("Date")) more += "Date: " + mime::format_date({world.at, 0}) + "\r\n";
  if (lacks("Message-ID")) more += "Message-ID: <" + new_uuid() + "@" + host_ + ">\r\n";
  co_return co_await send(target.address, std::move(recipients), more + header + octets.substr(size), target);
}

Task<void> EventActions::notify(const sieve::Notify& note, const DeliveryWorld& world, const EventTarget& target) {
  auto message = compose_notification(note, occasion_of(world, target, host_));
  if (note.fcc) {
    MERPATI_CO_CHECK(co_await append(*note.fcc, mailbox_of(*note.fcc, world), message, target));
  }
  co_return co_await send({}, note.recipients, std::move(message), target);
}

Task<void> EventActions::send(std::string reverse_path, std::vector<std::string> recipients, std::string message,
                              const EventTarget& target) {
  std::erase_if(recipients, [](const std::string& one) { return !can_be_sent_to(one); });
  if (recipients.empty()) co_return Result<void>();
  if (!queue_) co_return Error(ErrorCode::kFailedPrecondition, "the queue is not known here");
  queue::v1::EnqueueRequest request;
  request.set_delivery_id(new_uuid());
  request.set_reverse_path(std::move(reverse_path));
  bool utf8 = !mime::is_ascii(std::string_view(message).substr(0, mime::header_block_size(message)));
  for (auto& one : recipients) {
    utf8 = utf8 || !mime::is_ascii(one);
    request.add_recipients()->set_address(std::move(one));
  }
  request.set_body_type(mime::is_ascii(message) ? "7BIT" : "8BITMIME");
  request.set_smtputf8(utf8);
  request.set_sender_account_id(target.call.account_id);
  request.set_trace_id(target.trace_id());
  request.set_received_at_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(WallTime::clock::now().time_since_epoch()).count());
  request.set_cell(target.call.cell);
  MERPATI_CO_TRY(*request.mutable_body(), co_await body_of(store_, std::move(message), target.call));
  auto call = target.call;
  call.token.clear();
  queue::v1::QueueClient queue(queue_);
  MERPATI_CO_CHECK(co_await queue.enqueue(request, call));
  co_return Result<void>();
}

}  // namespace merpati::filter
