// A private OpenStack Swift with s3api for one test program (tests/support/swift.py), ended with the program.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>

namespace merpati::test {

class Swift {
 public:
  Swift() {
    char name[] = "/tmp/merpati-swift-XXXXXX";
    directory_ = ::mkdtemp(name);
    const auto port = free_ports(5);
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      const auto log = directory_ + "/start.log";
      const int errors = ::open(log.c_str(), O_CREAT | O_WRONLY, 0600);
      ::dup2(errors, 2);
      const std::string script = MERPATI_SOURCE_DIR "/tests/support/swift.py";
      ::execl("/usr/bin/python3", "python3", script.c_str(), directory_.c_str(), std::to_string(port).c_str(), nullptr);
      ::_exit(77);
    }
    ::close(in[0]);
    ::close(out[1]);
    commands_ = in[1];
    answers_ = out[0];
    const auto line = read_line();
    if (line.starts_with("READY ")) {
      endpoint_ = line.substr(6);
    } else {
      std::ifstream log(directory_ + "/start.log");
      std::string reason = "Swift did not start";
      for (std::string text; std::getline(log, text);) reason = text;
      reason_ = reason;
    }
  }
  ~Swift() {
    ::close(commands_);
    ::close(answers_);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Swift(const Swift&) = delete;
  Swift& operator=(const Swift&) = delete;

  /// Empty when it could not be started; then reason() tells why.
  const std::string& endpoint() const { return endpoint_; }
  const std::string& reason() const { return reason_; }

  /// It accepts connections and never answers; and the end of that.
  void pause() { tell("pause"); }
  void resume() { tell("resume"); }
  /// Nobody listens; and the end of that, with everything that was stored.
  void down() { tell("down"); }
  void up() { tell("up"); }

 private:
  std::string read_line() {
    std::string line;
    for (char c = 0; ::read(answers_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  void tell(std::string what) {
    what += '\n';
    if (::write(commands_, what.data(), what.size()) != static_cast<ssize_t>(what.size()) || read_line() != "OK")
      throw std::runtime_error("Swift did not " + what);
  }

  /// The first of `count` neighbouring ports that are free now.
  static int free_ports(int count) {
    std::mt19937 random{std::random_device{}()};
    for (;;) {
      const int first = std::uniform_int_distribution<>(20000, 32000)(random);
      int good = 0;
      for (; good < count; ++good) {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(first + good));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool bound = ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        ::close(descriptor);
        if (!bound) break;
      }
      if (good == count) return first;
    }
  }

  std::string directory_, endpoint_, reason_;
  pid_t pid_ = 0;
  int commands_ = -1, answers_ = -1;
};

}  // namespace merpati::test
