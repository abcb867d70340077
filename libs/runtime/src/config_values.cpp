#include "config_values.hpp"

#include <fmt/format.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <vector>

#include "merpati/runtime/config_loader.hpp"
#include "merpati/runtime/duration.hpp"

namespace merpati::runtime {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

/// Number and unit, several times when `many`; false on anything else. Adds up into `total`.
bool read_quantities(std::string_view text, std::span<const Unit> units, bool many, double& total) {
  total = 0;
  if (text.empty()) return false;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !(number >= 0)) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    const auto letters =
        std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), text.size());
    const auto name = text.substr(0, letters);
    const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == name; });
    if (unit == units.end()) return false;
    total += number * unit->factor;
    text.remove_prefix(letters);
    if (!many && !text.empty()) return false;
  }
  return true;
}

constexpr Unit kTimes[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
constexpr Unit kSizes[] = {{"", 1},
                           {"B", 1},
                           {"kB", 1e3},
                           {"KB", 1e3},
                           {"MB", 1e6},
                           {"GB", 1e9},
                           {"TB", 1e12},
                           {"KiB", 1024},
                           {"MiB", 1 << 20},
                           {"GiB", 1U << 30},
                           {"TiB", 1099511627776.0}};

}  // namespace

Result<std::int64_t> parse_duration_nanos(std::string_view text) {
  double total = 0;
  if (text == "0") return 0;
  if (!read_quantities(text, kTimes, true, total) || total > 9.2e18) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("\"{}\" is not a duration such as 30s, 5m, 1h30m or 500ms", text));
  }
  return std::llround(total);
}

Result<std::chrono::nanoseconds> duration_from(std::string_view text) {
  MERPATI_TRY(const std::int64_t nanos, parse_duration_nanos(text));
  return std::chrono::nanoseconds(nanos);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  double total = 0;
  if (!read_quantities(text, kSizes, false, total) || total > 9e15 || total != std::floor(total)) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a size such as 65536, 64KiB or 30MB", text));
  }
  return static_cast<std::uint64_t>(total);
}

