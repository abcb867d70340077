// Tokens: what a message is made of, as far as a classifier by counts is concerned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace merpati::bayes {

/// Raised when the same message gives other tokens than before: what was learnt by another one cannot be taken back.
inline constexpr int kTokenizer = 1;

struct TokenLimits {
  std::size_t max_message = 256 * 1024;  ///< octets of the message that are looked at
  std::size_t max_text = 64 * 1024;      ///< octets of encoded text parts that are looked at
  std::size_t max_tokens = 1000;
};

/// What one message is to a classifier.
struct MessageTokens {
  std::vector<std::int64_t> tokens;  ///< hashes, sorted, each once
  std::string digest;                ///< 32 octets: of the tokens and the Message-ID
};

/// Never fails; the same on every machine. Linear in the octets that are looked at. Any thread.
MessageTokens tokens_of(std::string_view message, const TokenLimits& limits = {});

}  // namespace merpati::bayes
