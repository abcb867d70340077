// What all mail is judged by, and which symbols there are, from the configuration.
#pragma once

#include "filter/scoring.hpp"
#include "filter/symbol_names.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::filter {

Scoring scoring_from(const config::v1::Filter& config);
/// With those of lists in DNS.
SymbolNames symbol_names(const config::v1::Filter& config);

}  // namespace merpati::filter
