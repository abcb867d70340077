#include "merpati/mailauth/authentication_results.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"

namespace merpati::mailauth {
namespace {

TEST(AuthenticationResults, WritesWhatRan) {
  EXPECT_EQ(write_authentication_results("mx.test", {}), "mx.test; none");
  SpfOutcome spf;
  spf.result = SpfResult::kPass;
  SpfQuery query;
  query.mail_from = "joe@a.test";
  DmarcOutcome dmarc;
  dmarc.result = DmarcResult::kNone;
  const MethodResult results[] = {method_result(spf, query), method_result(dmarc), method_results(DkimOutcome())[0]};
  EXPECT_EQ(write_authentication_results("mx.test", results),
            "mx.test;\r\n spf=pass smtp.mailfrom=joe@a.test;\r\n dmarc=none;\r\n dkim=none");
}

TEST(AuthenticationResults, AStrangersWordsStayInside) {
  SpfOutcome spf;
  spf.result = SpfResult::kPermError;
  spf.problem = "\"; dkim=pass\r\nX: y\\";
  SpfQuery query;
  query.mail_from = "a;dkim=pass\r\n@b.test";
  const MethodResult results[] = {method_result(spf, query)};
  EXPECT_EQ(write_methods(results),
            "spf=permerror reason=\"\\\"; dkim=passX: y\\\\\" smtp.mailfrom=\"a;dkim=pass@b.test\"");
}

TEST(AuthenticationResults, ForgedOnesAreFound) {
  const std::string own[] = {"mx.test"};
  EXPECT_EQ(forged_results("Authentication-Results: other; none\r\n"
                           "authentication-results: (c) \"MX.test\" 1; spf=pass\r\n"
                           "To: x\r\nAuthentication-Results:\r\n mx.test; none\r\n\r\n",
                           own),
            (std::vector<std::size_t>{2, 3}));
}

TEST(Iprev, NamesThatHaveTheAddress) {
  dns::StaticResolver dns;
  test::Loop loop;
  dns.set_names("192.0.2.1", {"liar.test", "mail.test"});
  dns.set_addresses("mail.test", {"192.0.2.1"});
  dns.set_names("192.0.2.2", {"liar.test"});
  dns.set_names_status("192.0.2.3", dns::Status::kTemporary);
  const auto check = [&](const char* address) {
    return loop.run(check_iprev(dns, boost::asio::ip::make_address(address), Deadline::never())).value();
  };
  EXPECT_EQ(check("192.0.2.1").result, IprevResult::kPass);
  EXPECT_EQ(check("192.0.2.1").name, "mail.test");
  EXPECT_EQ(check("192.0.2.2").result, IprevResult::kFail);
  EXPECT_EQ(check("192.0.2.3").result, IprevResult::kTempError);
  EXPECT_EQ(check("192.0.2.4").result, IprevResult::kPermError);
}

}  // namespace
}  // namespace merpati::mailauth
