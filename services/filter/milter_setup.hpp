// Milters as the configuration has them.
#pragma once

#include <string>
#include <vector>

#include "filter/milter_dialog.hpp"
#include "merpati/config/v1/filter_milters.pb.h"
#include "merpati/runtime/process.hpp"

namespace merpati::filter {

/// "unix:/path", "local:/path", "inet:port@host", "inet6:port@host" (Sendmail's and Postfix's words), "host:port" or a
/// path, as a ScannerLink takes it. kInvalidArgument when it is none of these.
Result<std::string> milter_address(const std::string& address);

using MilterConfigs = google::protobuf::RepeatedPtrField<config::v1::Milter>;
/// kInvalidArgument names the key that is wrong.
Result<std::vector<MilterSettings>> milter_settings(const MilterConfigs& config);
Result<MilterSeats> make_milters(const MilterConfigs& config, runtime::Metrics& metrics, asio::thread_pool& blocking);

}  // namespace merpati::filter
