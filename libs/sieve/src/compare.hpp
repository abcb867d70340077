// Comparators (RFC 4790, RFC 5051) and match types (RFC 5228 2.7.1, RFC 5231).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "program.hpp"

namespace merpati::sieve {

std::optional<Relation> relation_from_name(std::string_view name);

/// Less than, equal to, greater than 0.
int compare(Comparator comparator, std::string_view a, std::string_view b);
bool holds(Relation relation, int order);

/// Made once for each key. `problem` says why a regular expression is none.
PreparedKey prepare_key(const Matching& matching, std::string_view key, std::int64_t max_regex_memory,
                        std::string& problem);

/// What match() is to see of a value: of :contains, its folded form, which `space` holds; else the value itself.
std::string_view prepare_value(const Matching& matching, std::string_view value, std::string& space);

/// A prepared value against one key; not for :count and :list. With `captures` not null and a match of :matches or
/// :regex it gets ${0}, ${1} and so on.
bool match(const Matching& matching, const PreparedKey& key, std::string_view value,
           std::vector<std::string>* captures);

}  // namespace merpati::sieve
