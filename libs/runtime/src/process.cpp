#include "merpati/runtime/process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <latch>
#include <thread>

#include "http_server.hpp"
#include "merpati/runtime/log.hpp"
#include "merpati/runtime/log_counts.hpp"

namespace merpati::runtime {
namespace {

constexpr std::chrono::seconds kStopLimit{5};

std::atomic<int> signal_pipe{-1};
std::atomic<int> signals_seen{0};

/// Only async-signal-safe calls. The second signal ends the process at once.
void on_signal(int number) {
  const int saved = errno;
  if (signals_seen.fetch_add(1) > 0) _exit(128 + number);
  const char byte = 's';
  const int pipe = signal_pipe.load();
  if (pipe >= 0 && ::write(pipe, &byte, 1) < 0) _exit(128 + number);
  errno = saved;
}

void install_handlers(int pipe) {
  signal_pipe = pipe;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

double resident_octets() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

double open_files() {
  double count = 0;
  if (DIR* directory = opendir("/proc/self/fd")) {
    while (readdir(directory) != nullptr) ++count;
    closedir(directory);
    count -= 3;  // ".", ".." and the directory itself
  }
  return count;
}

double file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

/// What every process tells of itself at each scrape.
std::function<void()> self_report(Metrics& metrics, const Health& health, const Loops& loops) {
  const auto gauge = [&metrics](const char* name, const char* help) { return metrics.gauge(name, help); };
  const auto resident = gauge("merpati_process_resident_memory_bytes", "Resident memory");
  const auto cpu = metrics.counter("merpati_process_cpu_seconds_total", "Processor time of all threads");
  const auto files = gauge("merpati_process_open_files", "Open file descriptors");
  const auto most_files = gauge("merpati_process_max_open_files", "Most file descriptors that may be open");
  const auto silence = gauge("merpati_process_loop_silence_seconds", "How long ago the slowest event loop turned");
  const auto ready = gauge("merpati_process_ready", "1 while the process wants traffic");
  const auto draining = gauge("merpati_process_draining", "1 once the process has been told to stop");
  const auto dropped =
      metrics.counter("merpati_log_dropped_lines_total", "Log lines dropped because the output was too slow");
  std::array<Counter, 4> lines;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    lines[i] = metrics.counter("merpati_log_lines_total", "Log lines by level",
                               {{"level", std::string(log::name_of(static_cast<log::Level>(i)))}});
  }
  const auto follow = [](const Counter& counter, double total) { counter.add(std::max(0.0, total - counter.value())); };
  return [=, &metrics, &health, &loops] {
    resident.set(resident_octets());
    follow(cpu, cpu_seconds());
    files.set(open_files());
    most_files.set(file_limit());
    silence.set(std::chrono::duration<double>(loops.longest_silence()).count());
    ready.set(health.ready() ? 1 : 0);
    draining.set(health.draining() ? 1 : 0);
    follow(dropped, static_cast<double>(log::dropped()));
    for (std::size_t i = 0; i < lines.size(); ++i)
      follow(lines[i], static_cast<double>(log::written(static_cast<log::Level>(i))));
    for (const auto& [name, condition] : health.dependencies()) {
      metrics
          .gauge("merpati_dependency_up", "Whether a dependency answered when it was last asked",
                 {{"dependency", name}})
          .set(condition.ok ? 1 : 0);
    }
  };
}

/// Runs one call of each module on loop 0, all at once, and waits for all. A call that throws is logged.
template <class Call>
void on_all(Loops& loops, const std::vector<Module*>& modules, const char* event, Call call) {
  std::latch done(static_cast<std::ptrdiff_t>(modules.size()));
  for (Module* module : modules) {
    asio::co_spawn(loops.main(), call(*module), [&done, module, event](std::exception_ptr error, Result<void> result) {
      if (error) {
        log::error(event, "exception", {{"module", module->name()}});
      } else if (result.has_error()) {
        log::warning(event, "not clean", {{"module", module->name()}, {"error", result.error().describe()}});
      }
      done.count_down();
    });
  }
  done.wait();
}

Task<void> drain_one(Module& module, Deadline deadline) { return module.drain(deadline); }
Task<void> stop_one(Module& module) { return module.stop(); }

}  // namespace

Process::Process(ProcessOptions options)
    : options_(std::move(options)), loops_(options_.loops), blocking_(options_.blocking_threads) {
  if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) {
    wake_[0] = wake_[1] = -1;
  }
  health_.gate("started", false, "starting");
}

