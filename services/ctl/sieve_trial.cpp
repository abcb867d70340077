#include "ctl/sieve_trial.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>

#include "merpati/mime/address.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::ctl {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

class Trial final : public sieve::Environment {
 public:
  explicit Trial(const SieveWorld& world) : world_(world) {}

  std::int64_t now() const override {
    using namespace std::chrono;
    return world_.now.value_or(duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
  }
  std::vector<std::string> own_addresses() const override { return world_.addresses; }
  std::optional<std::string> item(std::string_view name) const override {
    // RFC 5183 4.1, RFC 6785 4
    const bool event = !world_.imap_cause.empty();
    if (name == "location") return "MS";
    if (name == "phase") return event ? "post" : "during";
    const std::string& to = world_.envelope.to;
    if (name == "imap.user" || name == "imap.email") return event ? to : std::string();
    if (event && name == "imap.cause") return world_.imap_cause;
    if (event && name == "imap.mailbox") return world_.imap_mailbox;
    if (event && name == "imap.changedflags") return joined(world_.changed_flags);
    if (name == "domain" && to.find('@') != std::string::npos) return to.substr(to.rfind('@') + 1);
    return std::nullopt;
  }
  Result<bool> mailbox_exists(std::string_view name) override {
    return mime::iequals(name, "INBOX") || std::ranges::find(world_.mailboxes, name) != world_.mailboxes.end();
  }
  Result<std::shared_ptr<const sieve::Script>> include(sieve::Location location, std::string_view name) override {
    const std::string& folder = location == sieve::Location::kGlobal ? world_.include_global : world_.include;
    if (folder.empty()) return std::shared_ptr<const sieve::Script>();
    const std::string path = folder + "/" + std::string(name) + ".sieve";
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::shared_ptr<const sieve::Script>();
    auto compiled = sieve::compile(std::string(std::istreambuf_iterator<char>(file), {}));
    if (compiled.script == nullptr) {
      const auto& first = compiled.errors.front();
      return Error(ErrorCode::kInvalidArgument, path + ":" + std::to_string(first.at.line) + ":" +
                                                    std::to_string(first.at.column) + ": " + first.message);
    }
    return compiled.script;
  }
  std::optional<int> spam_percent() const override { return world_.spam_percent; }
  int virus_value() const override { return world_.virus_value; }

 private:
  const SieveWorld& world_;
};

std::string first_address(std::string_view header, std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    const auto field = mime::find_field(header, name);
    if (!field) continue;
    for (const auto& address : mime::parse_addresses(mime::unfold(field->value)))
      if (address.kind == mime::Address::Kind::kMailbox && !address.host.empty()) return mime::to_addr_spec(address);
    if (name == "Return-Path") return {};  // <>
  }
  return {};
}

std::string where(const sieve::Filing& into) {
  std::string out = into.mailbox;
  if (!into.mailbox_id.empty()) out += " (id " + into.mailbox_id + ")";
  if (!into.special_use.empty()) out += " (" + into.special_use + ")";
  if (into.create) out += " (create)";
  if (!into.flags.empty()) out += " [" + joined(into.flags) + "]";
  return out;
}

struct Describe {
  std::string kept_in;
  Json operator()(const sieve::Keep& keep) const {
    return {{"action", keep.implicit ? "keep (implicit)" : "keep"},
            {"what", kept_in + (keep.flags.empty() ? "" : " [" + joined(keep.flags) + "]")},
            {"flags", keep.flags}};
  }
  Json operator()(const sieve::FileInto& file) const {
    return {{"action", "fileinto"},
            {"what", where(file.into)},
            {"mailbox", file.into.mailbox},
            {"create", file.into.create},
            {"flags", file.into.flags}};
  }
  Json operator()(const sieve::Redirect& to) const {
    Json out{{"action", "redirect"}, {"what", to.list.empty() ? to.address : "list " + to.list}};
    if (!to.notify.empty()) out["notify"] = to.notify;
    if (!to.ret.empty()) out["ret"] = to.ret;
    if (!to.by_mode.empty())
      out["by"] = std::to_string(to.by_seconds) + ";" + to.by_mode + (to.by_trace ? ";trace" : "");
    return out;
  }
  Json operator()(const sieve::Reject& reject) const {
    return {{"action", reject.early ? "ereject" : "reject"}, {"what", reject.reason}};
  }
  Json operator()(const sieve::Vacation& reply) const {
    Json out{{"action", "vacation"},     {"what", "to " + reply.to + ": " + reply.subject},
             {"to", reply.to},           {"from", reply.from},
             {"subject", reply.subject}, {"reason", reply.reason},
             {"seconds", reply.seconds}};
    if (reply.fcc) out["fcc"] = where(*reply.fcc);
    return out;
  }
  Json operator()(const sieve::Notify& note) const {
    Json out{{"action", "notify"},
             {"what", note.method},
             {"recipients", note.recipients},
             {"importance", note.importance},
             {"text", note.message}};
    if (note.fcc) out["fcc"] = where(*note.fcc);
    return out;
  }
  Json operator()(const sieve::Report& report) const {
    return {{"action", "report"}, {"what", report.type + " to " + report.to}, {"text", report.text}};
  }
};

}  // namespace

Json try_sieve(const std::string& name, std::shared_ptr<const sieve::Script> script, const std::string& message,
               const SieveWorld& world) {
  SieveWorld own = world;
  const std::string_view header = std::string_view(message).substr(0, mime::header_block_size(message));
  if (own.envelope.from.empty()) own.envelope.from = first_address(header, {"Return-Path", "Sender", "From"});
  if (own.envelope.to.empty()) own.envelope.to = first_address(header, {"Delivered-To", "To"});
  if (own.envelope.from == "<>") own.envelope.from.clear();
  Trial trial(own);
  sieve::RunOptions options;
  options.trace = own.trace;
  options.imap_event = !own.imap_cause.empty();
  options.flags = sieve::flags_for_scripts(own.flags);
  const sieve::NamedScript named[] = {{name, std::move(script)}};
  const sieve::Outcome outcome = sieve::run(named, message, own.envelope, trial, options);

  Json result{
      {"from", own.envelope.from}, {"to", own.envelope.to}, {"actions", Json::array()}, {"trace", Json::array()}};
  for (const auto& action : outcome.actions) {
    Json one{{"line", action.at.line}};
    one.update(std::visit(Describe{options.imap_event ? own.imap_mailbox : "INBOX"}, action.what));
    one["message"] = action.version == 0 ? "as received" : "edited";
    if (own.show_message && action.version != 0) {
      const auto& version = outcome.versions[action.version];
      one["text"] = version.header + version.body.value_or(message.substr(header.size()));
    }
    result["actions"].push_back(std::move(one));
  }
  if (outcome.discarded)
    result["actions"].push_back({{"line", 0}, {"action", "discard"}, {"what", ""}, {"message", ""}});
  for (const auto& line : outcome.trace)
    result["trace"].push_back(
        {{"script", line.script}, {"line", line.at.line}, {"column", line.at.column}, {"text", line.text}});
  result["steps"] = outcome.steps;
  if (outcome.error) {
    result["error"] = {{"script", outcome.error->script},
                       {"line", outcome.error->at.line},
                       {"column", outcome.error->at.column},
                       {"message", outcome.error->message}};
  }
  return result;
}

}  // namespace merpati::ctl