namespace config {
namespace {

/// The option's extension, found by name so that this library needs no generated configuration.
const FieldDescriptor* extension(const FieldDescriptor& field, const char* name) {
  return field.file()->pool()->FindExtensionByName(std::string("merpati.config.v1.") + name);
}

bool flag(const FieldDescriptor& field, const char* name) {
  const auto* option = extension(field, name);
  return option != nullptr && field.options().GetReflection()->GetBool(field.options(), option);
}

Error bad(const FieldDescriptor& field, std::string_view text, std::string_view wanted) {
  if (is_secret(field)) text = "<redacted>";
  return Error(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not {}", text, wanted));
}

template <class T>
bool parse_integer(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string enum_prefix(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  }
  return prefix + "_";
}

Result<void> set_enum(Message& message, const FieldDescriptor& field, std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c == '-' ? '_' : c;
  });
  const EnumDescriptor& type = *field.enum_type();
  const auto* value = type.FindValueByName(enum_prefix(type) + upper);
  if (value == nullptr) {
    std::string names;
    for (int i = 1; i < type.value_count(); ++i)
      names += (names.empty() ? "" : ", ") + enum_name(type, type.value(i)->number());
    return bad(field, text, "one of " + names);
  }
  const auto* reflection = message.GetReflection();
  field.is_repeated() ? reflection->AddEnum(&message, &field, value) : reflection->SetEnum(&message, &field, value);
  return {};
}

Result<void> set_duration(Message& message, const FieldDescriptor& field, std::string_view text) {
  MERPATI_TRY(const std::int64_t nanos, parse_duration_nanos(text));
  const auto* reflection = message.GetReflection();
  auto* value =
      field.is_repeated() ? reflection->AddMessage(&message, &field) : reflection->MutableMessage(&message, &field);
  google::protobuf::Duration duration;
  duration.set_seconds(nanos / 1'000'000'000);
  duration.set_nanos(static_cast<std::int32_t>(nanos % 1'000'000'000));
  value->CopyFrom(duration);
  return {};
}

std::string duration_text(const google::protobuf::Message& message) {
  google::protobuf::Duration duration;
  duration.CopyFrom(message);
  std::int64_t seconds = duration.seconds();
  if (duration.nanos() != 0) {
    return fmt::format("{}ms", static_cast<double>(seconds) * 1000 + static_cast<double>(duration.nanos()) / 1e6);
  }
  if (seconds == 0) return "0s";
  std::string out;
  for (const auto& [name, length] : {std::pair("h", 3600), std::pair("m", 60), std::pair("s", 1)}) {
    if (seconds >= length) out += fmt::format("{}{}", seconds / length, name);
    seconds %= length;
  }
  return out;
}

std::string size_text(std::uint64_t octets) {
  for (const auto& [name, shift] : {std::pair("GiB", 30), std::pair("MiB", 20), std::pair("KiB", 10)}) {
    if (octets != 0 && octets % (std::uint64_t{1} << shift) == 0) return fmt::format("{}{}", octets >> shift, name);
  }
  return std::to_string(octets);
}

}  // namespace

bool is_duration(const FieldDescriptor& field) {
  return field.message_type() != nullptr && field.message_type()->full_name() == "google.protobuf.Duration";
}
bool is_section(const FieldDescriptor& field) { return field.message_type() != nullptr && !is_duration(field); }
bool is_secret(const FieldDescriptor& field) { return flag(field, "secret"); }

std::string default_of(const FieldDescriptor& field) {
  const auto* option = extension(field, "default_value");
  return option == nullptr ? std::string() : field.options().GetReflection()->GetString(field.options(), option);
}

std::string enum_name(const EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  if (value == nullptr) return std::to_string(number);
  const std::string prefix = enum_prefix(type);
  return value->name().rfind(prefix, 0) == 0 ? value->name().substr(prefix.size()) : value->name();
}

Result<void> set_from_text(Message& message, const FieldDescriptor& field, std::string_view text) {
  const auto* reflection = message.GetReflection();
  const auto put = [&](auto set, auto add, auto value) {
    field.is_repeated() ? (reflection->*add)(&message, &field, value) : (reflection->*set)(&message, &field, value);
    return Result<void>();
  };
  using R = google::protobuf::Reflection;
  if (is_duration(field)) return set_duration(message, field, text);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return put(&R::SetString, &R::AddString, std::string(text));
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text == "true" || text == "yes" || text == "on") return put(&R::SetBool, &R::AddBool, true);
      if (text == "false" || text == "no" || text == "off") return put(&R::SetBool, &R::AddBool, false);
      return bad(field, text, "true or false");
    case FieldDescriptor::CPPTYPE_UINT64: {
      std::uint64_t value = 0;
      if (flag(field, "size")) {
        MERPATI_TRY(value, parse_size(text));
      } else if (!parse_integer(text, value)) {
        return bad(field, text, "a number");
      }
      return put(&R::SetUInt64, &R::AddUInt64, value);
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      std::uint32_t value = 0;
      return parse_integer(text, value) ? put(&R::SetUInt32, &R::AddUInt32, value)
                                        : bad(field, text, "a number from 0 to 4294967295");
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      std::int32_t value = 0;
      return parse_integer(text, value) ? put(&R::SetInt32, &R::AddInt32, value) : bad(field, text, "a number");
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t value = 0;
      return parse_integer(text, value) ? put(&R::SetInt64, &R::AddInt64, value) : bad(field, text, "a number");
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      const bool good = error == std::errc() && end == text.data() + text.size();
      return good ? put(&R::SetDouble, &R::AddDouble, value) : bad(field, text, "a number");
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return set_enum(message, field, text);
    default:
      return bad(field, text, "a value of a type that the configuration can hold");
  }
}

std::string to_text(const Message& message, const FieldDescriptor& field, int index) {
  const auto* reflection = message.GetReflection();
  const bool element = index >= 0;
  if (is_duration(field)) {
    return duration_text(element ? reflection->GetRepeatedMessage(message, &field, index)
                                 : reflection->GetMessage(message, &field));
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return element ? reflection->GetRepeatedString(message, &field, index) : reflection->GetString(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return (element ? reflection->GetRepeatedBool(message, &field, index) : reflection->GetBool(message, &field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_UINT64: {
      const auto value =
          element ? reflection->GetRepeatedUInt64(message, &field, index) : reflection->GetUInt64(message, &field);
      return flag(field, "size") ? size_text(value) : std::to_string(value);
    }
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(element ? reflection->GetRepeatedUInt32(message, &field, index)
                                    : reflection->GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(element ? reflection->GetRepeatedInt32(message, &field, index)
                                    : reflection->GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(element ? reflection->GetRepeatedInt64(message, &field, index)
                                    : reflection->GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{}", element ? reflection->GetRepeatedDouble(message, &field, index)
                                       : reflection->GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_name(*field.enum_type(), element ? reflection->GetRepeatedEnumValue(message, &field, index)
                                                   : reflection->GetEnumValue(message, &field));
    default:
      return {};
  }
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace config
}  // namespace merpati::runtime
