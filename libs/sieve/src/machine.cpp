#include "machine.hpp"

#include "merpati/sieve/capability.hpp"
#include "values.hpp"

namespace merpati::sieve {

Outcome Machine::run(std::span<const NamedScript> scripts) {
  out_.versions.push_back({});
  for (const NamedScript& one : scripts) {
    const Flow flow = script(one);
    if (flow != Flow::kNext && flow != Flow::kReturn) break;
  }
  apply_replacements();
  if (!out_.error) {
    finish_keep();
  } else {
    // RFC 5228 2.10.6: an error keeps the message, as it came
    out_.actions.assign(1, Action{{}, 0, Keep{true, {}}});
    out_.versions.resize(1);
    out_.remember.clear();
    out_.discarded = false;
  }
  return std::move(out_);
}

void Machine::finish_keep() {
  if (implicit_keep_) {
    // RFC 5232 3.2: the implicit keep takes the flags of the internal variable
    out_.actions.push_back({{}, message_.version(out_.versions), Keep{true, flags_}});
  }
  out_.discarded = out_.actions.empty();
}

Machine::Flow Machine::script(const NamedScript& script) {
  const Program& program = script.script->program();
  frames_.push_back({&program, script.name, std::vector<std::string>(program.variables.size()),
                     std::vector<bool>(program.variables.size())});
  // RFC 6609 3.4: what matched outside is not seen inside, and the other way round
  std::vector<std::string> outside;
  outside.swap(match_values_);
  const Flow flow = check_required(*script.script) ? block(program.commands) : Flow::kFailed;
  match_values_.swap(outside);
  frames_.pop_back();
  return flow;
}

/// RFC 6785 3.11
bool Machine::check_required(const Script& script) {
  if (!options_.imap_event) return true;
  for (const auto& name : script.required()) {
    if (fits_imap_events(name)) continue;
    fail(Position{1, 1}, "\"" + name + "\" is not for IMAP events");
    return false;
  }
  return true;
}

Machine::Flow Machine::fail(const Node& node, std::string message, bool temporary) {
  return fail(node.at, std::move(message), temporary);
}

Machine::Flow Machine::fail(Position at, std::string message, bool temporary) {
  if (!out_.error)
    out_.error = RuntimeError{at, frames_.empty() ? std::string() : frames_.back().name, std::move(message), temporary};
  return Flow::kFailed;
}

bool Machine::step(const Node& node, std::uint64_t cost) {
  out_.steps += cost;
  if (out_.steps <= options_.limits.max_steps) return !out_.error;
  fail(node, "the script took more than " + std::to_string(options_.limits.max_steps) + " steps");
  return false;
}

void Machine::trace(const Node& node, std::string text) {
  if (!options_.trace || out_.trace.size() >= options_.limits.max_trace) return;
  constexpr std::size_t kLongest = 500;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  out_.trace.push_back({node.at, frames_.back().name, std::move(text)});
}

Machine::Flow Machine::block(const std::vector<Node>& nodes) {
  bool taken = false;
  for (const Node& node : nodes) {
    Flow flow = Flow::kNext;
    if (node.op == Op::kIf || node.op == Op::kElsif || node.op == Op::kElse) {
      if (node.op == Op::kIf) taken = false;
      if (taken || !step(node)) {
        if (out_.error) return Flow::kFailed;
        continue;
      }
      taken = node.op == Op::kElse || test(node.tests[0]);
      if (out_.error) return Flow::kFailed;
      if (taken) flow = block(node.block);
    } else {
      flow = command(node);
    }
    if (out_.error) return Flow::kFailed;
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Machine::Flow Machine::command(const Node& node) {
  if (!step(node)) return Flow::kFailed;
  switch (node.op) {
    case Op::kStop:
      trace(node, "stop");
      return Flow::kStop;
    case Op::kReturn:
      trace(node, "return");
      return Flow::kReturn;
    case Op::kBreak:
      break_name_ = node.has(Tag::kName) ? node.find(Tag::kName)->texts[0].literal : std::string();
      return Flow::kBreak;
    case Op::kUnsupported:
      return fail(node, node.note);
    case Op::kError:
      return fail(node, "error: " + expand(node.args[0].texts[0]));  // RFC 5463 5
    case Op::kInclude:
      return include(node);
    case Op::kForeverypart:
      return forevery(node);
    case Op::kSet:
      return set(node);
    case Op::kGlobal:
      return global(node);
    default:
      return action(node);
  }
}

Machine::Flow Machine::action(const Node& node) {
  const bool answers = node.op == Op::kReject || node.op == Op::kEreject || node.op == Op::kVacation;
  if (options_.imap_event && answers) return fail(node, "reject and vacation are not for IMAP events");
  switch (node.op) {
    case Op::kKeep:
      return keep(node);
    case Op::kDiscard:
      implicit_keep_ = false;
      trace(node, "discard");
      return Flow::kNext;
    case Op::kFileinto:
      return fileinto(node);
    case Op::kRedirect:
      return redirect(node);
    case Op::kReject:
    case Op::kEreject:
      return reject(node);
    case Op::kVacation:
      return vacation(node);
    case Op::kNotify:
      return notify(node);
    case Op::kReport:
      return report(node);
    case Op::kSetflag:
    case Op::kAddflag:
    case Op::kRemoveflag:
      return change_flags(node);
    case Op::kAddheader:
      return addheader(node);
    case Op::kDeleteheader:
      return deleteheader(node);
    case Op::kExtracttext:
      return extracttext(node);
    case Op::kReplace:
      return replace(node);
    case Op::kEnclose:
      return enclose(node);
    case Op::kDebugLog: {
      std::string text = expand(node.args[0].texts[0]);
      trace(node, "debug_log \"" + text + "\"");
      if (out_.log.size() < options_.limits.max_actions) out_.log.push_back(std::move(text));
      return Flow::kNext;
    }
    default:
      return Flow::kNext;
  }
}

Machine::Flow Machine::include(const Node& node) {
  const std::string& name = node.args[0].texts[0].literal;
  const Location location = node.has(Tag::kGlobalScript) ? Location::kGlobal : Location::kPersonal;
  const std::string key = (location == Location::kGlobal ? "global/" : "personal/") + name;
  if (node.has(Tag::kOnce) && included_.contains(key)) return Flow::kNext;
  // RFC 6609 3.2: recursion is an error
  for (const Frame& frame : frames_)
    if (frame.name == key) return fail(node, "\"" + name + "\" includes itself");
  if (frames_.size() > options_.limits.max_include_depth)
    return fail(node, "scripts include each other deeper than " + std::to_string(options_.limits.max_include_depth));
  if (++includes_ > options_.limits.max_includes)
    return fail(node, "more than " + std::to_string(options_.limits.max_includes) + " includes");
  std::shared_ptr<const Script> found;
  if (!take(node, env_.include(location, name), found)) return Flow::kFailed;
  if (found == nullptr) {
    if (node.has(Tag::kOptional)) {
      trace(node, "include \"" + name + "\": there is none");
      return Flow::kNext;
    }
    return fail(node, "there is no script \"" + name + "\" to include");
  }
  included_.insert(key);
  trace(node, "include \"" + name + "\"");
  const Flow flow = script({key, std::move(found)});
  return flow == Flow::kReturn ? Flow::kNext : flow;
}

const mime::Part& Machine::part_here() { return parts_.empty() ? message_.root_part() : *parts_.back(); }

Machine::Flow Machine::forevery(const Node& node) {
  // RFC 5703 3: all parts of the message, or inside of another loop all parts below its part
  Flow flow = Flow::kNext;
  if (parts_.empty()) {
    apply_replacements();
    flow = parts(node, message_.root_part());
  } else {
    const mime::Part& outer = *parts_.back();
    for (const mime::Part& child : outer.children)
      if (flow = parts(node, child); flow != Flow::kNext) break;
  }
  if (parts_.empty()) apply_replacements();
  if (flow != Flow::kBreak) return flow;
  const Value* name = node.find(Tag::kName);
  const bool mine = break_name_.empty() || (name != nullptr && name->texts[0].literal == break_name_);
  return mine ? Flow::kNext : Flow::kBreak;
}

Machine::Flow Machine::parts(const Node& node, const mime::Part& part) {
  if (!step(node)) return Flow::kFailed;
  parts_.push_back(&part);
  trace(node, "part " + part.type + "/" + part.subtype);
  const Flow flow = block(node.block);
  parts_.pop_back();
  if (flow != Flow::kNext) return flow;
  if (pending_) return Flow::kNext;
  for (const Replacement& one : replacements_)
    if (one.span.offset <= part.body.offset && one.span.end() >= part.body.end())
      return Flow::kNext;  // its parts are gone
  for (const mime::Part& child : part.children)
    if (const Flow inner = parts(node, child); inner != Flow::kNext) return inner;
  return Flow::kNext;
}

std::vector<std::string> flags_for_scripts(const std::vector<std::string>& flags) { return flags_in(flags); }

Outcome run(std::span<const NamedScript> scripts, std::string_view message, const Envelope& envelope,
            Environment& environment, const RunOptions& options) {
  return Machine(message, envelope, environment, options).run(scripts);
}

}  // namespace merpati::sieve
