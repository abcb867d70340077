// Script: a Sieve script that was parsed and checked (RFC 5228), immutable and shared by all runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::sieve {

/// Both from 1; columns count characters.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

struct Diagnostic {
  Position at;
  std::string message;
  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

/// What one script may have; more is an error of the script.
struct CompileLimits {
  std::size_t max_size = 1024 * 1024;       ///< octets of source
  std::size_t max_string = 256 * 1024;      ///< octets of one string
  std::size_t max_list = 10'000;            ///< strings in one list
  std::size_t max_nodes = 20'000;           ///< commands and tests together
  std::size_t max_nesting = 32;             ///< blocks and test lists inside each other (RFC 5228 2.10.6: 15 at least)
  std::size_t max_errors = 100;             ///< told; after that the compiler stops
  std::int64_t max_regex_memory = 1 << 20;  ///< octets that RE2 may use for one expression
};

struct Program;

class Script {
 public:
  explicit Script(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  const Program& program() const { return *program_; }
  /// Capabilities that the script asked for, in its order.
  const std::vector<std::string>& required() const;

 private:
  std::shared_ptr<const Program> program_;
};

struct Compiled {
  std::shared_ptr<const Script> script;  ///< null when there are errors
  std::vector<Diagnostic> errors;        ///< in the order of the text
};

/// Never fails otherwise. Linear in the source's size. Any thread.
Compiled compile(std::string_view source, const CompileLimits& limits = {});

/// "line:column: message", one a line.
std::string to_text(const std::vector<Diagnostic>& errors);

}  // namespace merpati::sieve
