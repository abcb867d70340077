#include "probe.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include "connection.hpp"

namespace merpati::pg {
namespace {
using namespace std::chrono_literals;

constexpr auto kSlice = 20ms;
constexpr auto kPatience = 500ms;
constexpr auto kFresh = 200ms;

}  // namespace

Result<void> probe_server(const std::string& dsn, std::chrono::milliseconds patience) {
  const char* const names[] = {"dbname", "application_name", nullptr};
  const char* const values[] = {dsn.c_str(), "merpati probe", nullptr};
  const Handle connection(PQconnectStartParams(names, values, 1));
  if (!connection || PQstatus(connection.get()) == CONNECTION_BAD)
    return Error(ErrorCode::kUnavailable, connection ? PQerrorMessage(connection.get()) : "no memory");
  auto wanted = PGRES_POLLING_WRITING;
  // Slices and not a clock, so that a stop of our own does not count as the server's.
  for (auto left = patience / kSlice; left > 0;) {
    pollfd wait{PQsocket(connection.get()), static_cast<short>(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    if (::poll(&wait, 1, static_cast<int>(kSlice.count())) <= 0) {
      --left;
      continue;
    }
    char first = 0;
    if (wanted == PGRES_POLLING_READING && ::recv(wait.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0) return {};
    wanted = PQconnectPoll(connection.get());
    if (wanted == PGRES_POLLING_OK) return {};
    if (wanted == PGRES_POLLING_FAILED) return Error(ErrorCode::kUnavailable, PQerrorMessage(connection.get()));
  }
  return Error(ErrorCode::kUnavailable, "PostgreSQL does not answer");
}

Result<void> Prober::ask(const std::string& dsn) {
  std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() - answered_at_ < kFresh) return answer_;
  answer_ = probe_server(dsn, kPatience);
  answered_at_ = std::chrono::steady_clock::now();
  return answer_;
}

}  // namespace merpati::pg
