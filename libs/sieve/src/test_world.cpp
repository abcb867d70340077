// Tests whose answer is outside of the message: flags, variables, mailboxes, lists, scores, the duplicate memory.
#include <algorithm>

#include "machine.hpp"
#include "merpati/base/encoding.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/sieve/capability.hpp"
#include "values.hpp"

namespace merpati::sieve {

template <class Ask>
bool Machine::all_of(const Node& node, const Value& names, Ask ask) {
  for (const Text& text : names.texts) {
    bool found = false;
    const std::string name = expand(text);
    if (!step(node) || !take(node, ask(name), found) || !found) return false;
  }
  return true;
}

bool Machine::test_world(const Node& node) {
  const auto yes_or_no = [](bool value) { return Result<bool>(value); };
  switch (node.op) {
    case Op::kEnvironment:
      return test_environment(node);
    case Op::kIhave:
      return all_of(node, node.args[0], [&](const std::string& name) {
        return yes_or_no(has_capability(name) && (!options_.imap_event || fits_imap_events(name)));
      });
    case Op::kMailboxexists:
      return all_of(node, node.args[0], [&](const std::string& name) { return env_.mailbox_exists(name); });
    case Op::kMailboxidexists:
      return all_of(node, node.args[0], [&](const std::string& id) { return env_.mailbox_id_exists(id); });
    case Op::kValidExtList:
      return all_of(node, node.args[0], [&](const std::string& list) { return yes_or_no(env_.list_known(list)); });
    case Op::kValidNotifyMethod:
      return all_of(node, node.args[0], [&](const std::string& uri) { return yes_or_no(is_mailto(uri)); });
    case Op::kNotifyMethodCapability:
      return test_method_capability(node);
    case Op::kMetadata:
    case Op::kMetadataexists:
      return test_metadata(node, false, node.op == Op::kMetadataexists);
    case Op::kServermetadata:
    case Op::kServermetadataexists:
      return test_metadata(node, true, node.op == Op::kServermetadataexists);
    case Op::kSpecialuseExists:
      return test_special_use(node);
    case Op::kSpamtest:
    case Op::kVirustest:
      return test_scores(node);
    default:
      return false;
  }
}

bool Machine::test_string(const Node& node) {
  std::vector<std::string> kept = expand(node.args[0]);
  // RFC 5229 5: :count counts what is not empty
  if (node.matching.type == Tag::kCount) std::erase(kept, std::string());
  return matches(node, {kept.begin(), kept.end()});
}

bool Machine::test_environment(const Node& node) {
  const std::string name = mime::to_lower(expand(node.args[0].texts[0]));
  std::optional<std::string> value = env_.item(name);
  if (!value && name == "name") value = "Merpati";  // RFC 5183 4.1
  if (!value && name == "version") value = "0.1";
  // RFC 5183 4: an item that is not known makes the test fail
  if (!value) return false;
  if (node.matching.type == Tag::kCount && value->empty()) return matches(node, {});
  return matches(node, {*value});
}

bool Machine::test_metadata(const Node& node, bool server, bool exists) {
  // RFC 5490 3.3 to 3.4, 4.3 to 4.4
  std::optional<std::string> mailbox;
  std::size_t next = 0;
  if (!server) mailbox = expand(node.args[next++].texts[0]);
  std::optional<std::string> found;
  for (const Text& entry : node.args[next].texts) {
    if (!step(node) || !take(node, env_.metadata(mailbox, expand(entry)), found)) return false;
    if (!found) return false;
    if (!exists) return matches(node, {*found});
  }
  return exists;
}

bool Machine::test_special_use(const Node& node) {
  std::optional<std::string> mailbox;
  if (node.args.size() == 2) mailbox = expand(node.args[0].texts[0]);
  const std::vector<std::string> uses = expand(node.args.back());
  bool found = false;
  return take(node, env_.special_use_exists(mailbox, uses), found) && found;
}

bool Machine::test_method_capability(const Node& node) {
  const std::string uri = expand(node.args[0].texts[0]), capability = mime::to_lower(expand(node.args[1].texts[0]));
  // RFC 5436 2.3: by mail nobody knows whether somebody is there
  if (!is_mailto(uri) || capability != "online") return false;
  return matches(node, {"maybe"});
}

bool Machine::test_scores(const Node& node) {
  int value = 0;
  if (node.op == Op::kVirustest) {
    value = std::clamp(env_.virus_value(), 0, 5);  // RFC 5235 3.1
  } else if (const auto percent = env_.spam_percent()) {
    // RFC 5235 2.1: 1 to 10, or with :percent 0 to 100; 0 when it was not tested
    const int bounded = std::clamp(*percent, 0, 100);
    value = node.has(Tag::kPercent) ? bounded : 1 + bounded * 9 / 100;
  }
  // RFC 5235 2.2: with :percent and :count 0 is "not tested"
  const bool tested = node.op == Op::kVirustest ? value > 0 : env_.spam_percent().has_value();
  if (node.matching.type == Tag::kCount && !tested) return matches(node, {});
  const std::string text = std::to_string(value);
  return matches(node, {text});
}

bool Machine::test_duplicate(const Node& node) {
  // RFC 7352 3
  std::string id;
  if (const Value* given = node.find(Tag::kUniqueid))
    id = "u" + expand(given->texts[0]);
  else {
    const Value* name = node.find(Tag::kHeaderName);
    const std::string header = name == nullptr ? "Message-ID" : expand(name->texts[0]);
    const std::string value = first_field(header);
    if (value.empty()) return false;
    id = "h" + value;
  }
  const std::string handle = option(node, Tag::kHandle);
  const std::string key = to_hex(sha256(std::to_string(handle.size()) + ":" + handle + id));
  bool seen = false;
  if (!take(node, env_.seen(key), seen)) return false;
  if (seen && !node.has(Tag::kLast)) return true;
  const Value* seconds = node.find(Tag::kSeconds);
  const std::int64_t most = options_.limits.max_duplicate_seconds;
  const std::int64_t wanted = seconds == nullptr ? most : static_cast<std::int64_t>(seconds->number);
  if (out_.remember.size() >= options_.limits.max_actions) {
    fail(node, "more than " + std::to_string(options_.limits.max_actions) + " duplicate tests");
    return false;
  }
  out_.remember.push_back({key, std::min(wanted, most)});
  return seen;
}

bool Machine::test_hasflag(const Node& node) {
  std::vector<std::string> flags = flags_;
  if (node.args.size() == 2) {
    std::vector<std::string> texts;
    for (const Text& name : node.args[0].texts) texts.push_back(target(name));
    flags = flags_in(texts);
  }
  return matches(node, {flags.begin(), flags.end()});
}

}  // namespace merpati::sieve
