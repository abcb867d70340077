// Actions that decide where the message goes: keep, fileinto, redirect, reject, and the flags it gets.
#include <algorithm>

#include "machine.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/date.hpp"
#include "merpati/mime/header.hpp"
#include "values.hpp"

namespace merpati::sieve {
namespace {

bool is_inbox(std::string_view mailbox) { return mime::iequals(mailbox, "INBOX"); }

bool is_mailbox_name(std::string_view name) {
  return !name.empty() && name.size() <= 1000 && mime::is_valid_utf8(name) &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// Where a copy that stays goes; null for what does not stay.
const Filing* filing_of(const Action& action, Filing& inbox) {
  if (std::holds_alternative<Keep>(action.what)) {
    inbox.mailbox = "INBOX";
    return &inbox;
  }
  const auto* filed = std::get_if<FileInto>(&action.what);
  return filed == nullptr ? nullptr : &filed->into;
}

bool same_place(const Filing& a, const Filing& b) {
  const bool names = a.mailbox == b.mailbox || (is_inbox(a.mailbox) && is_inbox(b.mailbox));
  return names && a.mailbox_id == b.mailbox_id && a.special_use == b.special_use;
}

bool is_flag(std::string_view flag) {
  static constexpr std::string_view kSystem[] = {"\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"};
  if (flag.empty() || flag.size() > 100) return false;
  if (flag[0] == '\\') return std::ranges::find(kSystem, mime::to_lower(flag)) != std::end(kSystem);
  // atom of RFC 9051 9
  return std::ranges::all_of(flag, [](char c) {
    return c > 0x20 && c < 0x7F && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
  });
}

}  // namespace

std::vector<std::string> flags_in(const std::vector<std::string>& texts) {
  constexpr std::size_t kMost = 100;
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    for (std::size_t at = 0; at < text.size() && out.size() < kMost;) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      std::string flag = text.substr(at, end - at);
      at = end + 1;
      // RFC 5232 2: flags that are none are left out; names compare without case
      if (is_flag(flag) && std::ranges::none_of(out, [&](const auto& had) { return mime::iequals(had, flag); }))
        out.push_back(std::move(flag));
    }
  }
  return out;
}

Machine::Flow Machine::add(const Node& node, decltype(Action::what) what) {
  if (out_.actions.size() >= options_.limits.max_actions)
    return fail(node, "more than " + std::to_string(options_.limits.max_actions) + " actions");
  Action action{node.at, 0, std::move(what)};
  // RFC 5228 2.10.3: one copy for each mailbox and for each address
  Filing one, two;
  const bool keeps = std::holds_alternative<Keep>(action.what);
  const Filing* here = filing_of(action, one);
  for (const Action& had : out_.actions) {
    const Filing* there = filing_of(had, two);
    // RFC 6785 3.3: there keep leaves the message where it is, and fileinto makes another one
    if (options_.imap_event && keeps != std::holds_alternative<Keep>(had.what)) continue;
    if (here != nullptr && there != nullptr && same_place(*here, *there)) return Flow::kNext;
    const bool refused = std::holds_alternative<Reject>(had.what),
               refuses = std::holds_alternative<Reject>(action.what);
    // RFC 5429 2.1 and 2.2: what was refused is not kept, answered or sent on, and is refused once
    if ((refused && !std::holds_alternative<Notify>(action.what)) ||
        (refuses && !std::holds_alternative<Notify>(had.what)))
      return fail(node, "reject cannot be used together with another action");
  }
  action.version = version();
  if (!use_memory(node, out_.versions.back().header.size() + out_.versions.back().body.value_or("").size()))
    return Flow::kFailed;
  out_.actions.push_back(std::move(action));
  return Flow::kNext;
}

std::string Machine::option(const Node& node, Tag tag) {
  const Value* given = node.find(tag);
  return given == nullptr ? std::string() : expand(given->texts[0]);
}

std::vector<std::string> Machine::flags_for(const Node& node) {
  // RFC 5232 3.2: :flags instead of the internal variable
  const Value* given = node.find(Tag::kFlags);
  return given == nullptr ? flags_ : flags_in(expand(*given));
}

Machine::Flow Machine::keep(const Node& node) {
  trace(node, "keep");
  implicit_keep_ = false;
  return add(node, Keep{false, flags_for(node)});
}

