#include "auth/scram.hpp"

#include <gtest/gtest.h>

#include "merpati/base/encoding.hpp"

namespace merpati::auth {
namespace {

// RFC 7677 3: the example exchange.
constexpr const char* kClientFirst = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr const char* kClientFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

ScramVerifier pencil() { return make_scram_verifier("pencil", from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").value(), 4096); }

TEST(Scram, TheExampleOfRfc7677) {
  ScramServer server(ScramServer::Binding::kNone, {}, kServerNonce);
  ASSERT_TRUE(server.read_first(kClientFirst));
  EXPECT_EQ(server.user(), "user");
  EXPECT_EQ(server.challenge(pencil()),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const auto final = server.finish(kClientFinal);
  ASSERT_TRUE(final) << final.error().describe();
  EXPECT_EQ(*final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(Scram, AWrongProofIsRefused) {
  ScramServer server(ScramServer::Binding::kNone, {}, kServerNonce);
  ASSERT_TRUE(server.read_first(kClientFirst));
  server.challenge(make_scram_verifier("pencils", from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").value(), 4096));
  EXPECT_EQ(server.finish(kClientFinal).error().code(), ErrorCode::kUnauthenticated);
}

TEST(Scram, ARepeatedOrForeignNonceIsRefused) {
  ScramServer server(ScramServer::Binding::kNone, {}, "another");
  ASSERT_TRUE(server.read_first(kClientFirst));
  server.challenge(pencil());
  EXPECT_TRUE(server.finish(kClientFinal).has_error());
}

TEST(Scram, ChannelBindingFlags) {
  const ChannelBindings bound{"exporter", "end-point"};
  auto first = [&](ScramServer::Binding binding, ChannelBindings bindings, const char* text) {
    return ScramServer(binding, bindings, "x").read_first(text).has_value();
  };
  constexpr auto kNone = ScramServer::Binding::kNone, kPlus = ScramServer::Binding::kPlus;
  EXPECT_TRUE(first(kPlus, bound, "p=tls-exporter,,n=u,r=12345678"));
  EXPECT_TRUE(first(kPlus, bound, "p=tls-server-end-point,,n=u,r=12345678"));
  EXPECT_FALSE(first(kPlus, bound, "p=tls-unique,,n=u,r=12345678"));
  EXPECT_FALSE(first(kPlus, bound, "n,,n=u,r=12345678"));
  EXPECT_FALSE(first(kPlus, {}, "p=tls-exporter,,n=u,r=12345678"));
  EXPECT_FALSE(first(kNone, bound, "p=tls-exporter,,n=u,r=12345678"));
  EXPECT_FALSE(first(kNone, bound, "y,,n=u,r=12345678"));  // RFC 5802 6: a downgrade
  EXPECT_TRUE(first(kNone, {}, "y,,n=u,r=12345678"));
}

TEST(Scram, AnotherSessionsBindingIsRefused) {
  ScramServer server(ScramServer::Binding::kPlus, {"this session", ""}, "server");
  ASSERT_TRUE(server.read_first("p=tls-exporter,,n=u,r=12345678"));
  server.challenge(pencil());
  const auto bound = to_base64("p=tls-exporter,,another session");
  EXPECT_EQ(server.finish("c=" + bound + ",r=12345678server,p=" + to_base64(std::string(32, 'x'))).error().code(),
            ErrorCode::kUnauthenticated);
}

TEST(Scram, NamesAndMalformedMessages) {
  ScramServer server(ScramServer::Binding::kNone, {}, "x");
  ASSERT_TRUE(server.read_first("n,a=admin=3D,n=a=2Cb=3Dc,r=12345678"));
  EXPECT_EQ(server.user(), "a,b=c");
  EXPECT_EQ(server.authorization_id(), "admin=");
  for (const char* text : {"", "n", "n,", "n,,", "n,,n=,r=12345678", "n,,n=u", "n,,n=u,r=1", "n,,m=x,n=u,r=12345678",
                           "n,,n=a=2,r=12345678", "n,x=1,n=u,r=12345678", "q,,n=u,r=12345678"})
    EXPECT_TRUE(ScramServer(ScramServer::Binding::kNone, {}, "x").read_first(text).has_error()) << text;
  server.challenge(pencil());
  for (const char* text : {"", "c=biws", "p=x", "c=biws,r=1,p=!!", ",p="})
    EXPECT_TRUE(server.finish(text).has_error()) << text;
}

}  // namespace
}  // namespace merpati::auth
