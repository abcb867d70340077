// STORE (RFC 9051 6.4.6), with UNCHANGEDSINCE (RFC 7162 3.1.3).
#include "imap/announce.hpp"
#include "imap/flag_events.hpp"
#include "imap/session.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

pb::StoreFlagsRequest::Mode mode_of(StoreArguments::Mode mode) {
  switch (mode) {
    case StoreArguments::Mode::kAdd:
      return pb::StoreFlagsRequest::MODE_ADD;
    case StoreArguments::Mode::kRemove:
      return pb::StoreFlagsRequest::MODE_REMOVE;
    case StoreArguments::Mode::kReplace:
      break;
  }
  return pb::StoreFlagsRequest::MODE_REPLACE;
}

// Messages in one call: its answer names each of them, and a reply has a limit.
constexpr std::uint64_t kAtOnce = 10'000;

void write_changes(Session& session, const Command& command, const pb::StoreFlagsResponse& response) {
  const bool silent = command.get<StoreArguments>().silent;
  for (const auto* messages : {&response.changed(), &response.unchanged()}) {
    for (const auto& message : *messages) {
      const auto sequence = session.selected()->uids->sequence_of(message.uid());
      if (sequence == 0) continue;
      announce_keywords(session, message.keywords());
      // RFC 7162 3.1.3: MODSEQ is told even when the client asked for silence.
      if (!silent || session.condstore) append_flags_fetch(session, sequence, message, command.uid, !silent);
    }
  }
}

}  // namespace

Task<Reply> cmd_store(Session& session, const Command& command) {
  const auto& arguments = command.get<StoreArguments>();
  if (session.selected()->read_only) co_return no("READ-ONLY", "The mailbox is open read-only");
  const auto flags = parse_flags(arguments.flags);
  if (!flags) co_return bad("Unknown system flag");
  if (arguments.unchanged_since) session.enable_condstore();
  MERPATI_CO_TRY(auto uids, co_await session.resolve_fresh(arguments.set, command.uid));
  if (uids.empty()) co_return ok();
  auto& box = *session.selected();

  pb::StoreFlagsRequest request;
  request.set_account_id(session.account());
  request.set_mailbox_id(box.id);
  request.set_mode(mode_of(arguments.mode));
  request.set_flags(flags->bits);
  for (const auto& keyword : flags->keywords) request.add_keywords(keyword);
  if (arguments.unchanged_since) request.set_unchanged_since(*arguments.unchanged_since);

  Ranges rest = box.uids->select_uids(uids);
  const auto asked = count(rest);
  std::uint64_t answered = 0;
  Ranges modified;
  FlagEvents events(session);
  MERPATI_CO_CHECK(co_await events.expect(rest));
  while (!rest.empty()) {
    request.clear_uids();
    to_proto(take_front(rest, kAtOnce), request.mutable_uids());
    auto changed = co_await session.store().store_flags(request, session.call_options());
    if (changed.has_error()) {
      MERPATI_CO_CHECK(co_await events.tell());
      co_return std::move(changed).error();
    }
    const auto& response = *changed;
    events.changed(response.changed());
    remember_own_changes(box, response);
    answered +=
        static_cast<std::uint64_t>(response.changed_size()) + static_cast<std::uint64_t>(response.unchanged_size());
    const auto more = from_proto(response.modified());
    modified.insert(modified.end(), more.begin(), more.end());
    write_changes(session, command, response);
    MERPATI_CO_CHECK(co_await session.relieve());
  }
  MERPATI_CO_CHECK(co_await events.tell());
  answered += count(modified);
  if (!modified.empty()) {
    normalize(modified);
    co_return ok("MODIFIED " + format_ranges(command.uid ? modified : box.uids->to_sequences(modified)),
                 "Conditional STORE failed for some");
  }
  // RFC 2180 4.2.1: the client names messages by number, and some are gone.
  if (!command.uid && answered < asked) co_return no("EXPUNGEISSUED", "Some of the messages no longer exist");
  co_return ok();
}

}  // namespace merpati::imap
