// auth's reasons for a refused login as IMAP replies (RFC 5530), and what happens after too many.
#pragma once

#include "imap/session.hpp"
#include "merpati/auth/v1/auth.pb.h"

namespace merpati::imap {

Reply refuse_login(Session& session, const auth::v1::LoginFailure& failure);
auth::v1::ClientInfo client_info(Session& session);

}  // namespace merpati::imap
