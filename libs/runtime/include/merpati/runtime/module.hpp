// Module: a service as a process sees it. services/X/module.hpp implements one.
#pragma once

#include <string_view>

#include "merpati/base/task.hpp"

namespace merpati::runtime {

/// All methods run on loop 0, one at a time for each module.
class Module {
 public:
  virtual ~Module() = default;
  virtual std::string_view name() const = 0;
  /// Edges drain before the backends that they call.
  enum class Kind { kEdge, kBackend };
  virtual Kind kind() const = 0;

  /// Opens what it needs and begins to serve. An error ends the process with its text.
  virtual Task<void> start() = 0;
  /// Stops accepting and lets what is in hand finish, until `deadline`.
  virtual Task<void> drain(Deadline deadline) = 0;
  /// Cancels what is left and joins it. Called also when start() failed. Returns soon (a second or two).
  virtual Task<void> stop() = 0;
};

}  // namespace merpati::runtime
