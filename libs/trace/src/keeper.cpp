#include "merpati/trace/keeper.hpp"

#include "merpati/pg/pool_metrics.hpp"
#include "merpati/runtime/duration.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/machine_name.hpp"

namespace merpati::trace {
namespace {

using namespace std::chrono_literals;
constexpr auto kCareEvery = 1h;
constexpr auto kCareAgain = 1min;  // after a failure
constexpr auto kOneWrite = 10s;

pg::PoolOptions pool_options(const Keeper::Options& options, const config::v1::Database& database,
                             runtime::Metrics& metrics) {
  pg::PoolOptions out;
  out.dsn = database.dsn();
  out.schema = options.service;
  out.application_name = "merpati-" + options.service + "-trace";
  out.read_connections = 1;
  out.write_connections = 1;
  out.max_waiting = 100;
  out.settings["synchronous_commit"] = "off";
  out.observer = pg::pool_observer(metrics, options.service + "_trace");
  return out;
}

int whole_days(const google::protobuf::Duration& duration) {
  return std::max(1, static_cast<int>(duration.seconds() / 86400));
}

Recorder::Options recorder_options(const std::string& service) {
  Recorder::Options out;
  out.service = service;
  out.host = runtime::machine_name();
  return out;
}

}  // namespace

struct Keeper::Parts {
  Parts(runtime::Process& process, const Options& options, const config::v1::Database& database,
        const config::v1::TraceEvents& config)
      : enabled(config.enabled()),
        days(whole_days(config.keep())),
        pool({process.loops().main()}, pool_options(options, database, process.metrics())),
        scrape(pg::export_pool(process.metrics(), options.service + "_trace", pool)),
        table(pool, options.mailboxes),
        recorder(
            recorder_options(options.service), process.metrics(),
            [this](const std::vector<v1::Event>& batch) { return table.write(batch, Deadline::after(kOneWrite)); }),
        service(config.enabled() ? &recorder : nullptr, table),
        tasks(process.loops().main()) {}

  const bool enabled;
  const int days;
  pg::Pool pool;
  std::shared_ptr<void> scrape;
  EventTable table;
  Recorder recorder;
  EventService service;
  TaskGroup tasks;
};

Keeper::Keeper(runtime::Process& process, Options options, const config::v1::Database& database,
               const config::v1::TraceEvents& config)
    : parts_(std::make_unique<Parts>(process, options, database, config)) {}
Keeper::~Keeper() = default;

Recorder* Keeper::recorder() { return parts_->enabled ? &parts_->recorder : nullptr; }
rpc::Service& Keeper::service() { return parts_->service; }

Task<void> Keeper::start() {
  parts_->tasks.spawn(care_for_ever());
  co_return Result<void>();
}

/// Writing begins once there are partitions to write to. What was kept before is dropped in time though nothing is kept
/// any more.
asio::awaitable<void> Keeper::care_for_ever() {
  for (bool writing = false;;) {
    const auto done = co_await parts_->table.care(parts_->days, Deadline::after(30s));
    if (done.has_error()) {
      if (done.error().code() == ErrorCode::kCancelled) co_return;
      log::warning("trace_care_failed", done.error().describe());
    } else if (parts_->enabled && !writing) {
      writing = true;
      parts_->tasks.spawn(parts_->recorder.run());
    }
    const std::chrono::nanoseconds wait = done.has_error() ? kCareAgain : kCareEvery;
    if ((co_await sleep_for(wait)).has_error()) co_return;
  }
}

Task<void> Keeper::stop() {
  parts_->tasks.cancel();
  static_cast<void>(co_await parts_->tasks.join(Deadline::after(1s)));
  static_cast<void>(co_await with_deadline(parts_->recorder.flush(), Deadline::after(1s)));
  parts_->pool.close();
  co_return Result<void>();
}

}  // namespace merpati::trace
