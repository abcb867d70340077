#include "filter/sieve_lists.hpp"

#include <filesystem>
#include <fstream>

#include "merpati/config/v1/filter.pb.h"
#include "merpati/mime/header.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kMostEntries = 1'000'000;  // of all lists

/// RFC 6134 2.6: ":addrbook:default" is short for what all implementations mean by it.
std::string full_name(std::string_view name) {
  return name.starts_with(':') ? "urn:ietf:params:sieve" + std::string(name) : std::string(name);
}

Error refused(const std::string& why) { return Error(ErrorCode::kInvalidArgument, "filter.sieve.lists: " + why); }

}  // namespace

Result<SieveLists> SieveLists::load(const config::v1::FilterSieve& config) {
  SieveLists out;
  for (const auto& wanted : config.lists()) {
    if (wanted.name().find(':') == std::string::npos)
      return refused("\"" + wanted.name() + "\" is no name of a list: it is a URI, as tag:example.com,2026:partners");
    const auto [list, is_new] = out.lists_.try_emplace(full_name(wanted.name()));
    if (!is_new) return refused("two lists are named " + wanted.name());
    for (const auto& entry : wanted.entries()) MERPATI_CHECK(out.add(list->second, wanted.name(), entry));
    if (wanted.file().empty()) continue;
    std::ifstream file(wanted.file());
    for (std::string line; std::getline(file, line);)
      MERPATI_CHECK(out.add(list->second, wanted.name(), std::string_view(line).substr(0, line.find('#'))));
    if (file.bad() || !file.eof() || std::filesystem::is_directory(wanted.file()))
      return refused("cannot read " + wanted.file());
  }
  return out;
}

Result<void> SieveLists::add(List& list, const std::string& name, std::string_view entry) {
  const auto value = mime::trim(entry);
  if (value.empty()) return {};
  if (++entries_ > kMostEntries) return refused("with " + name + " there are more than 1,000,000 entries");
  list.insert(mime::to_lower(value));
  return {};
}

const SieveLists::List* SieveLists::find(std::string_view name) const {
  const auto found = lists_.find(full_name(name));
  return found == lists_.end() ? nullptr : &found->second;
}

bool SieveLists::contains(std::string_view list, std::string_view value) const {
  const auto* found = find(list);
  return found != nullptr && found->contains(mime::to_lower(value));
}

std::vector<std::string> SieveLists::members(std::string_view list) const {
  const auto* found = find(list);
  return found == nullptr ? std::vector<std::string>() : std::vector<std::string>(found->begin(), found->end());
}

std::size_t SieveLists::size(std::string_view list) const {
  const auto* found = find(list);
  return found == nullptr ? 0 : found->size();
}

}  // namespace merpati::filter
