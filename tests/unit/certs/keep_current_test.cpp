#include "certs/keep_current.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "merpati/runtime/config_loader.hpp"

namespace merpati::certs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Time kBegin{seconds(1'800'000'000)};

/// In memory, with versions as the API server has them.
class MemoryStore : public SecretStore {
 public:
  Result<Secret> read(const std::string& name) override {
    Secret secret = secrets[name];
    secret.handle = std::to_string(versions[name]);
    return secret;
  }
  Result<void> write(const std::string& name, const Secret& secret) override {
    if (before_write) std::exchange(before_write, nullptr)();
    if (secret.handle != std::to_string(versions[name])) return Error(ErrorCode::kAborted, "conflict");
    order.push_back(name);
    ++versions[name];
    secrets[name] = secret;
    return {};
  }
  KeyPair pair(const std::string& name) { return {secrets[name].files["tls.crt"], secrets[name].files["tls.key"]}; }

  std::map<std::string, Secret> secrets;
  std::map<std::string, int> versions;
  std::vector<std::string> order;
  std::function<void()> before_write;
};

int certificates_in(const std::string& bundle) {
  int count = 0;
  for (auto at = bundle.find("BEGIN CERTIFICATE"); at != std::string::npos;
       at = bundle.find("BEGIN CERTIFICATE", at + 1))
    ++count;
  return count;
}

struct KeepCurrent : testing::Test {
  KeepCurrent() {
    plan.authority_name = "authority";
    plan.lives = {hours(17520), hours(720), hours(24)};
    plan.certificates = {{"smtp-tls", {"smtp", "spiffe://merpati/smtp", {"m-smtp"}}},
                         {"store-tls", {"store", "spiffe://merpati/store", {"m-store"}}}};
  }
  Round round(Time now, bool rotate = false) {
    plan.rotate = rotate;
    return keep_current(store, plan, now).value();
  }
  std::string bundle() { return store.secrets["smtp-tls"].files["ca.crt"]; }
  std::string signer() { return store.secrets["authority"].files["current.crt"]; }

  MemoryStore store;
  Plan plan;
};

TEST_F(KeepCurrent, TheFirstRoundMakesEverythingAndTheAuthorityFirst) {
  EXPECT_THAT(round(kBegin).issued, ElementsAre("smtp-tls", "store-tls"));
  EXPECT_THAT(store.order, ElementsAre("authority", "smtp-tls", "store-tls"));
  EXPECT_TRUE(is_of(store.pair("smtp-tls"), bundle()));
  EXPECT_EQ(read_certificate(store.pair("store-tls").certificate)->uris,
            std::set<std::string>{"spiffe://merpati/store"});
}

TEST_F(KeepCurrent, NothingIsWrittenWhileNothingIsDue) {
  round(kBegin);
  store.order.clear();
  EXPECT_THAT(round(kBegin + hours(479)).issued, IsEmpty());
  EXPECT_THAT(store.order, IsEmpty());
}

TEST_F(KeepCurrent, ACertificateIsMadeAnewWhenAThirdOfItsLifeIsLeft) {
  round(kBegin);
  const auto old = store.pair("smtp-tls");
  EXPECT_THAT(round(kBegin + hours(480)).issued, ElementsAre("smtp-tls", "store-tls"));
  EXPECT_NE(store.pair("smtp-tls").key, old.key);
  EXPECT_TRUE(is_of(store.pair("smtp-tls"), signer()));
}

TEST_F(KeepCurrent, ACertificateIsMadeAnewWhenItsNamesChangeOrItWasDamaged) {
  round(kBegin);
  plan.certificates[0].subject.dns_names.insert("another");
  EXPECT_THAT(round(kBegin).issued, ElementsAre("smtp-tls"));
  store.secrets["store-tls"].files["tls.key"] = "garbage";
  EXPECT_THAT(round(kBegin).issued, ElementsAre("store-tls"));
  plan.certificates[1].subject.uri = "spiffe://elsewhere/store";
  EXPECT_THAT(round(kBegin).issued, ElementsAre("store-tls"));
}

// At every instant of a rotation each certificate in use is trusted by each bundle in use, also by those one round old.
TEST_F(KeepCurrent, AuthoritiesOverlapWhenTheyAreRotated) {
  round(kBegin);
  const auto first = signer();
  auto last_bundle = bundle();
  auto last_pair = store.pair("smtp-tls");
  std::vector<int> sizes;
  Time now = kBegin + hours(17520 - 5840);
  for (int day = 0; day < 5; ++day, now += hours(24)) {
    round(now);
    for (const auto& trusted : {last_bundle, bundle()}) {
      for (const auto& leaf : {last_pair, store.pair("smtp-tls")}) {
        bool good = false;
        for (auto at = trusted.find("-----BEGIN"); at != std::string::npos; at = trusted.find("-----BEGIN", at + 1))
          good = good || is_of(leaf, std::string_view(trusted).substr(at));
        // The very first round comes after the first certificates have long ended.
        EXPECT_TRUE(good) << "day " << day;
      }
    }
    sizes.push_back(certificates_in(bundle()));
    last_bundle = bundle();
    last_pair = store.pair("smtp-tls");
  }
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1, 1, 1)) << "announced, promoted, and the old one dropped";
  EXPECT_NE(signer(), first);
  EXPECT_FALSE(store.secrets["authority"].files.contains("previous.crt"));
}

