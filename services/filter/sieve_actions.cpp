#include "filter/sieve_actions.hpp"

#include <algorithm>

#include "filter/forwarding.hpp"
#include "filter/message_checks.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {

using Flags = google::protobuf::RepeatedPtrField<std::string>;

void set_flags(const std::vector<std::string>& flags, Flags& out) { out.Add(flags.begin(), flags.end()); }

class Maker {
 public:
  Maker(const ActionContext& context, v1::RecipientVerdict& verdict) : context_(context), verdict_(verdict) {}

  void operator()(const sieve::Keep& keep) { inbox(keep.flags); }

  void operator()(const sieve::FileInto& file) {
    auto& into = copy(file.into);
    if (version != 0) *into.mutable_body() = context_.body(version);
  }

  void operator()(const sieve::Redirect& to) {
    if (to.list.empty()) return redirect(to);
    // RFC 6134 2.5: to each member
    const auto members = context_.world.lists->members(to.list);
    if (members.empty()) inbox({});
    for (const auto& address : members) {
      auto one = to;
      one.address = address;
      redirect(one);
    }
  }

  void redirect(const sieve::Redirect& to) {
    // Mail to oneself would go round, too.
    if (!can_be_sent_to(to.address) || is_own(to.address) || goes_round(context_.occasion.header, to.address)) {
      inbox({});
      return;
    }
    auto& redirect = *verdict_.add_actions()->mutable_redirect();
    redirect = forward_to(to.address, context_.redirect_sender, context_.recipient);
    if (version != 0) *redirect.mutable_body() = context_.body(version);
    redirect.set_notify(to.notify);
    redirect.set_return_headers_only(mime::iequals(to.ret, "HDRS"));
  }

  void operator()(const sieve::Reject& reject) {
    if (context_.all_refuse) {
      verdict_.set_decision(v1::DECISION_REFUSE);
      verdict_.mutable_reply()->set_code(550);
      verdict_.mutable_reply()->set_enhanced("5.7.1");
      verdict_.mutable_reply()->set_text(refusal_text(reject.reason));
      return;
    }
    // RFC 5429 2: a bounce is not answered, and the sender of spam is somebody else
    if (context_.occasion.sender.empty() || context_.junk) {
      verdict_.set_decision(v1::DECISION_JUNK);
      inbox({});
      return;
    }
    send({}, {context_.occasion.sender}, compose_refusal(reject, context_.occasion));
  }

  void operator()(const sieve::Vacation& reply) {
    if (context_.junk || context_.silent.contains(index)) return;
    std::string message = compose_vacation(reply, context_.occasion);
    copy_of_sent(reply.fcc, message);
    send({}, {reply.to}, std::move(message));
  }

  void operator()(const sieve::Notify& note) {
    std::string message = compose_notification(note, context_.occasion);
    copy_of_sent(note.fcc, message);
    send({}, note.recipients, std::move(message));
  }

  void operator()(const sieve::Report& report) {
    send(context_.occasion.address, {report.to}, compose_report(report, context_.occasion));
  }

  std::size_t index = 0;    ///< of the action in hand
  std::size_t version = 0;  ///< of the message it was made with

 private:
  bool is_own(const std::string& address) const {
    return mime::iequals(address, context_.occasion.address) || mime::iequals(address, context_.recipient);
  }

  void inbox(const std::vector<std::string>& flags) {
    if (kept_) return;
    kept_ = true;
    auto& into = *verdict_.add_actions()->mutable_file_into();
    set_flags(flags, *into.mutable_flags());
    if (version != 0) *into.mutable_body() = context_.body(version);
  }

  v1::FileInto& copy(const sieve::Filing& filing) {
    auto& into = *verdict_.add_actions()->mutable_file_into();
    const std::string name = context_.world.name_of(filing);
    const bool inbox = mime::iequals(name, "INBOX");
    kept_ = kept_ || inbox;
    if (!inbox) into.set_mailbox(name);
    into.set_create(filing.create);
    set_flags(filing.flags, *into.mutable_flags());
    return into;
  }

  void copy_of_sent(const std::optional<sieve::Filing>& fcc, const std::string& message) {
    if (!fcc) return;
    const bool kept = kept_;
    auto& into = copy(*fcc);
    into.mutable_body()->set_inline_(message);
    into.set_composed(true);
    kept_ = kept;
  }

  void send(std::string reverse_path, std::vector<std::string> recipients, std::string message) {
    std::erase_if(recipients, [](const std::string& one) { return !can_be_sent_to(one); });
    if (recipients.empty()) return;
    auto& send = *verdict_.add_actions()->mutable_send();
    send.set_reverse_path(std::move(reverse_path));
    for (auto& one : recipients) send.add_recipients(std::move(one));
    send.set_message(std::move(message));
  }

  const ActionContext& context_;
  v1::RecipientVerdict& verdict_;
  bool kept_ = false;
};

/// The message as it came, into INBOX, and nothing else.
bool changes_nothing(const sieve::Outcome& outcome) {
  if (outcome.actions.size() != 1 || outcome.actions[0].version != 0) return false;
  const auto* keep = std::get_if<sieve::Keep>(&outcome.actions[0].what);
  return keep != nullptr && keep->flags.empty();
}

}  // namespace

const sieve::Reject* refusal_of(const sieve::Outcome& outcome) {
  for (const auto& action : outcome.actions)
    if (const auto* reject = std::get_if<sieve::Reject>(&action.what)) return reject;
  return nullptr;
}

std::optional<std::size_t> vacation_of(const sieve::Outcome& outcome, bool junk) {
  if (junk) return std::nullopt;
  for (std::size_t i = 0; i < outcome.actions.size(); ++i)
    if (std::holds_alternative<sieve::Vacation>(outcome.actions[i].what)) return i;
  return std::nullopt;
}

void apply_outcome(const sieve::Outcome& outcome, const ActionContext& context, v1::RecipientVerdict& verdict) {
  if (changes_nothing(outcome)) return;
  Maker make(context, verdict);
  for (std::size_t i = 0; i < outcome.actions.size(); ++i) {
    make.index = i;
    make.version = outcome.actions[i].version;
    std::visit(make, outcome.actions[i].what);
  }
  // An empty list of actions would keep it.
  const bool accepted = verdict.decision() == v1::DECISION_ACCEPT || verdict.decision() == v1::DECISION_JUNK;
  const bool refused = refusal_of(outcome) != nullptr;
  if (verdict.actions().empty() && accepted && !refused) verdict.set_decision(v1::DECISION_DISCARD);
}

}  // namespace merpati::filter
