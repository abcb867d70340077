#include "merpati/runtime/config_loader.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <set>
#include <sstream>

#include "config_values.hpp"

extern char** environ;

namespace merpati::runtime {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kFileSuffix = "_file";

Error bad_key(std::string text) { return Error(ErrorCode::kInvalidArgument, std::move(text)); }

/// Where a value comes from, for error texts: "merpati.yaml:12: smtp.listeners[0].port".
struct Place {
  std::string_view file;
  std::string path;

  Place below(std::string_view key) const {
    return {file, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key)};
  }
  Place element(std::size_t index) const { return {file, fmt::format("{}[{}]", path, index)}; }
  std::string describe(const YAML::Node& node) const {
    const auto mark = node.Mark();
    if (mark.line < 0) return path.empty() ? std::string(file) : fmt::format("{}: {}", file, path);
    return fmt::format("{}:{}: {}", file, mark.line + 1, path.empty() ? "(top)" : path);
  }
};

std::vector<std::string> known_keys(const Descriptor& type) {
  std::vector<std::string> keys;
  for (int i = 0; i < type.field_count(); ++i) {
    keys.push_back(type.field(i)->name());
    if (config::is_secret(*type.field(i))) keys.push_back(type.field(i)->name() + std::string(kFileSuffix));
  }
  return keys;
}

std::string unknown_key_text(std::string_view key, const Descriptor& type) {
  const std::string hint = config::nearest(key, known_keys(type));
  return hint.empty() ? "unknown key" : fmt::format("unknown key; did you mean \"{}\"?", hint);
}

Result<std::string> read_secret(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return bad_key(fmt::format("cannot read the secret in {}", path));
  std::string secret = std::move(text).str();
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  return secret;
}

Result<void> read_map(Message& message, const YAML::Node& node, const Place& place);

Result<void> read_scalar(Message& message, const FieldDescriptor& field, const YAML::Node& node, const Place& place) {
  if (!node.IsScalar()) return bad_key(fmt::format("{}: a single value is wanted", place.describe(node)));
  auto set = config::set_from_text(message, field, node.Scalar());
  if (set.has_error()) return bad_key(fmt::format("{}: {}", place.describe(node), set.error().message()));
  return {};
}

Result<void> read_list(Message& message, const FieldDescriptor& field, const YAML::Node& node, const Place& place) {
  if (!node.IsSequence()) return bad_key(fmt::format("{}: a list is wanted", place.describe(node)));
  const auto* reflection = message.GetReflection();
  reflection->ClearField(&message, &field);
  for (std::size_t i = 0; i < node.size(); ++i) {
    if (config::is_section(field)) {
      Message& element = *reflection->AddMessage(&message, &field);
      apply_defaults(element);
      MERPATI_CHECK(read_map(element, node[i], place.element(i)));
    } else {
      MERPATI_CHECK(read_scalar(message, field, node[i], place.element(i)));
    }
  }
  return {};
}

Result<void> read_field(Message& message, const FieldDescriptor& field, const YAML::Node& node, const Place& place) {
  if (node.IsNull()) return {};
  if (field.is_repeated()) return read_list(message, field, node, place);
  if (config::is_section(field))
    return read_map(*message.GetReflection()->MutableMessage(&message, &field), node, place);
  return read_scalar(message, field, node, place);
}

/// The field of a key; for `x_file` of a secret x the field x, and `from_file` is set.
const FieldDescriptor* find_field(const Descriptor& type, std::string_view key, bool& from_file) {
  from_file = false;
  if (const auto* field = type.FindFieldByName(std::string(key))) return field;
  if (!key.ends_with(kFileSuffix)) return nullptr;
  const auto* field = type.FindFieldByName(std::string(key.substr(0, key.size() - kFileSuffix.size())));
  from_file = field != nullptr && config::is_secret(*field);
  return from_file ? field : nullptr;
}

Result<void> set_secret_from_file(Message& message, const FieldDescriptor& field, const YAML::Node& node,
                                  const Place& place) {
  if (!node.IsScalar()) return bad_key(fmt::format("{}: a path is wanted", place.describe(node)));
  auto secret = read_secret(node.Scalar());
  if (secret.has_error()) return bad_key(fmt::format("{}: {}", place.describe(node), secret.error().message()));
  message.GetReflection()->SetString(&message, &field, *std::move(secret));
  return {};
}

Result<void> read_map(Message& message, const YAML::Node& node, const Place& place) {
  if (node.IsNull()) return {};
  if (!node.IsMap()) return bad_key(fmt::format("{}: a section (key: value) is wanted", place.describe(node)));
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    const Place here = place.below(key);
    bool from_file = false;
    const auto* field = find_field(*message.GetDescriptor(), key, from_file);
    if (field == nullptr) {
      return bad_key(
          fmt::format("{}: {}", here.describe(entry.first), unknown_key_text(key, *message.GetDescriptor())));
    }
    if (!seen.insert(field->name()).second) return bad_key(fmt::format("{}: is set twice", here.describe(entry.first)));
    MERPATI_CHECK(from_file ? set_secret_from_file(message, *field, entry.second, here)
                            : read_field(message, *field, entry.second, here));
  }
  return {};
}

std::vector<std::string> split_path(std::string_view name) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= name.size();) {
    const auto end = std::min(name.find("__", at), name.size());
    std::string part(name.substr(at, end - at));
    for (char& c : part) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    parts.push_back(std::move(part));
    at = end + 2;
  }
  return parts;
}