TEST_F(KeepCurrent, TheNextAuthorityDoesNotSignBeforeTheOverlapHasPassed) {
  round(kBegin);
  const auto first = signer();
  round(kBegin + hours(1), true);
  EXPECT_EQ(certificates_in(bundle()), 2);
  EXPECT_EQ(signer(), first);
  EXPECT_THAT(round(kBegin + hours(24)).issued, IsEmpty());
  EXPECT_EQ(signer(), first);
  EXPECT_THAT(round(kBegin + hours(25)).issued, ElementsAre("smtp-tls", "store-tls"));
  EXPECT_NE(signer(), first);
  EXPECT_EQ(store.secrets["authority"].files.count("previous.key"), 0U) << "a key that signs no more is not kept";
  EXPECT_THAT(bundle(), HasSubstr(first)) << "its certificates are in use for a moment longer";
}

TEST_F(KeepCurrent, WhoComesSecondReadsAgain) {
  MemoryStore* memory = &store;
  store.before_write = [this, memory] { keep_current(*memory, plan, kBegin).value(); };
  round(kBegin);
  EXPECT_TRUE(is_of(store.pair("smtp-tls"), signer())) << "the other's authority stays, and signed";
  EXPECT_EQ(store.versions["authority"], 1);
}

TEST_F(KeepCurrent, ADamagedAuthorityIsNotReplacedByItself) {
  round(kBegin);
  store.secrets["authority"].files["current.key"] = "garbage";
  const auto failed = keep_current(store, plan, kBegin);
  ASSERT_TRUE(failed.has_error());
  EXPECT_EQ(failed.error().code(), ErrorCode::kDataLoss);
}

TEST(PlanOf, ReadsTheConfigurationAndNamesFaults) {
  const auto plan = [](std::string_view yaml) {
    config::v1::Config config;
    runtime::load_config_text(yaml, "test.yaml", {}, config).value();
    return plan_of(config, {"smtp", "store"});
  };
  const auto all = plan("certs: {directory: /x}\n").value();
  ASSERT_EQ(all.certificates.size(), 2U);
  EXPECT_EQ(all.certificates[1].subject.uri, "spiffe://merpati/store");
  const auto own =
      plan("certs: {kubernetes: {authority_secret: a}, certificates: [{name: m, dns_names: [b]}]}\n").value();
  EXPECT_EQ(own.authority_name, "a");
  EXPECT_EQ(own.certificates[0].subject.uri, "");
  EXPECT_THAT(plan("certs: {certificates: [{name: m, service: smpt}]}\n").error().message(), HasSubstr("smpt"));
  EXPECT_THAT(plan("certs: {certificates: [{name: m}]}\n").error().message(), HasSubstr("neither"));
  EXPECT_THAT(plan("certs: {life: 9000h}\n").error().message(), HasSubstr("three times"));
}

}  // namespace
}  // namespace merpati::certs
