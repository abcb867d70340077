#include "connection.hpp"

#include <fmt/format.h>

#include "answer.hpp"
#include "merpati/pg/pool.hpp"
#include "merpati/pg/sqlstate.hpp"

namespace merpati::pg {

namespace {
constexpr std::string_view kInDoubt = "connection lost with the statement in flight";
}

bool outcome_unknown(const Error& error) {
  return error.code() == ErrorCode::kUnavailable && std::string_view(error.message()).starts_with(kInDoubt);
}

Result<Handle> open_connection(const std::string& dsn, const std::string& options, const std::string& application_name,
                               std::chrono::milliseconds timeout) {
  const auto seconds = std::to_string(std::max<std::int64_t>(2, timeout.count() / 1000));
  const char* const names[] = {
      "dbname",          "application_name",    "connect_timeout",  "options",          "client_encoding",
      "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", nullptr};
  const char* const values[] = {
      dsn.c_str(), application_name.c_str(), seconds.c_str(), options.c_str(), "UTF8", "10", "5", "3", "15000",
      nullptr};
  Handle connection(PQconnectdbParams(names, values, 1));
  if (PQstatus(connection.get()) != CONNECTION_OK)
    return error_from_sqlstate("", PQerrorMessage(connection.get())).in("cannot connect");
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

Connection::Connection(asio::any_io_executor loop, Handle connection, Events events)
    : loop_(loop), connection_(connection.release()), socket_(loop), events_(std::move(events)) {}

Connection::~Connection() { close(Error(ErrorCode::kUnavailable, "connection closed")); }

void Connection::start() {
  PQsetnonblocking(connection_, 1);
  PQenterPipelineMode(connection_);
  socket_.assign(PQsocket(connection_));
  wait_readable();
}

void Connection::close(const Error& why) {
  if (!connection_) return;
  socket_.release();  // libpq owns the descriptor
  PQfinish(connection_);
  connection_ = nullptr;
  for (auto& flight : flights_) {
    if (flight.result) PQclear(flight.result);
    flight.op->complete(Error(why).in(kInDoubt));
  }
  flights_.clear();
}

void Connection::fail(const Error& why) {
  if (!connection_) return;
  auto self = shared_from_this();
  close(why);
  if (events_.lost) events_.lost(this, why);
}

void Connection::expire(SteadyTime now) {
  for (auto& flight : flights_)
    if (flight.op->deadline.at() <= now)
      flight.op->complete(
          Error(ErrorCode::kDeadlineExceeded, "PostgreSQL took too long: " + flight.op->statement->name));
}

void Connection::send(std::shared_ptr<Op> op) {
  const auto& values = op->params.values();
  std::vector<const char*> pointers(values.size());
  std::vector<int> lengths(values.size()), formats(values.size(), 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    pointers[i] = op->params.at(values[i]);
    lengths[i] = values[i].length;
  }
  const int count = static_cast<int>(values.size());
  auto& name = prepared_[op->statement->name];
  InFlight flight;
  flight.op = std::move(op);
  bool sent = true;
  if (name.empty()) {
    name =
        generation_ == 0 ? flight.op->statement->name : fmt::format("{}#{}", flight.op->statement->name, generation_);
    std::vector<Oid> types(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) types[i] = values[i].oid;
    flight.preparing = true;
    sent = PQsendPrepare(connection_, name.c_str(), flight.op->statement->sql.c_str(), count, types.data()) == 1;
  }
  // Each statement has its own Sync, so that each is its own transaction and fails alone.
  sent = sent &&
         PQsendQueryPrepared(connection_, name.c_str(), count, pointers.data(), lengths.data(), formats.data(), 1) == 1;
  sent = sent && PQpipelineSync(connection_) == 1;
  flight.op->sent = std::chrono::steady_clock::now();
  flights_.push_back(std::move(flight));
  if (!sent) return fail(error_from_sqlstate("", PQerrorMessage(connection_)));
  flush();
}

void Connection::flush() {
  if (writing_ || !connection_) return;
  const int left = PQflush(connection_);
  if (left < 0) return fail(error_from_sqlstate("", PQerrorMessage(connection_)));
  if (left == 0) return;
  writing_ = true;
  socket_.async_wait(asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->writing_ = false;
                       if (!error) self->flush();
                     });
}

void Connection::wait_readable() {
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error || !self->connection_) return;
                       if (PQconsumeInput(self->connection_) == 0)
                         return self->fail(error_from_sqlstate("", PQerrorMessage(self->connection_)));
                       self->heard_ = true;
                       self->flush();
                       if (self->connection_) self->read_results();
                       if (self->connection_) self->wait_readable();
                     });
}

void Connection::read_results() {
  bool freed = false;
  int ends = 0;
  while (connection_ && !flights_.empty() && PQisBusy(connection_) == 0) {
    PGresult* result = PQgetResult(connection_);
    if (!result) {  // the end of one command's results
      if (++ends > 2) break;
      continue;
    }
    ends = 0;
    const bool sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    on_result(result);
    if (sync) freed = true;
  }
  if (connection_ && PQstatus(connection_) == CONNECTION_BAD)
    return fail(error_from_sqlstate("", PQerrorMessage(connection_)));
  if (freed && connection_ && events_.freed) events_.freed();
}

void Connection::on_result(PGresult* result) {
  auto& flight = flights_.front();
  switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
      PQclear(result);
      finish_front();
      return;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
      if (flight.preparing && !flight.failed) {
        flight.preparing = false;
        break;
      }
      if (flight.result) PQclear(flight.result);
      flight.result = result;
      return;
    case PGRES_PIPELINE_ABORTED:
      break;
    default:
      if (!flight.failed) {
        const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        flight.failed = true;
        flight.sqlstate = sqlstate_of(result);
        flight.message = text ? text : PQresultErrorMessage(result);
      }
      break;
  }
  PQclear(result);
}

void Connection::finish_front() {
  auto flight = std::move(flights_.front());
  flights_.pop_front();
  if (!flight.failed) {
    if (flight.result)
      flight.op->complete(Rows(flight.result));
    else
      flight.op->complete(Error(ErrorCode::kInternal, "PostgreSQL gave no result"));
    return;
  }
  if (flight.result) PQclear(flight.result);
  if (flight.preparing) prepared_.erase(flight.op->statement->name);
  // 26000: the plan is unknown here (a neighbour's Prepare failed, a pooler changed the server). 0A000: a migration
  // changed the result's columns. Both did nothing; prepare under a new name and send once more.
  const bool lost_plan = flight.sqlstate == "26000" ||
                         (flight.sqlstate == "0A000" && flight.message.find("cached plan") != std::string::npos);
  if (lost_plan && !flight.op->prepared_again) {
    flight.op->prepared_again = true;
    ++generation_;
    prepared_.erase(flight.op->statement->name);
    return events_.repeat(std::move(flight.op));
  }
  constexpr int kMaxConflicts = 6;
  if (is_conflict(flight.sqlstate) && ++flight.op->conflicts <= kMaxConflicts && !flight.op->finished())
    return events_.repeat(std::move(flight.op));
  auto error = error_from_sqlstate(flight.sqlstate, flight.message);
  const bool end = ends_connection(flight.sqlstate);
  flight.op->complete(std::move(error).in(flight.op->statement->name));
  if (end) fail(error_from_sqlstate(flight.sqlstate, flight.message));
}

}  // namespace merpati::pg
