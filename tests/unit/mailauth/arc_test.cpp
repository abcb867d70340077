#include "merpati/mailauth/arc.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"
#include "unit/mailauth/messages.hpp"

namespace merpati::mailauth {
namespace {
using namespace test_messages;

class ArcTest : public ::testing::Test {
 protected:
  ArcTest() {
    dns_.set_txt("e._domainkey.one.test", {ed25519().key_record()});
    dns_.set_txt("r._domainkey.two.test", {rsa().key_record() + "; t=s"});
  }
  ArcOutcome verify(const std::string& message) {
    return loop_.run(verify_arc(dns_, message, now_, Deadline::after(std::chrono::seconds(20)))).value();
  }
  Result<std::string> seal(const std::string& message, bool first) {
    const auto fields = new_set(message, first, verify(message));
    if (fields.has_error()) return fields.error();
    return *fields + message;
  }
  Result<std::string> new_set(const std::string& message, bool first, const ArcOutcome& before) {
    ArcSealOptions how;
    how.domain = first ? "one.test" : "two.test";
    how.selector = first ? "e" : "r";
    how.authserv_id = "mx." + how.domain;
    how.results = "spf=pass smtp.mailfrom=joe@football.example.com;\r\n dkim=none";
    how.now = now_;
    const auto size = mime::header_block_size(message);
    BodyHashes hashes;
    hashes.add(Canonical::kRelaxed, std::nullopt);
    hashes.update(message.substr(size));
    hashes.finish();
    return seal_arc(message.substr(0, size), hashes, before, first ? ed25519() : rsa(), how);
  }

