#include "merpati/runtime/health.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace merpati::runtime {

bool Health::State::ready() const {
  return !draining && !gates.empty() &&
         std::all_of(gates.begin(), gates.end(), [](const auto& gate) { return gate.second.ok; });
}

void Health::gate(std::string_view name, bool ok, std::string_view reason) {
  state_.with([&](State& state) { state.gates[std::string(name)] = {ok, std::string(reason)}; });
  changed();
}

void Health::dependency(std::string_view name, bool ok, std::string_view reason) {
  state_.with([&](State& state) { state.dependencies[std::string(name)] = {ok, std::string(reason)}; });
}

void Health::set_draining() {
  state_.with([](State& state) { state.draining = true; });
  changed();
}

bool Health::draining() const {
  return state_.with([](const State& state) { return state.draining; });
}

bool Health::ready() const {
  return state_.with([](const State& state) { return state.ready(); });
}

std::map<std::string, Health::Condition> Health::gates() const {
  return state_.with([](const State& state) { return state.gates; });
}

std::map<std::string, Health::Condition> Health::dependencies() const {
  return state_.with([](const State& state) { return state.dependencies; });
}

std::string Health::json() const {
  return state_.with([](const State& state) {
    auto list = [](const std::map<std::string, Condition>& conditions) {
      nlohmann::ordered_json out = nlohmann::ordered_json::object();
      for (const auto& [name, condition] : conditions) {
        out[name] = {{"ok", condition.ok}};
        if (!condition.reason.empty()) out[name]["reason"] = condition.reason;
      }
      return out;
    };
    nlohmann::ordered_json out = {{"ready", state.ready()}, {"draining", state.draining}};
    out["gates"] = list(state.gates);
    out["dependencies"] = list(state.dependencies);
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
}

void Health::on_change(std::function<void(bool)> listener) {
  state_.with([&](State& state) { state.listeners.push_back(std::move(listener)); });
}

void Health::changed() {
  auto [ready, listeners] = state_.with([](State& state) { return std::pair(state.ready(), state.listeners); });
  for (const auto& listener : listeners) listener(ready);
}

}  // namespace merpati::runtime
