// Configuration: YAML and environment into a protobuf message, by reflection.
//
// Field options (merpati/config/v1/options.proto) say what a field is when nobody sets it, whether it is a secret and
// whether it counts octets. In YAML a google.protobuf.Duration is "30s", "5m", "2h", "500ms" or several of them
// together; a size is "64KiB", "30MB" or a number; an enum is its name without the type's prefix, in any case; a secret
// `password` may be given as `password_file: PATH` instead (one trailing line end is dropped).
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/result.hpp"

namespace merpati::runtime {

/// Sets every singular field that has a default and is not set, in `message` and below it. Repeated messages that are
/// there get theirs too. Singular messages are made, so that accessors give defaults. For tests and for programs that
/// fill a configuration by hand: `auto config = with_defaults<config::v1::Store>();`
void apply_defaults(google::protobuf::Message& message);

template <class M>
M with_defaults(M message = {}) {
  apply_defaults(message);
  return message;
}

/// Reads `yaml` into `out`, which is cleared first; then `environment`'s overrides; then defaults. `file` is for error
/// texts. kInvalidArgument says file, line, key and, for an unknown key, the nearest known one.
///
/// An override's name is `prefix` and the path in upper case, its parts joined by two underscores:
/// MERPATI_STORE__DATABASE__DSN, MERPATI_SMTP__LISTENERS__0__PORT. Names without two underscores are left alone. The
/// value is read as YAML.
Result<void> load_config_text(std::string_view yaml, std::string_view file,
                              const std::map<std::string, std::string>& environment, google::protobuf::Message& out,
                              std::string_view prefix = "MERPATI_");

/// The same from a file (none: empty `path`) and this process's environment.
Result<void> load_config(const std::string& path, google::protobuf::Message& out);

/// YAML of every field, defaults included, with "<redacted>" for secrets that are set.
std::string print_config(const google::protobuf::Message& message);

/// "1h30m" and the like. kInvalidArgument with a text that says what is accepted.
Result<std::int64_t> parse_duration_nanos(std::string_view text);
/// "64KiB", "30MB", "10": octets.
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace merpati::runtime