  const WallTime now_{std::chrono::seconds(1'700'000'000)};
  dns::StaticResolver dns_;
  test::Loop loop_;
};

TEST_F(ArcTest, ChainsOfSeveralSets) {
  EXPECT_EQ(verify(kDinner).result, ArcResult::kNone);
  std::string message = kDinner;
  for (int i = 1; i <= 4; ++i) {
    message = seal(message, i % 2 == 1).value();
    const auto outcome = verify(message);
    EXPECT_EQ(outcome.result, ArcResult::kPass) << i << " " << outcome.problem;
    ASSERT_EQ(outcome.sets.size(), static_cast<std::size_t>(i));
    EXPECT_EQ(outcome.sets[0].cv, "none");
    EXPECT_EQ(outcome.sets.back().cv, i == 1 ? "none" : "pass");
    EXPECT_NE(outcome.sets[0].results.find("spf=pass"), std::string::npos);
  }
}

TEST_F(ArcTest, ChangesBreakTheChain) {
  const auto message = seal(seal(kDinner, true).value(), false).value();
  std::string body = message, old_results = message, cv = message;
  body.replace(body.find("Joe."), 4, "Jim.");
  EXPECT_EQ(verify(body).result, ArcResult::kFail);
  const auto last = old_results.rfind("spf=pass");  // of the first set, which only seals cover
  old_results.replace(last, 8, "spf=fail");
  const auto outcome = verify(old_results);
  EXPECT_EQ(outcome.result, ArcResult::kFail);
  EXPECT_NE(outcome.problem.find("seal i=1"), std::string::npos) << outcome.problem;
  cv.replace(cv.find("cv=pass"), 7, "cv=none");
  EXPECT_EQ(verify(cv).result, ArcResult::kFail);
}

// RFC 8617 5.2, step 3: the structure.
TEST_F(ArcTest, StructureOfSets) {
  const auto message = seal(kDinner, true).value();
  const auto without = [&](const char* name) {
    std::string out;
    for (const auto& field : fields_of(message)) {
      if (!mime::iequals(field.name, name)) out += field.raw;
    }
    return out + "\r\n" + kDinner.substr(mime::header_block_size(kDinner));
  };
  for (const char* name : {"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"}) {
    const auto outcome = verify(without(name));
    EXPECT_EQ(outcome.result, ArcResult::kFail) << name;
    EXPECT_TRUE(outcome.sealable);
    EXPECT_EQ(outcome.newest, 1);
  }
  EXPECT_EQ(verify("ARC-Seal: i=1; cv=none\r\n" + message).result, ArcResult::kFail);
  EXPECT_EQ(verify("ARC-Seal: i=51; cv=pass\r\n" + message).result, ArcResult::kFail);
  EXPECT_EQ(verify("ARC-Seal: i=0; cv=pass\r\n" + message).result, ArcResult::kFail);
  EXPECT_EQ(verify("ARC-Seal: i=3; cv=pass\r\n" + message).result, ArcResult::kFail);
}

// RFC 8617 5.1.2: a failed chain is declared once, and then nothing is added.
TEST_F(ArcTest, AFailedChainIsSealedOnce) {
  std::string message = seal(kDinner, true).value();
  message.replace(message.find("Joe."), 4, "Jim.");
  const auto sealed = seal(message, false);
  ASSERT_TRUE(sealed.has_value());
  EXPECT_NE(sealed->find("cv=fail"), std::string::npos);
  const auto outcome = verify(*sealed);
  EXPECT_EQ(outcome.result, ArcResult::kFail);
  EXPECT_FALSE(outcome.sealable);
  EXPECT_EQ(seal(*sealed, true).error().code(), ErrorCode::kFailedPrecondition);
}

// RFC 8617 5.1.2: whoever detects a malformed chain seals that, over the own set alone.
TEST_F(ArcTest, AMalformedChainIsSealedAsIfTheNewSetWereTheOnlyOne) {
  const auto whole = seal(kDinner, true).value();
  const std::pair<std::string, int> malformed[] = {
      {"ARC-Seal: i=1; cv=none\r\n" + whole, 1},                            // twice
      {"ARC-Message-Signature: i=3; a=ed25519-sha256\r\n" + whole, 3},      // a gap, and not complete
      {"ARC-Authentication-Results: i=1; mx.test; none\r\n" + kDinner, 1},  // nothing else of it
      {"ARC-Seal: no tags at all\r\n" + kDinner, 0},                        // no number to count on from
  };
  for (const auto& [message, highest] : malformed) {
    const auto sealed = seal(message, false);
    ASSERT_TRUE(sealed.has_value()) << message;
    EXPECT_NE(sealed->find("ARC-Seal: i=" + std::to_string(highest + 1) + "; a=rsa-sha256; t=1700000000; cv=fail;"),
              std::string::npos)
        << *sealed;
    ArcOutcome alone;
    alone.result = ArcResult::kFail;
    alone.newest = highest;
    EXPECT_EQ(*sealed, new_set(kDinner, false, alone).value() + message);
    EXPECT_EQ(verify(*sealed).result, ArcResult::kFail);
    EXPECT_EQ(seal(*sealed, true).error().code(), ErrorCode::kFailedPrecondition) << "once";
  }
}

// RFC 8617 4.2.1: no instance above 50.
TEST_F(ArcTest, NothingIsAddedToAChainOfFullLength) {
  for (const char* number : {"50", "51", "99999999999999999999"}) {
    const auto outcome = verify("ARC-Seal: i=" + std::string(number) + "; cv=pass\r\n" + kDinner);
    EXPECT_EQ(outcome.result, ArcResult::kFail);
    EXPECT_EQ(outcome.sealable, std::string(number).size() > 2) << number;
  }
}

TEST_F(ArcTest, AKeyThatCannotBeFetched) {
  const auto message = seal(kDinner, true).value();
  dns_.set_txt_status("e._domainkey.one.test", dns::Status::kTemporary);
  EXPECT_EQ(verify(message).result, ArcResult::kTempError);
  EXPECT_EQ(seal(message, false).error().code(), ErrorCode::kUnavailable);
  dns_.set_txt_status("e._domainkey.one.test", dns::Status::kNoName);
  EXPECT_EQ(verify(message).result, ArcResult::kFail);
}

}  // namespace
}  // namespace merpati::mailauth
