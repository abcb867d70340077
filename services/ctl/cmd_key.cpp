#include "ctl/commands.hpp"

namespace merpati::ctl {

void add_key_commands(CLI::App& app, Session& session) {
  auto* group = add_group(app, "key", "Keys that sign session tokens");
  add_command(group, session, "rotate", "Sign new sessions with a new key; those that stand go on",
              [&session](Client& client) {
                const auth::v1::RotateSigningKeyRequest request;
                print_one(session.format, to_json(client.call(&AdminClient::rotate_signing_key, request)));
              });
}

}  // namespace merpati::ctl
