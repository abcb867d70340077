// Any bytes are a message: its tokens are bounded, sorted, each once, and always the same.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <vector>

#include "merpati/bayes/classifier.hpp"
#include "merpati/bayes/tokens.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati::bayes;
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const TokenLimits limits{16 * 1024, 4 * 1024, 300};
  const auto tokens = tokens_of(message, limits);
  if (tokens.tokens.size() > limits.max_tokens || tokens.digest.size() != 32) std::abort();
  if (std::ranges::adjacent_find(tokens.tokens, std::greater_equal<>()) != tokens.tokens.end()) std::abort();
  if (tokens_of(message, limits).digest != tokens.digest) std::abort();
  std::vector<Counts> counts;
  for (const auto token : tokens.tokens) counts.push_back({token % 1000, token / 1000 % 1000});
  const auto opinion = judge(counts, {500, 300});
  if (!opinion || !std::isfinite(opinion->spam) || opinion->spam < 0 || opinion->spam > 1) std::abort();
  return 0;
}
