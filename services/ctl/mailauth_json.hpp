// Outcomes of libs/mailauth as JSON: result, what it is about, and every step.
#pragma once

#include "ctl/output.hpp"
#include "merpati/mailauth/authenticate.hpp"

namespace merpati::ctl {

Json to_json(const mailauth::SpfOutcome& outcome);
Json to_json(const mailauth::DkimOutcome& outcome);
Json to_json(const mailauth::DmarcOutcome& outcome);
Json to_json(const mailauth::ArcOutcome& outcome);
Json to_json(const mailauth::IprevOutcome& outcome);
/// DMARC's, and the others' by their names. DKIM, ARC and DMARC ran.
Json to_json(const mailauth::Authentication& found);

}  // namespace merpati::ctl
