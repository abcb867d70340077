#include "ctl/output.hpp"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <time.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <iostream>

namespace merpati::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

/// ITEM_STATE_HELD of ItemState is "held".
std::string enum_text(const google::protobuf::EnumValueDescriptor& value) {
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  }
  std::string name = value.name();
  if (name.rfind(prefix + "_", 0) == 0) name.erase(0, prefix.size() + 1);
  if (name == "UNSPECIFIED") return "";
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

Json value_of(const Message& message, const FieldDescriptor& field, int index) {
  const auto* r = message.GetReflection();
  const bool element = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return element ? r->GetRepeatedInt32(message, &field, index) : r->GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return element ? r->GetRepeatedInt64(message, &field, index) : r->GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return element ? r->GetRepeatedUInt32(message, &field, index) : r->GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return element ? r->GetRepeatedUInt64(message, &field, index) : r->GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return element ? r->GetRepeatedBool(message, &field, index) : r->GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return element ? r->GetRepeatedDouble(message, &field, index) : r->GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return element ? r->GetRepeatedFloat(message, &field, index) : r->GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_STRING:
      return element ? r->GetRepeatedString(message, &field, index) : r->GetString(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_text(element ? *r->GetRepeatedEnum(message, &field, index) : *r->GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return to_json(element ? r->GetRepeatedMessage(message, &field, index) : r->GetMessage(message, &field));
  }
  return {};
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

void emit_yaml(YAML::Emitter& out, const Json& json) {
  if (json.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      out << YAML::Key << key << YAML::Value;
      emit_yaml(out, value);
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    out << YAML::BeginSeq;
    for (const auto& value : json) emit_yaml(out, value);
    out << YAML::EndSeq;
  } else if (json.is_string()) {
    out << YAML::DoubleQuoted << json.get<std::string>();
  } else {
    out << dump(json, -1);
  }
}

bool print_for_scripts(Format format, const Json& json) {
  if (format == Format::kJson) {
    std::cout << dump(json, 2) << "\n";
    return true;
  }
  if (format == Format::kYaml) {
    YAML::Emitter out;
    emit_yaml(out, json);
    std::cout << out.c_str() << "\n";
    return true;
  }
  return false;
}

std::string size_text(double octets) {
  if (octets < 1024) return fmt::format("{}", static_cast<std::int64_t>(octets));
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    octets /= 1024;
    if (octets < 1024) return fmt::format("{:.1f} {}", octets, unit);
  }
  return fmt::format("{:.1f} TiB", octets / 1024);
}

/// What a peer wrote may not steer the operator's terminal.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string plain_text(const Json& value) {
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "-";
  return dump(value, -1);
}

std::string cell(const Json& row, const Column& column) {
  const auto pointer = Json::json_pointer("/" + column.key);
  if (!row.contains(pointer)) return "-";
  const Json& value = row.at(pointer);
  switch (column.kind) {
    case Column::Kind::kSize:
      return size_text(value.get<double>());
    case Column::Kind::kTime:
      return time_text(value.get<std::int64_t>());
    case Column::Kind::kTimeMs:
      return time_text(value.get<std::int64_t>() / 1000);
    case Column::Kind::kList: {
      std::string text;
      for (const auto& element : value) text += (text.empty() ? "" : ", ") + plain_text(element);
      return text;
    }
    case Column::Kind::kPlain:
      break;
  }
  const std::string text = plain_text(value);
  return text.empty() ? "-" : text;
}

/// Columns of a terminal that UTF-8 takes, near enough: continuation octets take none.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void print_line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (i + 1 < cells.size()) line.append(widths[i] - width(cells[i]) + 2, ' ');
  }
  std::cout << line << "\n";
}

}  // namespace

std::string time_text(std::int64_t seconds) {
  if (seconds == 0) return "-";
  const time_t at = seconds;
  tm utc{};
  gmtime_r(&at, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string moment_text(std::int64_t microseconds) {
  return fmt::format("{}.{:03}", time_text(microseconds / 1'000'000), microseconds / 1000 % 1000);
}

Json to_json(const Message& message) {
  Json out = Json::object();
  const auto& type = *message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    if (field.is_repeated()) {
      Json list = Json::array();
      for (int j = 0; j < reflection->FieldSize(message, &field); ++j) list.push_back(value_of(message, field, j));
      out[field.name()] = std::move(list);
    } else if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || reflection->HasField(message, &field)) {
      out[field.name()] = value_of(message, field, -1);
    }
  }
  return out;
}

void print_rows(Format format, const Json& rows, const std::vector<Column>& columns) {
  if (print_for_scripts(format, rows)) return;
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& column : columns) lines[0].push_back(column.heading);
  for (const auto& row : rows) {
    auto& line = lines.emplace_back();
    for (const auto& column : columns) line.push_back(cell(row, column));
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  for (const auto& line : lines) print_line(line, widths);
}

void print_one(Format format, const Json& object) {
  if (print_for_scripts(format, object)) return;
  std::size_t longest = 0;
  for (const auto& [key, value] : object.items()) longest = std::max(longest, key.size());
  for (const auto& [key, value] : object.items()) {
    const bool time = key.ends_with("_at") && value.is_number();
    const std::string text = time ? time_text(value.get<std::int64_t>()) : plain_text(value);
    std::cout << fmt::format("{:<{}}  {}\n", key, longest, text.empty() ? "-" : text);
  }
}

}  // namespace merpati::ctl