Machine::Flow Machine::fileinto(const Node& node) {
  Filing into;
  into.mailbox = expand(node.args[0].texts[0]);
  if (!is_mailbox_name(into.mailbox)) return fail(node, "\"" + into.mailbox + "\" is no name of a mailbox");
  into.mailbox_id = option(node, Tag::kMailboxid);
  into.special_use = option(node, Tag::kSpecialuse);
  into.create = node.has(Tag::kCreate);
  into.flags = flags_for(node);
  trace(node, "fileinto \"" + into.mailbox + "\"");
  if (!node.has(Tag::kCopy)) implicit_keep_ = false;  // RFC 3894 3
  return add(node, FileInto{std::move(into)});
}

Machine::Flow Machine::redirect(const Node& node) {
  Redirect to;
  const std::string target = expand(node.args[0].texts[0]);
  if (node.has(Tag::kRedirectList)) {
    if (!env_.list_known(target)) return fail(node, "there is no external list \"" + target + "\"");
    if (env_.list_size(target) > options_.limits.max_list_redirect)
      return fail(node, "the list \"" + target + "\" has more than " +
                            std::to_string(options_.limits.max_list_redirect) + " members");
    to.list = target;
  } else {
    to.address = addr_spec_of(target);
    if (to.address.empty()) return fail(node, "\"" + target + "\" is no mail address");
  }
  to.notify = option(node, Tag::kNotifyDsn);
  to.ret = option(node, Tag::kRet);
  if (!to.notify.empty() && !is_dsn_notify(to.notify)) return fail(node, "\"" + to.notify + "\" is no :notify");
  if (const Value* seconds = node.find(Tag::kBytimerelative)) {
    to.by_seconds = static_cast<std::int64_t>(std::min<std::uint64_t>(seconds->number, 999'999'999));
  } else if (node.has(Tag::kBytimeabsolute)) {
    const auto date = mime::parse_date(option(node, Tag::kBytimeabsolute));
    if (!date) return fail(node, ":bytimeabsolute is a date as in mail headers");
    to.by_seconds = date->unix_seconds - env_.now();
  }
  if (node.has(Tag::kBytimerelative) || node.has(Tag::kBytimeabsolute)) {
    to.by_mode = node.has(Tag::kBymode) ? mime::to_lower(option(node, Tag::kBymode)) : "return";  // RFC 6009 4
    to.by_trace = node.has(Tag::kBytrace);
  }
  trace(node, "redirect \"" + target + "\"");
  if (!node.has(Tag::kCopy)) implicit_keep_ = false;
  for (const Action& had : out_.actions) {
    const auto* other = std::get_if<Redirect>(&had.what);
    if (other != nullptr && other->address == to.address && other->list == to.list) return Flow::kNext;
  }
  if (++redirects_ > options_.limits.max_redirects)
    return fail(node, "more than " + std::to_string(options_.limits.max_redirects) + " redirects");
  const Flow flow = add(node, std::move(to));
  if (flow == Flow::kNext && enclosed_) out_.actions.back().version = *enclosed_;  // RFC 5703 6
  return flow;
}

Machine::Flow Machine::reject(const Node& node) {
  trace(node, node.op == Op::kEreject ? "ereject" : "reject");
  implicit_keep_ = false;
  return add(node, Reject{expand(node.args[0].texts[0]), node.op == Op::kEreject});
}

Machine::Flow Machine::change_flags(const Node& node) {
  const bool internal = node.args.size() == 1;
  std::vector<std::string> given = flags_in(expand(node.args.back()));
  const auto change = [&](std::vector<std::string> now) {
    if (node.op == Op::kSetflag) return given;
    if (node.op == Op::kAddflag) {
      now.insert(now.end(), given.begin(), given.end());
      return flags_in(now);
    }
    std::erase_if(now, [&](const std::string& flag) {
      return std::ranges::any_of(given, [&](const std::string& one) { return mime::iequals(one, flag); });
    });
    return now;
  };
  if (internal) {
    flags_ = change(flags_);
    return Flow::kNext;
  }
  std::string joined;
  for (const std::string& flag : change(flags_in({target(node.args[0].texts[0])})))
    joined += (joined.empty() ? "" : " ") + flag;
  assign(node, node.args[0].texts[0], std::move(joined));
  return Flow::kNext;
}

}  // namespace merpati::sieve
