// Signed zones below "test." on a private NSD, as Debian's ldns-signzone makes them: one that is right, some that are
// broken in a way each, and one that its parent delegates without a DS record.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace merpati::test {

class SignedZones {
 public:
  static bool installed() {
    return std::filesystem::exists(kServer) && std::filesystem::exists("/usr/bin/ldns-signzone");
  }

  SignedZones() {
    char name[] = "/tmp/merpati-dns-XXXXXX";
    if (!::mkdtemp(name)) throw std::runtime_error("no temporary directory");
    directory_ = name;
    write_zone("test", "ns A 127.0.0.1\n");
    for (const std::string zone : {"signed", "altered", "expired", "stripped", "insecure"}) {
      write_zone(zone + ".test", R"(@ TXT "v=spf1 ip4:192.0.2.1 -all"
@ MX 10 mail
mail A 192.0.2.1
)");
      append("test.zone", zone + ".test. NS ns.test.\n");
      if (zone != "insecure") sign(zone + ".test", zone == "expired" ? "-i 20200101000000 -e 20200201000000" : "");
      if (zone != "insecure") append("test.zone", read("Kds." + zone + ".test"));
    }
    sign("test", "");
    // The signature remains, what it signs does not.
    run("sed -i 's/192[.]0[.]2[.]1/192.0.2.9/' altered.test.zone.signed");
    run("cp stripped.test.zone stripped.test.zone.signed && cp insecure.test.zone insecure.test.zone.signed");
    // A port that is free now may be somebody's when NSD takes it.
    for (int attempt = 0; attempt < 10; ++attempt)
      if (start()) return;
    throw std::runtime_error("NSD did not start: " + read("log"));
  }
  ~SignedZones() {
    if (pid_ > 0) ::kill(pid_, SIGTERM);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  SignedZones(const SignedZones&) = delete;
  SignedZones& operator=(const SignedZones&) = delete;

  /// "127.0.0.1@port", as the resolver's options want it.
  std::string server() const { return "127.0.0.1@" + std::to_string(port_); }
  /// The DS record of "test.".
  std::string trust_anchor() const { return directory_ + "/Kds.test"; }

 private:
  static constexpr const char* kServer = "/usr/sbin/nsd";

  void run(const std::string& command) const {
    const auto whole = "cd " + directory_ + " && { " + command + "; } >>log 2>&1";
    if (std::system(whole.c_str()) != 0) throw std::runtime_error(command + ": " + read("log"));
  }
  std::string read(const std::string& file) const {
    std::ifstream in(directory_ + "/" + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void append(const std::string& file, const std::string& text) const {
    std::ofstream(directory_ + "/" + file, std::ios::app) << text;
  }
  void write_zone(const std::string& zone, const std::string& records) const {
    append(zone + ".zone", "$ORIGIN " + zone +
                               ".\n$TTL 3600\n"
                               "@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ NS ns.test.\n" +
                               records);
  }
  void sign(const std::string& zone, const std::string& when) const {
    run("key=$(ldns-keygen -a ED25519 -k " + zone + ") && mv $key.ds Kds." + zone + " && ldns-signzone -n " + when +
        " " + zone + ".zone $key");
  }
  /// False when the program ends or does not answer.
  bool start() {
    const int probe = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    static_cast<void>(::bind(probe, reinterpret_cast<sockaddr*>(&address), size));
    ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    ::close(probe);
    std::string config = "server:\n  ip-address: 127.0.0.1@" + std::to_string(port_) +
                         "\n  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  database: \"\"\n  server-count: 1\n"
                         "  zonesdir: \"" +
                         directory_ + "\"\n  xfrdfile: \"" + directory_ + "/xfrd\"\n  zonelistfile: \"" + directory_ +
                         "/zones\"\n  cookie-secret-file: \"\"\nremote-control:\n  control-enable: no\n";
    for (const std::string zone : {"", "signed.", "altered.", "expired.", "stripped.", "insecure."})
      config += "zone:\n  name: " + zone + "test\n  zonefile: " + zone + "test.zone.signed\n";
    const auto file = directory_ + "/nsd.conf";
    std::ofstream(file) << config;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int log = ::open((directory_ + "/log").c_str(), O_WRONLY | O_APPEND);
      ::dup2(log, 1), ::dup2(log, 2);
      ::execl(kServer, kServer, "-d", "-c", file.c_str(), nullptr);
      ::_exit(127);
    }
    if (answers()) return true;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    return false;
  }
  /// Waits for it.
  bool answers() const {
    const std::string question("\0\1\0\0\0\1\0\0\0\0\0\0\4test\0\0\6\0\1", 22);  // test. SOA
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    const int client = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const timeval patience{0, 100'000};
    ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool answered = false;
    siginfo_t end{};
    for (int i = 0; i < 300 && !answered && end.si_pid == 0; ++i) {
      char answer[512];
      ::sendto(client, question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
      answered = ::recv(client, answer, sizeof answer, 0) > 0;
      if (!answered) ::usleep(50'000);
      ::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT);
    }
    ::close(client);
    return answered;
  }

  std::string directory_;
  int port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace merpati::test
