// A world for Sieve scripts in tests, and the outcome of a run as text.
#pragma once

#include <map>
#include <set>
#include <string>

#include "merpati/sieve/interpreter.hpp"

namespace merpati::sieve {

struct World final : Environment {
  std::int64_t time = 1'764'000'000;  // Mon, 24 Nov 2025 16:00:00 +0000
  int zone = 0;
  std::vector<std::string> addresses;
  std::map<std::string, std::string, std::less<>> items, variables, scripts, global_scripts, annotations;
  std::set<std::string, std::less<>> mailboxes{"INBOX"}, ids, remembered, aliases;
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> lists, uses;
  std::optional<int> spam;
  int virus = 0;
  int asked_addresses = 0;
  bool broken = false;  ///< every question about mailboxes fails

  static std::optional<std::string> in(const std::map<std::string, std::string, std::less<>>& all,
                                       std::string_view name) {
    const auto found = all.find(name);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }
  std::int64_t now() const override { return time; }
  int zone_minutes() const override { return zone; }
  std::vector<std::string> own_addresses() const override { return addresses; }
  Result<bool> is_own_address(std::string_view address) override {
    ++asked_addresses;
    return aliases.contains(address);
  }
  std::optional<std::string> item(std::string_view name) const override { return in(items, name); }
  std::optional<std::string> variable(std::string_view name) const override { return in(variables, name); }
  Result<bool> mailbox_exists(std::string_view name) override {
    if (broken) return Error(ErrorCode::kUnavailable, "the store does not answer");
    return mailboxes.contains(name);
  }
  Result<bool> mailbox_id_exists(std::string_view id) override { return ids.contains(id); }
  Result<bool> special_use_exists(std::optional<std::string_view> mailbox,
                                  std::span<const std::string> wanted) override {
    for (const auto& use : wanted) {
      bool found = false;
      for (const auto& [name, has] : uses) found = found || ((!mailbox || *mailbox == name) && has.contains(use));
      if (!found) return false;
    }
    return true;
  }
  Result<std::optional<std::string>> metadata(std::optional<std::string_view> mailbox,
                                              std::string_view entry) override {
    return in(annotations, std::string(mailbox.value_or("")) + "|" + std::string(entry));
  }
  Result<bool> seen(std::string_view key) override { return remembered.contains(key); }
  Result<std::shared_ptr<const Script>> include(Location location, std::string_view name) override {
    const auto text = in(location == Location::kGlobal ? global_scripts : scripts, name);
    if (!text) return std::shared_ptr<const Script>();
    auto compiled = compile(*text);
    if (compiled.script == nullptr) return Error(ErrorCode::kInvalidArgument, to_text(compiled.errors));
    return compiled.script;
  }
  bool list_known(std::string_view list) override { return lists.contains(list); }
  Result<bool> list_contains(std::string_view list, std::string_view value) override {
    return lists.find(list)->second.contains(value);
  }
  std::size_t list_size(std::string_view list) override { return lists.find(list)->second.size(); }
  std::optional<int> spam_percent() const override { return spam; }
  int virus_value() const override { return virus; }
};

struct ToText {
  static std::string flags(const std::vector<std::string>& flags) {
    std::string out;
    for (const auto& flag : flags) out += " " + flag;
    return out;
  }
  std::string operator()(const Keep& keep) const {
    return (keep.implicit ? "implicit keep" : "keep") + flags(keep.flags);
  }
  std::string operator()(const FileInto& file) const {
    return "fileinto " + file.into.mailbox + (file.into.create ? " create" : "") + flags(file.into.flags);
  }
  std::string operator()(const Redirect& to) const {
    return "redirect " + (to.list.empty() ? to.address : "list " + to.list);
  }
  std::string operator()(const Reject& reject) const { return (reject.early ? "ereject " : "reject ") + reject.reason; }
  std::string operator()(const Vacation& reply) const { return "vacation " + reply.to + " " + reply.subject; }
  std::string operator()(const Notify& note) const { return "notify " + note.method; }
  std::string operator()(const Report& report) const { return "report " + report.type + " " + report.to; }
};

/// "fileinto a; implicit keep"; "discard" for nothing; "error LINE: TEXT" for a run-time error; "LINE:COL: TEXT" lines
/// for a script with errors.
inline std::string text_of(const Outcome& outcome) {
  if (outcome.error) return "error " + std::to_string(outcome.error->at.line) + ": " + outcome.error->message;
  std::string out;
  for (const auto& action : outcome.actions) out += (out.empty() ? "" : "; ") + std::visit(ToText{}, action.what);
  return out.empty() ? "discard" : out;
}

/// A script over a message in a world.
struct Trial {
  World world;
  Envelope envelope{"coyote@desert.example.org", "roadrunner@acme.example.com", {}, {}, {}, {}, {}};
  std::string message =
      "From: coyote@desert.example.org\r\nTo: roadrunner@acme.example.com\r\nSubject: I have a present for you\r\n"
      "\r\nLook, I'm sorry about the whole anvil thing.\r\n";
  RunOptions options;
  Outcome outcome;

  std::string run(std::string_view source) {
    auto compiled = compile(source);
    if (compiled.script == nullptr) return to_text(compiled.errors);
    const NamedScript one[] = {{"test", compiled.script}};
    outcome = sieve::run(one, message, envelope, world, options);
    return text_of(outcome);
  }
  /// Whether a test holds. `require` is the list's inside.
  std::string holds(std::string_view require, std::string_view test) {
    const std::string text =
        run("require [\"fileinto\"" + std::string(require.empty() ? "" : ",") + std::string(require) + "];\nif " +
            std::string(test) + " { fileinto \"yes\"; } else { fileinto \"no\"; }");
    return text == "fileinto yes" ? "yes" : text == "fileinto no" ? "no" : text;
  }
  /// The message of the n-th action.
  std::string delivered(std::size_t action = 0) const {
    const Version& version = outcome.versions[outcome.actions[action].version];
    if (outcome.actions[action].version == 0) return message;
    const std::size_t header = message.find("\r\n\r\n") + 4;
    return version.header + version.body.value_or(message.substr(header));
  }
};

}  // namespace merpati::sieve