Process::~Process() {
  stop();
  if (signal_pipe == wake_[1]) signal_pipe = -1;
  for (const int fd : wake_) {
    if (fd >= 0) close(fd);
  }
}

std::uint16_t Process::http_port() const { return http_ ? http_->port() : 0; }

void Process::add(std::unique_ptr<Module> module) { modules_.push_back(std::move(module)); }

void Process::request_stop() {
  const char byte = 'r';
  if (::write(wake_[1], &byte, 1) < 0) return;  // the pipe is full: a request is there already
}

Result<void> Process::start() {
  stopped_ = false;
  loops_.start();
  export_metrics();
  if (options_.http_port) {
    http_ = std::make_unique<HttpServer>(metrics_, health_, loops_);
    MERPATI_CHECK(http_->start(options_.http_address, *options_.http_port));
  }
  MERPATI_CHECK(start_modules());
  health_.gate("started", true);
  return {};
}

void Process::export_metrics() {
  static const auto started_at = std::chrono::system_clock::now();
  metrics_.gauge("merpati_process_start_time_seconds", "When the process started, as Unix time")
      .set(std::chrono::duration<double>(started_at.time_since_epoch()).count());
  scrape_ = metrics_.before_scrape(self_report(metrics_, health_, loops_));
}

Result<void> Process::start_modules() {
  for (; started_ < modules_.size();) {
    Module& module = *modules_[started_++];
    log::debug("module_starting", "starting", {{"module", module.name()}});
    auto result = block_on(loops_.main(), module.start());
    if (result.has_error()) return std::move(result).error().in(fmt::format("{} did not start", module.name()));
    log::info("module_started", "started", {{"module", module.name()}});
  }
  return {};
}

void Process::drain_modules(Deadline deadline) {
  for (const auto kind : {Module::Kind::kEdge, Module::Kind::kBackend}) {
    std::vector<Module*> modules;
    for (std::size_t i = 0; i < started_; ++i) {
      if (modules_[i]->kind() == kind) modules.push_back(modules_[i].get());
    }
    on_all(loops_, modules, "module_drain", [deadline](Module& module) { return drain_one(module, deadline); });
  }
}

void Process::stop_modules() {
  while (started_ > 0) {
    Module* module = modules_[--started_].get();
    on_all(loops_, {module}, "module_stop", [](Module& one) { return stop_one(one); });
  }
}

void Process::stop() {
  if (stopped_) return;
  stopped_ = true;
  health_.set_draining();
  // A module that never comes back must not keep the process: what is left is cut, and the exit says so.
  std::atomic<bool> done = false;
  std::thread watchdog([&done, limit = Deadline::after(options_.grace_period + 2 * kStopLimit)] {
    while (!limit.passed()) {
      pollfd nothing{-1, 0, 0};
      poll(&nothing, 1, 50);
      if (done) return;
    }
    log::error("stop_timed_out", "a module did not stop; ending the process");
    log::flush();
    _exit(3);
  });
  drain_modules(Deadline::after(options_.grace_period));
  stop_modules();
  blocking_.join();
  loops_.stop();
  http_.reset();
  scrape_.reset();
  modules_.clear();
  done = true;
  watchdog.join();
}

int Process::run() {
  install_handlers(wake_[1]);
  auto started = start();
  if (started.has_error()) {
    log::error("start_failed", started.error().message(), {{"error", started.error().describe()}});
    // Nothing was served: no grace is needed.
    options_.grace_period = std::chrono::seconds(1);
    stop();
    log::flush();
    return 1;
  }
  log::info("process_ready", "ready", {{"loops", loops_.size()}, {"http_port", http_port()}});
  pollfd wake{wake_[0], POLLIN, 0};
  while (poll(&wake, 1, -1) < 0 && errno == EINTR) {
  }
  log::info("process_stopping", "draining",
            {{"grace_seconds", std::chrono::duration<double>(options_.grace_period).count()}});
  const Deadline end = Deadline::after(options_.grace_period);
  health_.set_draining();
  std::this_thread::sleep_for(std::min(options_.endpoint_delay, options_.grace_period));
  options_.grace_period = end.left();
  stop();
  log::info("process_stopped", "stopped");
  log::flush();
  return 0;
}

}  // namespace merpati::runtime
