// Any bytes are a script and a message, parted by a NUL: compiling and running end within their limits, and an edited
// header never has a field that the script could not have made.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "merpati/sieve/interpreter.hpp"

namespace sieve = merpati::sieve;

namespace {

struct World final : sieve::Environment {
  std::shared_ptr<const sieve::Script> self;
  std::int64_t now() const override { return 1'764'000'000; }
  merpati::Result<bool> mailbox_exists(std::string_view name) override { return name == "INBOX"; }
  merpati::Result<std::shared_ptr<const sieve::Script>> include(sieve::Location, std::string_view) override {
    return self;
  }
  bool list_known(std::string_view) override { return true; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\0');
  const auto compiled = sieve::compile(input.substr(0, cut));
  if ((compiled.script == nullptr) == compiled.errors.empty()) std::abort();
  for (const auto& error : compiled.errors)
    if (error.at.line == 0 || error.at.column == 0 || error.message.empty()) std::abort();
  if (compiled.script == nullptr) return 0;
  const std::string_view message =
      cut == std::string_view::npos ? "From: a@b.example\r\nSubject: x\r\n\r\nbody\r\n" : input.substr(cut + 1);
  World world;
  world.self = compiled.script;
  sieve::RunOptions options;
  options.limits.max_steps = 20'000;
  options.trace = true;
  const sieve::Envelope envelope{"a@b.example", "c+d@e.example", {}, {}, {}, {}, {}};
  const sieve::NamedScript scripts[] = {{"fuzz", compiled.script}};
  const auto outcome = sieve::run(scripts, message, envelope, world, options);
  if (outcome.actions.empty() != outcome.discarded) std::abort();
  for (const auto& action : outcome.actions) {
    if (action.version >= outcome.versions.size()) std::abort();
    if (const auto* to = std::get_if<sieve::Redirect>(&action.what); to && to->address.find('\n') != std::string::npos)
      std::abort();
  }
  return 0;
}
