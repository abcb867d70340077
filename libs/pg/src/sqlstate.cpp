#include "merpati/pg/sqlstate.hpp"

#include <fmt/format.h>

namespace merpati::pg {
namespace {

struct Line {
  std::string_view prefix;  // the longest that matches wins: whole codes stand before their class
  ErrorCode code;
};

constexpr Line kTable[] = {
    {"", ErrorCode::kUnavailable},         // no SQLSTATE: the connection was lost
    {"23505", ErrorCode::kAlreadyExists},  // unique violation
    {"23", ErrorCode::kFailedPrecondition},
    {"22", ErrorCode::kInvalidArgument},  // data exception
    {"25006", ErrorCode::kUnavailable},   // read only: this server is a standby now
    {"28", ErrorCode::kUnavailable},     // our own role is refused: an operator must act, peers see a temporary failure
    {"3D000", ErrorCode::kUnavailable},  // database does not exist (yet)
    {"40001", ErrorCode::kAborted},      // serialization failure
    {"40P01", ErrorCode::kAborted},      // deadlock
    {"40", ErrorCode::kAborted},
    {"42501", ErrorCode::kPermissionDenied},
    {"42P01", ErrorCode::kUnavailable},  // table missing: not migrated yet
    {"42883", ErrorCode::kUnavailable},  // function missing: not migrated yet
    {"3F000", ErrorCode::kUnavailable},  // schema missing: not migrated yet
    {"42", ErrorCode::kInternal},
    {"53", ErrorCode::kUnavailable},  // disk full, out of memory, too many connections
    {"54", ErrorCode::kResourceExhausted},
    {"55P03", ErrorCode::kAborted},  // lock not available
    {"55", ErrorCode::kFailedPrecondition},
    {"57014", ErrorCode::kDeadlineExceeded},  // statement_timeout
    {"57", ErrorCode::kUnavailable},          // shutting down
    {"58", ErrorCode::kUnavailable},          // I/O error of the server
    {"08", ErrorCode::kUnavailable},
    {"XX001", ErrorCode::kDataLoss},
    {"XX002", ErrorCode::kDataLoss},
};

ErrorCode code_of(std::string_view sqlstate) {
  if (sqlstate.size() == 5 && sqlstate.starts_with("MP")) {
    int number = 0;
    for (const char c : sqlstate.substr(2)) number = c >= '0' && c <= '9' ? number * 10 + (c - '0') : 1000;
    return number >= 1 && number <= 16 ? static_cast<ErrorCode>(number) : ErrorCode::kInternal;
  }
  const Line* best = nullptr;
  for (const auto& line : kTable) {
    const bool match = line.prefix.empty() ? sqlstate.empty() : sqlstate.starts_with(line.prefix);
    if (match && (!best || line.prefix.size() > best->prefix.size())) best = &line;
  }
  return best ? best->code : ErrorCode::kInternal;
}

}  // namespace

Error error_from_sqlstate(std::string_view sqlstate, std::string_view message) {
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.remove_suffix(1);
  if (sqlstate.empty()) return Error(code_of(sqlstate), fmt::format("PostgreSQL: {}", message));
  Error error(code_of(sqlstate), fmt::format("PostgreSQL {}: {}", sqlstate, message));
  // MP is raised by our own functions only, with texts that are written for people.
  if (sqlstate.starts_with("MP")) return std::move(error).with_public(std::string(message));
  return error;
}

bool is_conflict(std::string_view sqlstate) { return sqlstate == "40001" || sqlstate == "40P01"; }

bool may_pass(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kDeadlineExceeded ||
         code == ErrorCode::kResourceExhausted || code == ErrorCode::kAborted;
}

bool ends_connection(std::string_view sqlstate) {
  return sqlstate == "25006" || sqlstate.starts_with("57P") || sqlstate.starts_with("08");
}

}  // namespace merpati::pg
