#include "target.hpp"

#include <fstream>
#include <stdexcept>

namespace merpati::bench {

Target::Target(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("export ")) line.erase(0, 7);
    const auto equals = line.find('=');
    if (line.starts_with('#') || equals == std::string::npos) continue;
    auto value = line.substr(equals + 1);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    values_[line.substr(0, equals)] = value;
  }
}

std::string Target::get(const std::string& name, const std::string& otherwise) const {
  const auto at = values_.find(name);
  return at == values_.end() ? otherwise : at->second;
}

int Target::port(const std::string& name) const {
  const auto text = get(name, "");
  if (text.empty()) throw std::runtime_error("the target file has no " + name);
  return std::stoi(text);
}

std::string Target::user(int number) const {
  auto name = get("USER_TEMPLATE", "u%d@example.test");
  const auto at = name.find("%d");
  if (at != std::string::npos) name.replace(at, 2, std::to_string(number));
  return name;
}

}  // namespace merpati::bench
