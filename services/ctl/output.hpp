// Output: messages as a table for people, JSON or YAML for scripts.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace merpati::ctl {

using Json = nlohmann::ordered_json;

enum class Format { kTable, kJson, kYaml };

/// Every field, numbers as numbers, enums by their short name.
Json to_json(const google::protobuf::Message& message);

/// Unix seconds in UTC, "2026-11-24 21:30:05"; 0: "-".
std::string time_text(std::int64_t seconds);
/// Unix microseconds in UTC, "2026-11-24 21:30:05.123".
std::string moment_text(std::int64_t microseconds);

/// A column of a table: heading and how its cell reads.
struct Column {
  std::string heading;
  std::string key;
  enum class Kind { kPlain, kSize, kTime, kTimeMs, kList } kind = Kind::kPlain;
};

/// `rows` is an array of objects.
void print_rows(Format format, const Json& rows, const std::vector<Column>& columns);
/// One object: as key and value lines in table form.
void print_one(Format format, const Json& object);
/// A list of messages.
template <class Messages>
Json rows_of(const Messages& messages) {
  Json rows = Json::array();
  for (const auto& message : messages) rows.push_back(to_json(message));
  return rows;
}

}  // namespace merpati::ctl
