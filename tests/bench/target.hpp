// Which server is measured: the variables of a target.env file, written by `./dev up` and by the pair's script alike.
#pragma once

#include <map>
#include <string>

namespace merpati::bench {

class Target {
 public:
  /// Reads NAME=value lines, quotes around values are dropped. Throws when the file cannot be read.
  explicit Target(const std::string& path);

  /// An address: the load generator does not look names up. Certificates are not checked, so localhost may be written
  /// as one.
  std::string host() const {
    const auto name = get("HOST", "127.0.0.1");
    return name == "localhost" ? "127.0.0.1" : name;
  }
  int port(const std::string& name) const;
  std::string password() const { return get("PASS", ""); }
  /// The n-th account: USER_TEMPLATE with %d replaced.
  std::string user(int number) const;

 private:
  std::string get(const std::string& name, const std::string& otherwise) const;
  std::map<std::string, std::string> values_;
};

}  // namespace merpati::bench
