// SPF, DKIM, DMARC, ARC and iprev (libs/mailauth) of mail from outside, as an engine of the first stage.
#pragma once

#include <memory>

#include "filter/authentication_findings.hpp"
#include "merpati/dns/resolver.hpp"
#include "merpati/net/address.hpp"

namespace merpati::filter {

struct MailAuthenticationSettings {
  std::chrono::milliseconds lookup_time{5000};  ///< mailauth::AuthenticationQuery
  net::CidrSet own_networks;                    ///< whose mail is not checked
  AuthenticationPolicy policy;
  bool for_reports = false;                             ///< mailauth::AuthenticationQuery
  WhenUnchecked when_unchecked = WhenUnchecked::kMark;  ///< when nothing is known of the author for want of DNS
};

class MailAuthenticationEngine : public Engine {
 public:
  MailAuthenticationEngine(MailAuthenticationSettings settings, std::shared_ptr<dns::Resolver> resolver,
                           asio::thread_pool& blocking)
      : settings_(std::move(settings)), resolver_(std::move(resolver)), blocking_(blocking) {}

  std::string_view name() const override { return "mail_authentication"; }
  EngineSettings settings() const override;
  Stage stage() const override { return Stage::kFirst; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  const MailAuthenticationSettings settings_;
  std::shared_ptr<dns::Resolver> resolver_;
  asio::thread_pool& blocking_;
  mailauth::PublicKeys keys_;
};

}  // namespace merpati::filter
