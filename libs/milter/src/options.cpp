#include "merpati/milter/options.hpp"

#include "merpati/milter/packet.hpp"

namespace merpati::milter {
namespace {

constexpr std::size_t kMostMacros = 64;
constexpr std::size_t kLongestName = 64;

// Those of Sendmail's and Postfix's defaults that have a meaning here.
constexpr std::array<std::string_view, kMacroStages> kUsual = {
    "j _ v {daemon_name} {daemon_addr} {daemon_port} {if_name} {if_addr} {client_name} {client_addr} {client_port} "
    "{client_ptr}",
    "{tls_version} {cipher} {cipher_bits}",
    "i {auth_type} {auth_authen} {auth_author} {mail_mailer} {mail_host} {mail_addr}",
    "{rcpt_mailer} {rcpt_host} {rcpt_addr}",
    "i",
    "i {msg_id}",
    "i",
};

}  // namespace

std::string offer() {
  std::string data;
  append_uint32(data, kVersion);
  append_uint32(data, action::kAll);
  append_uint32(data, step::kAll);
  return data;
}

std::vector<std::string> parse_macro_list(std::string_view list) {
  constexpr std::string_view kBetween = ", \t";
  std::vector<std::string> names;
  while (names.size() < kMostMacros) {
    const auto begin = list.find_first_not_of(kBetween);
    if (begin == std::string_view::npos) break;
    list.remove_prefix(begin);
    const auto name = list.substr(0, list.find_first_of(kBetween));
    list.remove_prefix(name.size());
    if (name.size() <= kLongestName) names.emplace_back(name);
  }
  return names;
}

Result<Options> parse_options(std::string_view data) {
  Options options;
  const auto version = take_uint32(data);
  const auto actions = take_uint32(data);
  const auto steps = take_uint32(data);
  if (!version || !actions || !steps) return Error(ErrorCode::kInvalidArgument, "options that are too short");
  if (*version < kOldestVersion || *version > kVersion)
    return Error(ErrorCode::kFailedPrecondition, "version " + std::to_string(*version) + " of the protocol");
  if ((*actions & ~action::kAll) != 0 || (*steps & ~step::kAll) != 0)
    return Error(ErrorCode::kFailedPrecondition, "it wants what it was not offered");
  options.version = *version;
  options.actions = *actions;
  options.steps = *steps;
  // Commands that came with later versions.
  if (*version < 3) options.steps |= step::kNoUnknown;
  if (*version < 4) options.steps |= step::kNoData;
  while (!data.empty()) {
    const auto stage = take_uint32(data);
    const auto list = take_text(data);
    if (!stage || !list) return Error(ErrorCode::kInvalidArgument, "a list of macros without an end");
    if (*stage < kMacroStages) options.macros[*stage] = parse_macro_list(*list);
  }
  return options;
}

std::vector<std::string> macro_names(const Options& options, MacroStage stage) {
  const auto index = static_cast<std::size_t>(stage);
  return options.macros[index] ? *options.macros[index] : parse_macro_list(kUsual[index]);
}

}  // namespace merpati::milter
