// What milters made of one message, for whoever accepts it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "merpati/filter/v1/milters.pb.h"
#include "merpati/smtp/reply.hpp"
#include "smtp/incoming.hpp"

namespace merpati::smtp {

struct MilterOutcome {
  bool asked = false;                 ///< they had their say, or are passed over as their configuration says
  bool results_checked = false;       ///< forged Authentication-Results are gone, and those of our name are theirs
  std::optional<Reply> refusal;       ///< lines with "\n" between them
  bool close = false;                 ///< the connection ends with the refusal
  std::string discarded_by;           ///< "by the milter x"; empty: none wants it dropped
  std::optional<std::string> header;  ///< the header block as they leave it; none: as the buffer has it
  /// As it came, where they have changed something.
  struct Received {
    std::string header;
    std::unique_ptr<Incoming> whole;  ///< where they made a new body; else the body is that of the present message
    std::optional<std::string> reverse_path;
  };
  std::optional<Received> received;
  std::vector<filter::v1::MilterAnswer> answers;
};

}  // namespace merpati::smtp
