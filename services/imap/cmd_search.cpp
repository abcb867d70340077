// SEARCH (RFC 9051 6.4.4), ESEARCH (RFC 4731), SEARCHRES (RFC 5182), MODSEQ (RFC 7162 3.1.5).
#include "imap/convert.hpp"
#include "imap/row_reader.hpp"
#include "imap/session.hpp"
#include "merpati/imap/mailbox_name.hpp"
#include "merpati/store/v1/store.rpc.hpp"

namespace merpati::imap {
namespace {

using Kind = SearchKey::Kind;

struct Translation {
  Session& session;
  const std::string& charset;

  Result<void> text(const std::string& raw, std::string* out) const {
    auto utf8 = to_utf8(charset, raw);
    if (!utf8 || !is_utf8(*utf8))
      return Error(ErrorCode::kInvalidArgument, "search text").with_public("The text does not fit its charset");
    *out = *std::move(utf8);
    return {};
  }
  Result<void> all(const std::vector<SearchKey>& keys, pb::SearchKeys* out) const {
    for (const auto& key : keys) MERPATI_CHECK(one(key, out->add_keys()));
    return {};
  }
  Result<void> uids(const SearchKey& key, pb::SearchKey* out) const {
    // A sequence number that no message has matches nothing: in SEARCH it is no error.
    const auto& view = *session.selected()->uids;
    Ranges ranges;
    if (key.kind == Kind::kUid || key.set.is_saved_result()) {
      MERPATI_TRY(ranges, session.resolve(key.set, true));
    } else {
      ranges = view.select_sequences(key.set.resolve(view.size()));
    }
    to_proto(ranges, out->mutable_uids()->mutable_ranges());
    return {};
  }
  Result<void> one(const SearchKey& key, pb::SearchKey* out) const {
    const auto day = static_cast<std::int64_t>(key.number);
    switch (key.kind) {
      case Kind::kAll:
        out->set_all(true);
        return {};
      case Kind::kAnd:
        return all(key.children, out->mutable_and_());
      case Kind::kOr:
        return all(key.children, out->mutable_or_());
      case Kind::kNot:
        return one(key.children.front(), out->mutable_not_());
      case Kind::kSequence:
      case Kind::kUid:
        return uids(key, out);
      case Kind::kFlag:
        return flag(key, out);
      case Kind::kRecent: {
        const auto& box = *session.selected();
        auto* either = out->mutable_or_();
        to_proto(box.recent, either->add_keys()->mutable_uids()->mutable_ranges());
        either->add_keys()->set_recent_from_uid(box.uids->largest() + 1);  // not announced yet
        return {};
      }
      case Kind::kHeader:
        out->mutable_header()->set_name(key.name);
        return text(key.text, out->mutable_header()->mutable_value());
      case Kind::kBody:
        return text(key.text, out->mutable_body());
      case Kind::kText:
        return text(key.text, out->mutable_text());
      case Kind::kBefore:
        out->set_received_before_day(day);
        return {};
      case Kind::kOn:
        out->set_received_on_day(day);
        return {};
      case Kind::kSince:
        out->set_received_since_day(day);
        return {};
      case Kind::kSentBefore:
        out->set_sent_before_day(day);
        return {};
      case Kind::kSentOn:
        out->set_sent_on_day(day);
        return {};
      case Kind::kSentSince:
        out->set_sent_since_day(day);
        return {};
      case Kind::kLarger:
        out->set_larger(key.number);
        return {};
      case Kind::kSmaller:
        out->set_smaller(key.number);
        return {};
      case Kind::kModSeq:
        out->set_modseq_at_least(key.number);
        return {};
    }
    return Error(ErrorCode::kInternal, "search key without a translation");
  }
  Result<void> flag(const SearchKey& key, pb::SearchKey* out) const {
    const auto bit = flag_bit(key.text);
    if (bit != 0) {
      out->set_flags_set(bit);
    } else {
      out->set_keyword(key.text);
    }
    return {};
  }
};

// MODSEQ in ESEARCH is that of the messages the response names (RFC 4731 3.2).
Task<std::uint64_t> highest_modseq_of(Session& session, Ranges uids) {
  pb::FetchMask mask;
  mask.set_flags(true);
  RowReader rows(session, std::move(uids), mask);
  std::uint64_t highest = 0;
  for (;;) {
    MERPATI_CO_TRY(auto chunk, co_await rows.next());
    if (!chunk) break;
    for (const auto& row : chunk->rows()) highest = std::max(highest, row.modseq());
  }
  co_return highest;
}

struct Found {
  Ranges uids;     // in the session's view
  Ranges numbers;  // what the client counts in: uids or sequence numbers
  std::uint64_t modseq = 0;
};

void append_numbers(std::string& out, const Ranges& numbers) {
  for (const auto& range : numbers) {
    for (std::uint64_t number = range.first; number <= range.last; ++number) {
      out += ' ';
      append_number(out, number);
    }
  }
}

void append_plain(Session& session, const SearchArguments& arguments, const Found& found) {
  auto& out = session.out();
  out += "* SEARCH";
  append_numbers(out, found.numbers);
  if (arguments.uses_modseq && !found.numbers.empty()) {
    out += " (MODSEQ ";
    append_number(out, found.modseq);
    out += ')';
  }
  out += "\r\n";
}

void append_extended(Session& session, const Command& command, const SearchArguments& arguments, const Found& found) {
  auto& out = session.out();
  out += "* ESEARCH (TAG ";
  append_string(out, command.tag);
  out += ')';
  if (command.uid) out += " UID";
  const bool plain = !arguments.has_return;  // IMAP4rev2 without RETURN: as RETURN (ALL)
  const auto item = [&out](const char* name, std::uint64_t value) {
    out += ' ';
    out += name;
    out += ' ';
    append_number(out, value);
  };
  if (!found.numbers.empty()) {
    if (arguments.return_min) item("MIN", found.numbers.front().first);
    if (arguments.return_max) item("MAX", found.numbers.back().last);
    if (arguments.return_all || plain) {
      out += " ALL ";
      append_ranges(out, found.numbers);
    }
  }
  if (arguments.return_count) item("COUNT", count(found.numbers));
  if (arguments.uses_modseq && !found.numbers.empty()) item("MODSEQ", found.modseq);
  out += "\r\n";
}

bool only_ends(const SearchArguments& arguments) {
  return arguments.has_return && (arguments.return_min || arguments.return_max) && !arguments.return_all &&
         !arguments.return_count;
}

// The messages that MIN and MAX name.
Ranges ends_of(const SearchArguments& arguments, const Ranges& uids) {
  Ranges ends;
  if (uids.empty()) return ends;
  if (arguments.return_min) ends.push_back({uids.front().first, uids.front().first});
  if (arguments.return_max) ends.push_back({uids.back().last, uids.back().last});
  normalize(ends);
  return ends;
}

}  // namespace

Task<Reply> cmd_search(Session& session, const Command& command) {
  const auto& arguments = command.get<SearchArguments>();
  pb::SearchRequest request;
  request.set_account_id(session.account());
  request.set_mailbox_id(session.selected()->id);
  const Translation translation{session, arguments.charset};
  const auto translated = translation.one(arguments.key, request.mutable_key());
  // RFC 5182 2.1: a search that fails leaves nothing saved. The program may name what was saved before it, so not
  // earlier.
  if (arguments.return_save) session.saved_search.clear();
  if (!arguments.charset.empty() && !to_utf8(arguments.charset, ""))
    co_return no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset");
  if (arguments.uses_modseq) session.enable_condstore();

  MERPATI_CO_CHECK(translated);
  auto options = session.call_options();
  options.deadline = Deadline::after(std::chrono::minutes(2));  // a text search may read many bodies
  MERPATI_CO_TRY(auto response, co_await session.store().search(request, options));

  Found found;
  found.uids = from_proto(response.uids());
  // Mail that came after our last announcement has to be announced before it can be named.
  if (!found.uids.empty() && found.uids.back().last > session.selected()->uids->largest()) {
    MERPATI_CO_CHECK(co_await session.synchronize(Session::Announce::kAllButExpunges, true));
    if (session.selected() == nullptr) co_return no("NONEXISTENT", "The mailbox was deleted");
  }
  const auto& view = *session.selected()->uids;
  found.uids = view.select_uids(found.uids);
  found.modseq = response.highest_modseq();
  if (only_ends(arguments)) {
    const auto ends = ends_of(arguments, found.uids);
    if (arguments.return_save) session.saved_search = ends;  // RFC 5182 2.4
    if (arguments.uses_modseq && !ends.empty()) {
      MERPATI_CO_TRY(found.modseq, co_await highest_modseq_of(session, ends));
    }
  } else if (arguments.return_save) {
    session.saved_search = found.uids;
  }
  found.numbers = command.uid ? found.uids : view.to_sequences(found.uids);
  const bool only_save = arguments.return_save && !arguments.return_min && !arguments.return_max &&
                         !arguments.return_all && !arguments.return_count;
  if (only_save) co_return ok();
  if (arguments.has_return || session.rev2) {
    append_extended(session, command, arguments, found);
  } else {
    append_plain(session, arguments, found);
  }
  co_return ok();
}

}  // namespace merpati::imap
