// A private PostgreSQL for one test program: made from a template directory by initdb once, reached over a Unix socket,
// ended with the program. Integration tests of every service use it.
#pragma once

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace merpati::test {

class Postgres {
 public:
  struct Options {
    bool fsync = false;
    std::vector<std::string> settings;  ///< "name=value"
  };
  Postgres() : Postgres(Options{}) {}
  explicit Postgres(Options options) : options_(std::move(options)) {
    binaries_ = find_binaries();
    char name[] = "/tmp/merpati-pg-XXXXXX";
    if (!::mkdtemp(name)) throw std::runtime_error("no temporary directory");
    directory_ = name;
    if (const auto* user = server_user()) static_cast<void>(!::chown(name, user->pw_uid, user->pw_gid));
    const auto made = make_template();
    if (run({"/bin/cp", "-a", made, directory_ + "/data"}) != 0)
      throw std::runtime_error("cannot copy the template cluster");
    start();
  }
  ~Postgres() {
    stop(SIGQUIT);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  const std::string& directory() const { return directory_; }
  /// A process of the server's user that ends with this one; its output is thrown away.
  static pid_t spawn(const std::vector<std::string>& arguments) {
    const auto* user = server_user();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    if (user && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0), ::dup2(null, 1), ::dup2(null, 2);
    static_cast<void>(!::chdir("/tmp"));
    std::vector<char*> raw;
    for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }

  /// For libpq and pg::Pool.
  std::string dsn() const { return "host=" + directory_ + " port=5432 user=postgres dbname=postgres"; }
  /// Starts it (again) and waits until it answers.
  void start() {
    if (pid_ > 0) return;
    std::vector<std::string> arguments = {binaries_ + "/postgres",
                                          "-D",
                                          directory_ + "/data",
                                          "-k",
                                          directory_,
                                          "-c",
                                          "listen_addresses=",
                                          "-c",
                                          "max_connections=200",
                                          "-c",
                                          "shared_buffers=64MB",
                                          "-c",
                                          "log_min_messages=panic",
                                          "-c",
                                          std::string("fsync=") + (options_.fsync ? "on" : "off")};
    for (const auto& setting : options_.settings) {
      arguments.push_back("-c");
      arguments.push_back(setting);
    }
    pid_ = spawn(arguments);
    wait_until_it_answers("PostgreSQL", dsn());
  }
  static void wait_until_it_answers(const std::string& name, const std::string& dsn) {
    for (int i = 0; i < 2400; ++i) {  // a loaded machine takes its time
      PGconn* connection = PQconnectdb(dsn.c_str());
      const bool good = PQstatus(connection) == CONNECTION_OK;
      PQfinish(connection);
      if (good) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
    throw std::runtime_error(name + " did not start");
  }
  /// SIGKILL: as a crash.
  void kill() { stop(SIGKILL); }
  /// SIGQUIT ends without a checkpoint, SIGINT ends cleanly.
  void stop(int signal = SIGINT) {
    if (pid_ <= 0) return;
    resume();
    ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    if (signal != SIGKILL) return;
    // The children of a killed postmaster end when they notice; a new one refuses to start before.
    for (int i = 0; i < 200; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
      if (run({"/usr/bin/pgrep", "-f", directory_ + "/data"}) != 0 && i >= 2) break;
    }
    std::filesystem::remove(directory_ + "/data/postmaster.pid");
  }
  /// SIGSTOP to all its processes: it keeps its connections and says nothing, until resume().
  void pause() { signal_all(SIGSTOP); }
  void resume() { signal_all(SIGCONT); }
  /// Runs SQL on a connection of its own; the first field of the first row, or "". Throws on an error.
  std::string sql(const std::string& text) const {
    PGconn* connection = PQconnectdb(dsn().c_str());
    PQsetNoticeProcessor(
        connection, [](void*, const char*) {}, nullptr);
    PGresult* result = PQexec(connection, text.c_str());
    const auto status = PQresultStatus(result);
    std::string value = status == PGRES_TUPLES_OK && PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
    const std::string problem =
        status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ? "" : PQerrorMessage(connection);
    PQclear(result);
    PQfinish(connection);
    if (!problem.empty()) throw std::runtime_error(problem);
    return value;
  }

 private:
  static const passwd* server_user() { return ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr; }

  static std::string find_binaries() {
    std::string best;
    for (const char* root : {"/usr/lib/postgresql"}) {
      if (!std::filesystem::exists(root)) continue;
      for (const auto& entry : std::filesystem::directory_iterator(root))
        if (std::filesystem::exists(entry.path() / "bin/postgres"))
          best = std::max(best, (entry.path() / "bin").string());
    }
    if (best.empty()) throw std::runtime_error("PostgreSQL's server is not installed");
    return best;
  }

  void signal_all(int signal) const {
    // The server first, so that it makes no child meanwhile.
    ::kill(pid_, signal);
    const auto number = std::to_string(pid_);
    std::ifstream children("/proc/" + number + "/task/" + number + "/children");
    for (pid_t child = 0; children >> child;) ::kill(child, signal);
  }

  static int run(const std::vector<std::string>& arguments) {
    int status = 0;
    ::waitpid(spawn(arguments), &status, 0);
    return status;
  }

  std::string make_template() const {
    const auto path = "/tmp/merpati-pg-template-" + std::to_string(::geteuid()) + "-" +
                      std::filesystem::path(binaries_).parent_path().filename().string();
    const int lock = ::open((path + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    ::flock(lock, LOCK_EX);
    if (!std::filesystem::exists(path + "/ready/PG_VERSION")) {
      std::filesystem::remove_all(path);
      std::filesystem::create_directory(path);
      if (const auto* user = server_user()) static_cast<void>(!::chown(path.c_str(), user->pw_uid, user->pw_gid));
      const bool made = run({binaries_ + "/initdb", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8",
                             "--locale=C.UTF-8", "-D", path + "/making"}) == 0;
      if (made)
        std::filesystem::rename(path + "/making", path + "/ready");
      else
        ::close(lock), throw std::runtime_error("initdb failed");
    }
    ::close(lock);
    return path + "/ready";
  }

  Options options_;
  std::string binaries_;
  std::string directory_;
  pid_t pid_ = 0;
};

}  // namespace merpati::test