/// A value of the environment; an error names the variable and not the file.
Result<void> load_value(const std::string& value, const Place& place, YAML::Node& out) {
  try {
    out = YAML::Load(value);
    return {};
  } catch (const YAML::Exception& error) {
    return bad_key(fmt::format("{}: not YAML: {}", place.file, error.msg));
  }
}

/// One override: walks `parts` from `message` and sets what they name.
Result<void> override_value(Message& root, const std::vector<std::string>& parts, const std::string& value,
                            const Place& place) {
  Message* message = &root;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    bool from_file = false;
    const auto* field = find_field(*message->GetDescriptor(), parts[i], from_file);
    if (field == nullptr) {
      return bad_key(
          fmt::format("{}: \"{}\": {}", place.file, parts[i], unknown_key_text(parts[i], *message->GetDescriptor())));
    }
    const auto* reflection = message->GetReflection();
    const bool last = i + 1 == parts.size();
    YAML::Node node;
    if (last) {
      const bool plain = !field->is_repeated() && !config::is_section(*field);
      if (plain || from_file) {
        node = YAML::Node(value);  // a password may look like YAML
      } else {
        MERPATI_CHECK(load_value(value, place, node));
      }
      return from_file ? set_secret_from_file(*message, *field, node, place)
                       : read_field(*message, *field, node, place);
    }
    if (!config::is_section(*field))
      return bad_key(fmt::format("{}: \"{}\" has no keys below it", place.file, parts[i]));
    if (!field->is_repeated()) {
      message = reflection->MutableMessage(message, field);
      continue;
    }
    const auto& number = parts[++i];
    const bool digits =
        !number.empty() && number.find_first_not_of("0123456789") == std::string::npos && number.size() < 4;
    const int index = digits ? std::stoi(number) : -1;
    const int size = reflection->FieldSize(*message, field);
    if (index < 0 || index > size)
      return bad_key(fmt::format("{}: \"{}\" is not an index from 0 to {}", place.file, number, size));
    if (index == size) apply_defaults(*reflection->AddMessage(message, field));
    message = reflection->MutableRepeatedMessage(message, field, index);
    if (i + 1 == parts.size()) {
      MERPATI_CHECK(load_value(value, place, node));
      return read_map(*message, node, place);
    }
  }
  return {};
}

void print_message(YAML::Emitter& out, const Message& message);

void print_value(YAML::Emitter& out, const Message& message, const FieldDescriptor& field, int index) {
  if (config::is_section(field)) {
    const auto* reflection = message.GetReflection();
    print_message(out, index < 0 ? reflection->GetMessage(message, &field)
                                 : reflection->GetRepeatedMessage(message, &field, index));
    return;
  }
  const std::string text = config::to_text(message, field, index);
  if (config::is_secret(field) && !text.empty()) {
    out << "<redacted>";
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    out << YAML::DoubleQuoted << text;
  } else {
    out << text;
  }
}

void print_message(YAML::Emitter& out, const Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  out << YAML::BeginMap;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    out << YAML::Key << field.name() << YAML::Value;
    if (!field.is_repeated()) {
      print_value(out, message, field, -1);
      continue;
    }
    out << YAML::BeginSeq;
    for (int j = 0; j < message.GetReflection()->FieldSize(message, &field); ++j) print_value(out, message, field, j);
    out << YAML::EndSeq;
  }
  out << YAML::EndMap;
}

}  // namespace

void apply_defaults(Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (config::is_section(field)) {
      if (field.is_repeated()) {
        for (int j = 0; j < reflection->FieldSize(message, &field); ++j)
          apply_defaults(*reflection->MutableRepeatedMessage(&message, &field, j));
      } else {
        apply_defaults(*reflection->MutableMessage(&message, &field));
      }
      continue;
    }
    const std::string value = config::default_of(field);
    if (value.empty() || field.is_repeated()) continue;
    // proto3 cannot tell an explicit zero from nothing, so the loader fills defaults in before it reads.
    if (reflection->HasField(message, &field)) continue;
    const auto set = config::set_from_text(message, field, value);
    if (set.has_error())
      throw std::logic_error(fmt::format("default of {}: {}", field.full_name(), set.error().message()));
  }
}

Result<void> load_config_text(std::string_view yaml, std::string_view file,
                              const std::map<std::string, std::string>& environment, Message& out,
                              std::string_view prefix) {
  out.Clear();
  const std::string name = file.empty() ? "configuration" : std::string(file);
  try {
    apply_defaults(out);
    MERPATI_CHECK(read_map(out, YAML::Load(std::string(yaml)), Place{name, {}}));
    for (const auto& [key, value] : environment) {
      if (!key.starts_with(prefix) || key.find("__", prefix.size()) == std::string::npos) continue;
      const std::string from = "environment variable " + key;
      const auto parts = split_path(std::string_view(key).substr(prefix.size()));
      MERPATI_CHECK(override_value(out, parts, value, Place{from, {}}));
    }
  } catch (const YAML::Exception& error) {
    return bad_key(fmt::format("{}:{}: {}", name, error.mark.line + 1, error.msg));
  }
  return {};
}

Result<void> load_config(const std::string& path, Message& out) {
  std::string text;
  if (!path.empty()) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream content;
    // A folder opens, and fails at the first octet.
    if (!in || (in.peek() != EOF && !(content << in.rdbuf())) || in.bad())
      return bad_key(fmt::format("cannot read the configuration {}", path));
    text = std::move(content).str();
  }
  std::map<std::string, std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair(*entry);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos) environment.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return load_config_text(text, path, environment, out);
}

std::string print_config(const Message& message) {
  YAML::Emitter out;
  print_message(out, message);
  return std::string(out.c_str()) + "\n";
}

}  // namespace merpati::runtime
