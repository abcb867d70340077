// Scalars of the configuration: durations, sizes, enums, numbers; and the field options.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::runtime::config {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool is_duration(const FieldDescriptor& field);
/// A message that is a section, not a value such as Duration.
bool is_section(const FieldDescriptor& field);
bool is_secret(const FieldDescriptor& field);
/// Empty when the field has none.
std::string default_of(const FieldDescriptor& field);
/// TLS_MODE_STARTTLS of TlsMode is STARTTLS.
std::string enum_name(const EnumDescriptor& type, int number);

/// Sets a singular field, or adds to a repeated one, from its text form.
Result<void> set_from_text(Message& message, const FieldDescriptor& field, std::string_view text);
/// The text form of a singular value (index < 0) or of an element.
std::string to_text(const Message& message, const FieldDescriptor& field, int index = -1);

/// The nearest of `known` to `word` when it is near enough to be a slip of the pen, else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace merpati::runtime::config
