// ScriptedMessage: the message as scripts see it, and its edited forms as they are delivered.
#pragma once

#include <string>
#include <string_view>

#include "merpati/base/spool.hpp"
#include "merpati/filter/v1/filter.pb.h"
#include "merpati/sieve/outcome.hpp"

namespace merpati::filter {

/// Scripts see what will be delivered: with what the filter prepends for everybody, without what it deletes.
class ScriptedMessage {
 public:
  /// `message` with its header block `header` in front; for one that is too large to be seen, the header alone.
  /// `prepended` is how it begins and is no part of its edited forms.
  static Result<ScriptedMessage> make(std::string_view header, std::string_view message,
                                      const google::protobuf::RepeatedPtrField<v1::HeaderEdit>& edits,
                                      std::string_view prepended = {});

  std::string_view octets() const { return spooled_.empty() ? std::string_view(small_) : spooled_; }
  std::string_view header() const { return octets().substr(0, header_size_); }

  /// The whole message in this version, without what is prepended anyway.
  std::string in_version(const sieve::Version& version) const;

 private:
  std::string prefix_;  ///< what the filter prepends, and what was prepended before
  std::string small_;
  Spool spool_;
  std::string_view spooled_;
  std::size_t header_size_ = 0;
};

}  // namespace merpati::filter
