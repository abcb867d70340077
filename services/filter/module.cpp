#include "filter/module.hpp"

#include "filter/rpc/filter_service.hpp"
#include "merpati/config/v1/filter.pb.h"

namespace merpati::filter {
namespace {
CheckLimits limits_from(const config::v1::Filter& config) {
  CheckLimits limits;
  limits.max_received = config.max_received();
  limits.max_header_size = config.max_header_size();
  limits.max_header_fields = config.max_header_fields();
  limits.max_parts = config.max_parts();
  limits.strict_headers = config.strict_headers();
  limits.max_scanned_size = config.max_scanned_size();
  return limits;
}
}  // namespace

Module::Module(runtime::Process& process, const config::v1::Filter& config, std::shared_ptr<rpc::Channel> store)
    : service_(std::make_unique<FilterService>(config.authserv_id(), limits_from(config), process.metrics(),
                                               std::move(store), process.blocking())) {
  dispatcher_.register_service(*service_);
}
Module::~Module() = default;

Task<void> Module::start() { co_return Result<void>(); }
Task<void> Module::drain(Deadline) { co_return Result<void>(); }
Task<void> Module::stop() { co_return Result<void>(); }

}  // namespace merpati::filter
