// Metrics of the ManageSieve edge.
#pragma once

#include "merpati/edge/probe.hpp"

namespace merpati::managesieve {

/// command() takes a Verb.
edge::Probe make_probe(runtime::Metrics& metrics);

}  // namespace merpati::managesieve
