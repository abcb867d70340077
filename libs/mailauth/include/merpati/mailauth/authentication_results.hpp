// Authentication-Results (RFC 8601): what we write, and which fields of a message claim to be ours.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "merpati/mailauth/arc.hpp"
#include "merpati/mailauth/dkim.hpp"
#include "merpati/mailauth/dmarc.hpp"
#include "merpati/mailauth/iprev.hpp"
#include "merpati/mailauth/spf.hpp"

namespace merpati::mailauth {

/// One method's result. Only methods that ran may be written.
struct MethodResult {
  std::string method;
  std::string result;
  std::vector<std::pair<std::string, std::string>> properties;  ///< "smtp.mailfrom" and its value
  std::string reason;                                           ///< empty: none
};

MethodResult method_result(const SpfOutcome& outcome, const SpfQuery& query);
std::vector<MethodResult> method_results(const DkimOutcome& outcome);
MethodResult method_result(const DmarcOutcome& outcome);
MethodResult method_result(const ArcOutcome& outcome);
MethodResult method_result(const IprevOutcome& outcome, const dns::IpAddress& client);

/// The methods, each on a folded line, without authserv-id; "none" when there are none. Also for ARC.
std::string write_methods(std::span<const MethodResult> results);
/// The field's value, folded, without final CRLF.
std::string write_authentication_results(std::string_view authserv_id, std::span<const MethodResult> results);

/// Of "authserv-id [version]; method[/version]=result ...; ...": the methods and results in lower case, without what
/// cannot be read (RFC 8601 2.2).
std::vector<std::pair<std::string, std::string>> read_methods(std::string_view value);

/// Indexes (from 1 at the top, among the fields of this name) of those whose authserv-id is one of `own_names`: they
/// are forged and must be removed (RFC 8601 5).
std::vector<std::size_t> forged_results(std::string_view header_block, std::span<const std::string> own_names);

}  // namespace merpati::mailauth
