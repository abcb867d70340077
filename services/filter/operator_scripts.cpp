#include "filter/operator_scripts.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "merpati/config/v1/filter.pb.h"

namespace merpati::filter {
namespace {

template <class Paths>
Result<std::vector<sieve::NamedScript>> load_all(const Paths& paths) {
  std::vector<sieve::NamedScript> out;
  for (const auto& path : paths) {
    MERPATI_TRY(auto script, load_operator_script(path));
    out.push_back({path, std::move(script)});
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<const sieve::Script>> load_operator_script(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string source{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad() || std::filesystem::is_directory(path))
    return Error(ErrorCode::kInvalidArgument, "cannot read " + path);
  auto compiled = sieve::compile(source);
  if (compiled.script == nullptr) {
    const auto& [at, message] = compiled.errors.front();
    return Error(ErrorCode::kInvalidArgument,
                 path + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + message);
  }
  return compiled.script;
}

Result<OperatorScripts> load_operator_scripts(const config::v1::FilterSieve& config) {
  OperatorScripts out;
  MERPATI_TRY(out.before, load_all(config.before()));
  MERPATI_TRY(out.after, load_all(config.after()));
  MERPATI_TRY(out.lists, SieveLists::load(config));
  if (config.global_directory().empty()) return out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(config.global_directory(), error)) {
    if (entry.path().extension() != ".sieve") continue;
    MERPATI_TRY(auto script, load_operator_script(entry.path().string()));
    out.global.emplace(entry.path().stem().string(), std::move(script));
  }
  if (error) return Error(ErrorCode::kInvalidArgument, "cannot read " + config.global_directory());
  return out;
}

}  // namespace merpati::filter
