#include "merpati/mailauth/iprev.hpp"

#include <algorithm>

namespace merpati::mailauth {

std::string_view to_string(IprevResult result) {
  switch (result) {
    case IprevResult::kPass:
      return "pass";
    case IprevResult::kFail:
      return "fail";
    case IprevResult::kTempError:
      return "temperror";
    case IprevResult::kPermError:
      return "permerror";
  }
  return "permerror";
}

Task<IprevOutcome> check_iprev(dns::Resolver& resolver, dns::IpAddress client, Deadline deadline) {
  const auto unknown = [](dns::Status s) { return s == dns::Status::kTemporary || s == dns::Status::kBogus; };
  IprevOutcome out;
  MERPATI_CO_TRY(const auto names, co_await resolver.names(client, deadline));
  out.steps.push_back({"PTR " + client.to_string(), std::string(dns::to_string(names.status))});
  if (names.status != dns::Status::kFound) {
    // RFC 8601 2.7.3: no name at all is a permerror.
    out.result = unknown(names.status) ? IprevResult::kTempError : IprevResult::kPermError;
    co_return out;
  }
  out.result = IprevResult::kFail;
  std::size_t left = 10;  // RFC 8601 3: a limit, as names are the client's choice
  for (const std::string& name : names.records) {
    if (left-- == 0) break;
    MERPATI_CO_TRY(const auto answer, co_await resolver.addresses_of(
                                          client.is_v4() ? dns::Family::kV4 : dns::Family::kV6, name, deadline));
    out.steps.push_back({(client.is_v4() ? "A " : "AAAA ") + name, std::string(dns::to_string(answer.status))});
    if (std::find(answer.records.begin(), answer.records.end(), client) != answer.records.end()) {
      out.result = IprevResult::kPass;
      out.name = name;
      co_return out;
    }
    if (unknown(answer.status)) out.result = IprevResult::kTempError;
  }
  co_return out;
}

}  // namespace merpati::mailauth
