#include "merpati/rpc/service.hpp"

namespace merpati::rpc {

Error unimplemented(const Method& method) {
  return Error(ErrorCode::kUnimplemented, std::string(method.path) + " is not implemented");
}

Error no_such_method() { return Error(ErrorCode::kUnimplemented, "no such method"); }

}  // namespace merpati::rpc
