// Health: whether this replica wants traffic (gates, draining) and what it knows of its dependencies.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/guarded.hpp"

namespace merpati::runtime {

/// Thread safe. Readiness means started, schema usable, not draining. A dependency lost later does not make the replica
/// unready (all replicas would leave at once): it shows in /readyz's body and in metrics.
class Health {
 public:
  struct Condition {
    bool ok = false;
    std::string reason;
  };

  /// A gate closes readiness while it is not ok.
  void gate(std::string_view name, bool ok, std::string_view reason = {});
  /// A dependency is only reported.
  void dependency(std::string_view name, bool ok, std::string_view reason = {});
  /// From now on not ready, for good.
  void set_draining();
  bool draining() const;
  bool ready() const;
  /// {"ready":…,"draining":…,"gates":{…},"dependencies":{…}}
  std::string json() const;
  std::map<std::string, Condition> gates() const;
  std::map<std::string, Condition> dependencies() const;

  /// `listener(ready)` is called after each change, by the thread that changed it. For gRPC's health service.
  void on_change(std::function<void(bool ready)> listener);

 private:
  struct State {
    std::map<std::string, Condition> gates;
    std::map<std::string, Condition> dependencies;
    bool draining = false;
    std::vector<std::function<void(bool)>> listeners;
    bool ready() const;
  };
  void changed();
  Guarded<State> state_;
};

}  // namespace merpati::runtime
