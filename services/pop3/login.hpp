// What USER/PASS and AUTH share: from auth's verdict to an open maildrop, or to the right refusal.
#pragma once

#include "pop3/session.hpp"

namespace merpati::pop3 {

/// RFC 3206: AUTH when the credentials are wrong, SYS/TEMP when they may be right.
ResponseCode response_code(auth::v1::LoginFailure::Reason reason);

Task<void> login_succeeded(Session& session, auth::v1::LoginResult result);
void login_failed(Session& session, const auth::v1::LoginFailure& failure);
/// The call to auth itself failed.
void login_failed(Session& session, const Error& error);

}  // namespace merpati::pop3
