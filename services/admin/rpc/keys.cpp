// The keys that sign session tokens: owned by auth.
#include "admin/rpc/admin_service.hpp"

namespace merpati::admin {

Task<auth::v1::RotateSigningKeyResponse> AdminService::rotate_signing_key(
    rpc::Context& context, const auth::v1::RotateSigningKeyRequest& request) {
  return pass(context, Act{"RotateSigningKey", "", Act::Reach::kPlatform, true, {}}, directory_,
              &Directory::rotate_signing_key, request);
}

}  // namespace merpati::admin
