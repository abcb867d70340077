// Debian's PgBouncer before a test's PostgreSQL, over a Unix socket in the same folder.
#pragma once

#include <fstream>

#include "support/postgres.hpp"

namespace merpati::test {

class PgBouncer {
 public:
  static bool installed() { return std::filesystem::exists(kProgram); }

  /// `settings` are lines of its section [pgbouncer].
  PgBouncer(const Postgres& server, const std::string& settings) : directory_(server.directory()) {
    const auto file = directory_ + "/pgbouncer.ini";
    std::ofstream(file) << "[databases]\n* = host=" << directory_ << " user=postgres\n[pgbouncer]\nlisten_addr =\n"
                        << "unix_socket_dir = " << directory_ << "\nlisten_port = 6432\nauth_type = any\n"
                        << settings;
    pid_ = Postgres::spawn({kProgram, file});
    Postgres::wait_until_it_answers("PgBouncer", dsn());
  }
  ~PgBouncer() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
  }
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;

  std::string dsn() const { return "host=" + directory_ + " port=6432 user=postgres dbname=postgres"; }

 private:
  static constexpr const char* kProgram = "/usr/sbin/pgbouncer";
  const std::string directory_;
  pid_t pid_ = 0;
};

}  // namespace merpati::test
