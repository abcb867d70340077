// StatusService: what a process tells about itself to admin.
#pragma once

#include <string>

#include "merpati/runtime/process.hpp"
#include "merpati/runtime/v1/status.rpc.hpp"

namespace merpati::allinone {

class StatusService : public runtime::v1::StatusService {
 public:
  StatusService(runtime::Process& process, std::string service);
  Task<runtime::v1::GetStatusResponse> get_status(rpc::Context&, const runtime::v1::GetStatusRequest&) override;

 private:
  runtime::Process& process_;
  std::string service_;
  std::int64_t started_at_;
};

}  // namespace merpati::allinone
