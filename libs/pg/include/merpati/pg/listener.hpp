// Listener: LISTEN on a connection of its own, which is opened again whenever it is lost.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"

namespace merpati::pg {

class Listener {
 public:
  /// All on `loop`. `notified` gets each notification; `connected` is called at every (re)connection: notifications may
  /// have been missed before it, so check what matters then.
  struct Handlers {
    std::function<void(std::string_view channel, std::string_view payload)> notified;
    std::function<void()> connected;
  };
  Listener(asio::any_io_executor loop, std::string dsn, std::vector<std::string> channels, Handlers handlers);
  ~Listener();  ///< no handler runs after it when called on the loop
  void start();
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace merpati::pg
