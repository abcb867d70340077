#include "merpati/rpc/cell_channel.hpp"

#include "merpati/rpc/replica_channels.hpp"

namespace merpati::rpc {
namespace {

class CellChannel final : public Channel, public ReplicaSource {
 public:
  explicit CellChannel(std::map<std::string, std::shared_ptr<Channel>> cells) : cells_(std::move(cells)) {}

  Task<void> unary(const Method& method, const MessageLite& request, MessageLite& response,
                   const CallOptions& options) override {
    const auto found = cells_.find(options.cell);
    if (found == cells_.end()) return nowhere(options.cell);
    return found->second->unary(method, request, response, options);
  }
  Task<std::shared_ptr<Stream>> open(const Method& method, const MessageLite* only_request,
                                     const CallOptions& options) override {
    const auto found = cells_.find(options.cell);
    if (found == cells_.end()) return no_stream(options.cell);
    return found->second->open(method, only_request, options);
  }
  std::vector<ReplicaChannel> replicas() override {
    std::vector<ReplicaChannel> out;
    for (const auto& [cell, channel] : cells_)
      for (auto& replica : replicas_of(*channel)) out.push_back(std::move(replica));
    return out;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [cell, channel] : cells_) out.push_back(cell);
    return out;
  }

 private:
  static Error unknown(const std::string& cell) {
    return {ErrorCode::kUnavailable, "no store is known for the cell \"" + cell + "\"; name it in peers.cells"};
  }
  static Task<void> nowhere(std::string cell) { co_return unknown(cell); }
  static Task<std::shared_ptr<Stream>> no_stream(std::string cell) { co_return unknown(cell); }

  const std::map<std::string, std::shared_ptr<Channel>> cells_;
};

}  // namespace

std::shared_ptr<Channel> cell_channel(std::map<std::string, std::shared_ptr<Channel>> cells) {
  return std::make_shared<CellChannel>(std::move(cells));
}

std::vector<std::string> cells_of(const Channel& channel) {
  const auto* several = dynamic_cast<const CellChannel*>(&channel);
  return several == nullptr ? std::vector<std::string>{""} : several->names();
}

}  // namespace merpati::rpc
