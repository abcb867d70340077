// Machine: runs programs over one message. Split by what it does: machine.cpp walks, test_*.cpp test, act_*.cpp act.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compare.hpp"
#include "merpati/sieve/interpreter.hpp"
#include "message.hpp"
#include "program.hpp"

namespace merpati::sieve {

class Machine {
 public:
  Machine(std::string_view message, const Envelope& envelope, Environment& environment, const RunOptions& options)
      : message_(message), envelope_(envelope), env_(environment), options_(options), flags_(options.flags) {}
  Outcome run(std::span<const NamedScript> scripts);

 private:
  /// Gets the field (null for a part's), its name and its raw value.
  using UseField = std::function<bool(Message::Field*, std::string_view, std::string_view)>;
  /// How a block ended.
  enum class Flow { kNext, kStop, kReturn, kBreak, kFailed };
  /// One script that runs: its variables, and which of them are global (RFC 6609 3.4).
  struct Frame {
    const Program* program = nullptr;
    std::string name;
    std::vector<std::string> variables;
    std::vector<bool> global;
  };
  /// A change to a part, put into the message when the outermost loop ends or an action wants it.
  struct Replacement {
    mime::Span span;
    std::string text;
  };

  // machine.cpp
  Flow script(const NamedScript& script);
  bool check_required(const Script& script);
  Flow block(const std::vector<Node>& nodes);
  Flow command(const Node& node);
  Flow action(const Node& node);
  bool step(const Node& node, std::uint64_t cost = 1);
  Flow include(const Node& node);
  Flow forevery(const Node& node);
  Flow parts(const Node& node, const mime::Part& part);
  Flow fail(const Node& node, std::string message, bool temporary = false);
  Flow fail(Position at, std::string message, bool temporary = false);
  void finish_keep();
  void trace(const Node& node, std::string text);
  /// The value of an answer, or false after it ended the run.
  template <class T>
  bool take(const Node& node, Result<T> answer, T& out) {
    if (answer.has_value()) {
      out = *std::move(answer);
      return true;
    }
    const Error& error = answer.error();
    fail(node, error.public_text().empty() ? error.message() : error.public_text(),
         error.code() != ErrorCode::kInvalidArgument);
    return false;
  }

  // variables.cpp
  std::string expand(const Text& text);
  std::vector<std::string> expand(const Value& value);
  std::string_view view(const Text& text, std::string& space);
  std::string& variable(std::uint32_t index);
  std::string& target(const Text& name);
  void assign(const Node& node, const Text& name, std::string value);
  void modify(const Node& node, std::string& value) const;
  Flow set(const Node& node);
  Flow global(const Node& node);
  bool use_memory(const Node& node, std::size_t octets);

  // tests
  bool test(const Node& node);
  bool test_of(const Node& node);
  bool test_world(const Node& node);
  bool matches(const Node& node, const std::vector<std::string_view>& values);
  bool matches_value(const Node& node, std::string_view value, const std::vector<PreparedKey>& keys);
  bool in_lists(const Node& node, std::string_view value);
  bool keys_of(const Node& node, std::vector<PreparedKey>& made, const std::vector<PreparedKey>*& keys);
  bool test_header(const Node& node);
  bool test_address(const Node& node);
  bool test_exists(const Node& node);
  bool test_envelope(const Node& node);
  bool test_body(const Node& node);
  bool test_date(const Node& node);
  bool test_hasflag(const Node& node);
  bool test_string(const Node& node);
  bool test_duplicate(const Node& node);
  bool test_environment(const Node& node);
  bool test_metadata(const Node& node, bool server, bool exists);
  bool test_special_use(const Node& node);
  bool test_scores(const Node& node);
  bool test_method_capability(const Node& node);
  /// Every name answers yes.
  template <class Ask>
  bool all_of(const Node& node, const Value& names, Ask ask);
  /// Fields of this name where the node looks (:mime, :index), each given to `use` until it says true.
  bool each_field(const Node& node, const Value& names, const UseField& use);
  void add_addresses(const Node& node, const std::vector<mime::Address>& addresses, std::vector<std::string>& out);
  const mime::Part& part_here();

  // actions
  std::size_t version();
  Flow add(const Node& node, decltype(Action::what) what);
  Flow keep(const Node& node);
  Flow fileinto(const Node& node);
  Flow redirect(const Node& node);
  Flow reject(const Node& node);
  Flow vacation(const Node& node);
  Flow notify(const Node& node);
  Flow report(const Node& node);
  Flow change_flags(const Node& node);
  Flow addheader(const Node& node);
  Flow deleteheader(const Node& node);
  Flow extracttext(const Node& node);
  Flow replace(const Node& node);
  Flow enclose(const Node& node);
  void apply_replacements();
  std::string present_form();
  Flow become(std::string whole);
  std::string now_field() const;
  std::vector<std::string> flags_for(const Node& node);
  std::optional<Filing> fcc(const Node& node);
  std::string first_field(std::string_view name);
  std::string_view first_raw(std::string_view name);
  std::string why_no_vacation(const Node& node);
  std::string option(const Node& node, Tag tag);

  Message message_;
  const Envelope& envelope_;
  Environment& env_;
  const RunOptions& options_;
  Outcome out_;
  std::vector<Frame> frames_;
  std::map<std::string, std::string, std::less<>> globals_;
  std::set<std::string> included_;
  std::vector<std::string> match_values_;
  std::vector<std::string> flags_;  ///< the internal variable (RFC 5232 2)
  std::vector<const mime::Part*> parts_;
  std::vector<Replacement> replacements_;
  std::optional<std::string> pending_;  ///< the whole message in a new form, likewise
  std::string break_name_;
  std::optional<std::size_t> enclosed_;  ///< the version before `enclose`, which redirect sends
  std::size_t memory_ = 0, redirects_ = 0, notifications_ = 0, edits_ = 0, includes_ = 0;
  bool implicit_keep_ = true, vacation_done_ = false;
};

/// The flags in texts, each text split at blanks, without repetition; "\\recent" and what is no flag is left out.
std::vector<std::string> flags_in(const std::vector<std::string>& texts);

}  // namespace merpati::sieve
