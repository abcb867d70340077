// What several engines read from the configuration in the same way.
#pragma once

#include <string>

#include "filter/engine.hpp"
#include "merpati/config/v1/filter_engines.pb.h"
#include "merpati/net/address.hpp"

namespace merpati::filter {

WhenUnchecked when_unchecked(config::v1::Unchecked unchecked);

/// Empty: loopback; "none": there are none. kInvalidArgument names the key.
Result<net::CidrSet> networks_from(const std::string& key,
                                   const google::protobuf::RepeatedPtrField<std::string>& ranges);

}  // namespace merpati::filter
