// A channel to several cells of one service: each holds other accounts, and a call names its cell.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "merpati/rpc/channel.hpp"

namespace merpati::rpc {

/// Sends each call to the channel of CallOptions::cell. A cell that is not in `cells` is kUnavailable: it may be known
/// to those who are configured anew already. Its replicas are those of all cells.
std::shared_ptr<Channel> cell_channel(std::map<std::string, std::shared_ptr<Channel>> cells);
/// What CallOptions::cell may be on this channel; of one that knows no cells the empty name.
std::vector<std::string> cells_of(const Channel& channel);

}  // namespace merpati::rpc
