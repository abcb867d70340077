// ArcSealer: the set of ARC fields (RFC 8617) that vouches for what we found out of a message that goes on elsewhere.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"
#include "merpati/dns/resolver.hpp"
#include "merpati/filter/v1/filter.pb.h"
#include "merpati/mailauth/arc.hpp"
#include "merpati/mailauth/signing_key.hpp"
#include "merpati/runtime/metrics.hpp"

namespace merpati::config::v1 {
class Filter;
}

namespace merpati::filter {

struct ArcSealerSettings {
  std::string domain;    ///< d=
  std::string selector;  ///< s=
  mailauth::SigningKey key;
  std::chrono::milliseconds lookup_time{5000};  ///< for the keys of the sets that are there
};

/// The ARC fields of a header block as they stand there, from the top.
std::string arc_fields(std::string_view header);

/// Nothing where the configuration wants no seal. kInvalidArgument names the key that is wrong.
Result<std::optional<ArcSealerSettings>> arc_sealer_settings(const config::v1::Filter& config);

/// Thread safe.
class ArcSealer {
 public:
  ArcSealer(ArcSealerSettings settings, std::shared_ptr<dns::Resolver> resolver, asio::thread_pool& blocking,
            runtime::Metrics& metrics);

  struct Message {
    std::string_view header;  ///< the block, as it leaves but for what hosts add on the way
    std::string_view body;
  };
  struct Known {
    std::string authserv_id;
    std::string results;  ///< the methods of our Authentication-Results (mailauth::write_methods())
    mailauth::ArcOutcome chain;
  };
  using Fields = std::vector<v1::HeaderEdit>;  ///< to prepend, from the top

  /// The chain of a message as it came. Asks DNS only where there is one.
  Task<mailauth::ArcOutcome> verify(Message received, Deadline deadline) const;
  /// The set of a message whose body came as it leaves; no fields where none may or can be added. `most` octets at
  /// most.
  Task<Fields> seal(Message leaving, const Known& known, std::size_t most);
  /// Counts a message that leaves without a seal since it is too large to be read.
  void count_too_large() { too_large_.add(); }
  /// Another that could not be read.
  void count_error(const Error& error);

 private:
  Fields unsealed(runtime::Counter& counter, std::string_view why) const;

  const ArcSealerSettings settings_;
  std::shared_ptr<dns::Resolver> resolver_;
  asio::thread_pool& blocking_;
  runtime::Counter sealed_, chain_ended_, unknown_, too_large_, error_;
};

}  // namespace merpati::filter
