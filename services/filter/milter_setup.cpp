#include "filter/milter_setup.hpp"

#include <algorithm>
#include <set>

#include "filter/config_values.hpp"
#include "merpati/runtime/duration.hpp"

namespace merpati::filter {
namespace {

template <class D>
std::chrono::milliseconds milliseconds(const D& duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(runtime::to_chrono(duration));
}

Error wrong(const std::string& key, const std::string& what) {
  return Error(ErrorCode::kInvalidArgument, key + ": " + what);
}

bool is_name(const std::string& name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.size() <= 32 && name.find_first_not_of(kLetters) == std::string::npos;
}

Result<MilterSettings> settings_from(const config::v1::Milter& config, const std::string& key) {
  MilterSettings settings;
  settings.name = config.name();
  if (!is_name(config.name()))
    return wrong(key + ".name", "\"" + config.name() + "\" is not 1 to 32 of a-z, 0-9, \"_\" and \"-\"");
  if (const auto address = milter_address(config.address()); address.has_error())
    return wrong(key + ".address", address.error().message());
  const auto& listeners = config.listeners();
  settings.mx = listeners.empty() || std::ranges::find(listeners, config::v1::LISTENER_KIND_MX) != listeners.end();
  settings.submission = std::ranges::find(listeners, config::v1::LISTENER_KIND_SUBMISSION) != listeners.end();
  const auto& timeouts = config.timeouts();
  settings.timeouts = {milliseconds(timeouts.connect()), milliseconds(timeouts.command()),
                       milliseconds(timeouts.content()), milliseconds(timeouts.end_of_message())};
  settings.message = milliseconds(timeouts.message());
  const std::pair<const char*, std::chrono::milliseconds> times[] = {
      {"connect", settings.timeouts.connect},
      {"command", settings.timeouts.command},
      {"content", settings.timeouts.content},
      {"end_of_message", settings.timeouts.end_of_message},
      {"message", settings.message}};
  for (const auto& [name, time] : times)
    if (time.count() <= 0) return wrong(key + ".timeouts." + name, "0: it would never be in time");
  settings.when_unchecked = config.unchecked() == config::v1::UNCHECKED_UNSPECIFIED
                                ? WhenUnchecked::kTemporary
                                : when_unchecked(config.unchecked());
  settings.breaker = {config.breaker().failures(), milliseconds(config.breaker().pause())};
  settings.max_size = config.max_size();
  settings.max_connections = config.max_connections();
  if (settings.max_connections == 0) return wrong(key + ".max_connections", "0: it would see no mail");
  return settings;
}

}  // namespace

Result<std::string> milter_address(const std::string& address) {
  const auto behind = [&address](std::string_view scheme) { return address.substr(scheme.size()); };
  for (const char* scheme : {"unix:", "local:"})
    if (address.starts_with(scheme) && behind(scheme).starts_with('/')) return behind(scheme);
  for (const char* scheme : {"inet:", "inet6:"}) {
    if (!address.starts_with(scheme)) continue;
    const auto rest = behind(scheme);
    const auto at = rest.find('@');
    // Postfix writes "inet:host:port".
    std::string plain = at == std::string::npos ? rest : rest.substr(at + 1) + ":" + rest.substr(0, at);
    if (ScannerLink::is_address(plain) && !plain.starts_with('/')) return plain;
  }
  const bool has_scheme = address.starts_with("inet") || address.starts_with("unix:") || address.starts_with("local:");
  if (!has_scheme && ScannerLink::is_address(address)) return address;
  return Error(ErrorCode::kInvalidArgument, "\"" + address + "\" is not unix:/PATH, inet:PORT@HOST or HOST:PORT");
}

Result<std::vector<MilterSettings>> milter_settings(const MilterConfigs& config) {
  std::vector<MilterSettings> all;
  std::set<std::string> names;
  for (int i = 0; i < config.size(); ++i) {
    const std::string key = "filter.milters[" + std::to_string(i) + "]";
    MERPATI_TRY(auto settings, settings_from(config[i], key));
    if (!names.insert(settings.name).second) return wrong(key + ".name", settings.name + " is another one's, too");
    all.push_back(std::move(settings));
  }
  return all;
}

Result<MilterSeats> make_milters(const MilterConfigs& config, runtime::Metrics& metrics, asio::thread_pool& blocking) {
  MERPATI_TRY(auto all, milter_settings(config));
  MilterSeats seats;
  for (std::size_t i = 0; i < all.size(); ++i) {
    MERPATI_TRY(auto address, milter_address(config[static_cast<int>(i)].address()));
    const auto most = all[i].max_connections;
    MERPATI_TRY(auto link, ScannerLink::make(std::move(address), most, blocking));
    seats.push_back(std::make_shared<MilterSeat>(std::move(all[i]), std::move(link), metrics));
  }
  return seats;
}

}  // namespace merpati::filter
