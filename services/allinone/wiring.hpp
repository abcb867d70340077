// Wiring: how the services meet, in one process or over the network. The only file that names their modules.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/config/v1/config.pb.h"
#include "merpati/runtime/process.hpp"

namespace merpati::allinone {

/// What the modules refer to; outlives the process's run.
class Wiring {
 public:
  Wiring();
  ~Wiring();
  /// Adds every service, in-process channels between them, and admin's server.
  void wire_all(runtime::Process& process, const config::v1::Config& config);
  /// Adds one service with network channels, and its server; false when there is no such service.
  bool wire_one(runtime::Process& process, const config::v1::Config& config, std::string_view service);
  /// All services, in the order of their start.
  static std::vector<std::string_view> services();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace merpati::allinone
