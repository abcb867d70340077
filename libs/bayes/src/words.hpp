// Words of a text, in the form in which they are compared.
#pragma once

#include <functional>
#include <string_view>

namespace merpati::bayes {

/// Calls `sink` for each word of UTF-8 text, in order, until it returns false. Words are without case, accents and
/// invisible characters; a number is "#" and its length, a very long word its first letter and length.
void for_each_word(std::string_view text, const std::function<bool(std::string_view)>& sink);

}  // namespace merpati::bayes
