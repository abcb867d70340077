#include "ctl/read_file.hpp"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "ctl/client.hpp"

namespace merpati::ctl {

std::string read_file(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad() || std::filesystem::is_directory(path))
    throw Failure{Error(ErrorCode::kNotFound, "cannot read " + path), "- is standard input"};
  return text;
}

}  // namespace merpati::ctl
