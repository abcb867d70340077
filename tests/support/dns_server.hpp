// A little DNS server over UDP on loopback, for tests: answers what it was told, and counts.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace merpati::test {

class DnsServer {
 public:
  DnsServer() {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    static_cast<void>(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    socklen_t size = sizeof address;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~DnsServer() {
    stop_ = true;
    thread_.join();
    ::close(socket_);
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  /// "127.0.0.1@port", as the resolver's options want it.
  std::string server() const { return "127.0.0.1@" + std::to_string(port_); }

  void add_mx(const std::string& name, std::uint16_t preference, const std::string& host) {
    add(name, 15, std::string{static_cast<char>(preference >> 8), static_cast<char>(preference)} + wire_name(host));
  }
  void add_a(const std::string& name, const std::string& address) { add_address(name, 1, AF_INET, 4, address); }
  void add_aaaa(const std::string& name, const std::string& address) { add_address(name, 28, AF_INET6, 16, address); }
  void add_ptr(const std::string& reverse_name, const std::string& host) { add(reverse_name, 12, wire_name(host)); }
  void add_txt(const std::string& name, const std::vector<std::string>& strings) {
    std::string data;
    for (const auto& s : strings) data += static_cast<char>(s.size()) + s;
    add(name, 16, data);
  }
  /// Every question about this name gets SERVFAIL.
  void fail(const std::string& name) {
    std::lock_guard lock(mutex_);
    failing_[name] = true;
  }
  /// No question about this name is answered.
  void ignore(const std::string& name) {
    std::lock_guard lock(mutex_);
    ignored_.insert(name);
  }
  int questions() const { return questions_; }

 private:
  static std::string wire_name(std::string_view name) {
    std::string out;
    while (!name.empty()) {
      const auto dot = name.find('.');
      const auto label = name.substr(0, dot);
      out += static_cast<char>(label.size());
      out += label;
      name = dot == std::string_view::npos ? "" : name.substr(dot + 1);
    }
    return out + '\0';
  }
  void add_address(const std::string& name, int type, int family, std::size_t size, const std::string& text) {
    std::string data(size, '\0');
    ::inet_pton(family, text.c_str(), data.data());
    add(name, type, data);
  }
  void add(const std::string& name, int type, std::string data) {
    std::lock_guard lock(mutex_);
    zone_[name][type].push_back(std::move(data));
  }
  static void put16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value);
  }

  std::string answer(std::string_view query) {
    std::string name;
    std::size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      const auto size = static_cast<unsigned char>(query[at]);
      if (!name.empty()) name += '.';
      for (char c : query.substr(at + 1, size)) name += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      at += size + 1u;
    }
    if (at + 5 > query.size()) return {};
    const int type = static_cast<unsigned char>(query[at + 1]) << 8 | static_cast<unsigned char>(query[at + 2]);
    const std::string_view question = query.substr(12, at + 5 - 12);
    std::lock_guard lock(mutex_);
    const auto found = zone_.find(name);
    if (ignored_.contains(name)) return {};
    const bool fails = failing_.contains(name);
    std::vector<std::string> records;
    if (found != zone_.end() && found->second.contains(type)) records = found->second.at(type);
    const unsigned code = fails ? 2 : found == zone_.end() ? 3 : 0;
    std::string out(query.substr(0, 2));
    put16(out, 0x8580 | code);  // an authoritative answer, recursion available
    put16(out, 1);
    put16(out, static_cast<unsigned>(fails ? 0 : records.size()));
    put16(out, 0);
    put16(out, 0);
    out += question;
    if (!fails) {
      for (const auto& record : records) {
        put16(out, 0xC00C);
        put16(out, static_cast<unsigned>(type));
        put16(out, 1);
        put16(out, 0);
        put16(out, 60);
        put16(out, static_cast<unsigned>(record.size()));
        out += record;
      }
    }
    return out;
  }

  void run() {
    char buffer[2048];
    while (!stop_) {
      pollfd wait{socket_, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) continue;
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const auto got = ::recvfrom(socket_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 17) continue;
      ++questions_;
      const std::string reply = answer({buffer, static_cast<std::size_t>(got)});
      if (reply.empty()) continue;
      ::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int> questions_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::map<int, std::vector<std::string>>> zone_;
  std::map<std::string, bool> failing_;
  std::set<std::string> ignored_;
  std::thread thread_;
};

}  // namespace merpati::test
