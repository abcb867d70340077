#include "merpati/mailauth/dkim.hpp"

#include <gtest/gtest.h>

#include "merpati/dns/static_resolver.hpp"
#include "support/loop.hpp"
#include "unit/mailauth/messages.hpp"

namespace merpati::mailauth {
namespace {
using namespace test_messages;

class DkimTest : public ::testing::Test {
 protected:
  DkimTest() {
    dns_.set_txt("brisbane._domainkey.football.example.com", {kRfc8463Ed25519});
    dns_.set_txt("test._domainkey.football.example.com", {kRfc8463Rsa});
    dns_.set_txt("brisbane._domainkey.example.com", {kRfc6376Key});
    dns_.set_txt("e._domainkey.a.test", {ed25519().key_record()});
    dns_.set_txt("r._domainkey.a.test", {rsa().key_record()});
  }
  DkimOutcome verify(const std::string& message, DkimLimits limits = {}) {
    return loop_.run(verify_dkim(dns_, message, now_, Deadline::after(std::chrono::seconds(20)), limits)).value();
  }
  DkimSignOptions options(const char* selector) const {
    DkimSignOptions out;
    out.domain = "a.test";
    out.selector = selector;
    out.now = now_;
    return out;
  }
  std::string signed_dinner(const SigningKey& key, const DkimSignOptions& how) {
    return sign_dkim(kDinner, key, how).value() + kDinner;
  }

  const WallTime now_{std::chrono::seconds(1'700'000'000)};
  dns::StaticResolver dns_;
  test::Loop loop_;
};

TEST_F(DkimTest, ExampleOfRfc8463) {
  const auto outcome = verify(kRfc8463);
  ASSERT_EQ(outcome.signatures.size(), 2u);
  for (const auto& s : outcome.signatures) EXPECT_EQ(s.result, DkimResult::kPass) << s.algorithm << " " << s.problem;
  EXPECT_EQ(outcome.signatures[0].signature, "/gCrinpc");
  EXPECT_EQ(outcome.signatures[1].key_bits, 1024);
  EXPECT_FALSE(outcome.signatures[0].steps.empty());
}

TEST_F(DkimTest, ExampleOfRfc6376) {
  std::string message = kRfc6376;  // erratum 3192: the body that was signed has one space there
  message.erase(message.find("game.  Are") + 5, 1);
  const auto outcome = verify(message);
  ASSERT_EQ(outcome.signatures.size(), 1u);
  EXPECT_EQ(outcome.signatures[0].result, DkimResult::kPass) << outcome.signatures[0].problem;
  EXPECT_EQ(outcome.signatures[0].identity, "joe@football.example.com");
}

TEST_F(DkimTest, WhatWasChangedFails) {
  std::string body = kRfc8463, subject = kRfc8463;
  body.replace(body.find("Joe.\r\n"), 4, "Jim.");
  subject.replace(subject.find("dinner"), 6, "supper");
  EXPECT_EQ(verify(body).best(), DkimResult::kFail);
  EXPECT_EQ(verify(subject).best(), DkimResult::kFail);
  // Signed twice in h=, so that a second From breaks it.
  EXPECT_EQ(verify("From: x@evil.test\r\n" + kRfc8463).best(), DkimResult::kFail);
}

TEST_F(DkimTest, SignedMailVerifies) {
  for (const auto header : {Canonical::kSimple, Canonical::kRelaxed}) {
    for (const auto body : {Canonical::kSimple, Canonical::kRelaxed}) {
      auto how = options("e");
      how.header_canonical = header;
      how.body_canonical = body;
      how.life = std::chrono::hours(1);
      EXPECT_EQ(verify(signed_dinner(ed25519(), how)).best(), DkimResult::kPass);
      how.selector = "r";
      EXPECT_EQ(verify(signed_dinner(rsa(), how)).best(), DkimResult::kPass);
    }
  }
  EXPECT_FALSE(sign_dkim("To: a@b.test\r\n\r\n", ed25519(), options("e")).has_value());
}

TEST_F(DkimTest, TimesOfSignatures) {
  auto how = options("e");
  how.life = std::chrono::hours(1);
  how.now = now_ - std::chrono::hours(3);
  EXPECT_EQ(verify(signed_dinner(ed25519(), how)).best(), DkimResult::kFail);  // x=
  how.now = now_ - std::chrono::minutes(90);
  EXPECT_EQ(verify(signed_dinner(ed25519(), how)).best(), DkimResult::kPass);  // within the skew of clocks
  how.now = now_ + std::chrono::hours(2);
  EXPECT_EQ(verify(signed_dinner(ed25519(), how)).best(), DkimResult::kFail);  // t= in the future
}

TEST_F(DkimTest, KeysThatAreNotAccepted) {
  const auto message = signed_dinner(ed25519(), options("k"));
  const auto result = [&](const std::string& record) {
    dns_.set_txt("k._domainkey.a.test", {record});
    return verify(message).best();
  };
  const std::string good = ed25519().key_record();
  EXPECT_EQ(result(good), DkimResult::kPass);
  EXPECT_EQ(result("v=DKIM1; k=ed25519; p="), DkimResult::kPermError);  // RFC 6376 3.6.1: revoked
  EXPECT_EQ(result(good + "; s=web"), DkimResult::kPermError);
  EXPECT_EQ(result(good + "; h=sha1"), DkimResult::kPermError);
  EXPECT_EQ(result(good + "; t=s:y"), DkimResult::kPass);
  EXPECT_EQ(result(rsa().key_record()), DkimResult::kPermError);
  EXPECT_EQ(result("p=%%%"), DkimResult::kPermError);
  EXPECT_EQ(result("k=ed25519; v=DKIM1; p=AAAA"), DkimResult::kPermError);
  dns_.set_txt_status("k._domainkey.a.test", dns::Status::kTemporary);
  EXPECT_EQ(verify(message).best(), DkimResult::kTempError);
  dns_.set_txt_status("k._domainkey.a.test", dns::Status::kNoName);
  EXPECT_EQ(verify(message).best(), DkimResult::kPermError);
}

TEST_F(DkimTest, KeysAreReadOnce) {
  PublicKeys known;
  const auto read = [&](KeyType type, const std::string& record) {
    return known.get(type, parse_key_record(record)->key);
  };
  EXPECT_EQ(read(KeyType::kEd25519, ed25519().key_record())->bits(), 256);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(read(KeyType::kRsa, rsa().key_record())->bits(), 2048);
  EXPECT_TRUE(known.get(KeyType::kRsa, "rubbish").has_error());
  EXPECT_EQ(known.size(), 2U);
  for (int i = 0; i < 5000; ++i) {
    std::string key(32, 'k');
    key.replace(0, 8, std::to_string(10'000'000 + i));
    (void)known.get(KeyType::kEd25519, key);
  }
  EXPECT_LE(known.size(), 4096U);
}

TEST_F(DkimTest, KeySizes) {
  DkimLimits limits;
  limits.max_rsa_bits = 1024;
  EXPECT_EQ(verify(signed_dinner(rsa(), options("r")), limits).best(), DkimResult::kPolicy);
  limits = {};
  limits.min_rsa_bits = 3072;
  EXPECT_EQ(verify(signed_dinner(rsa(), options("r")), limits).best(), DkimResult::kPolicy);
  EXPECT_FALSE(SigningKey::from_pem(make_key(768)).has_value());  // RFC 8301 3.2
  EXPECT_NE(SigningKey::from_pem("x").error().message().find("openssl"), std::string::npos);
  // A stranger's key of 16,384 bits is refused for its size alone.
  std::string der("\x30\x82\x08\x0a\x02\x82\x08\x01", 8);
  der += '\0' + std::string(2048, '\xff') + std::string("\x02\x03\x01\x00\x01", 5);
  dns_.set_txt("r._domainkey.a.test", {"p=" + to_base64(der)});
  const auto outcome = verify(signed_dinner(rsa(), options("r")));
  EXPECT_EQ(outcome.best(), DkimResult::kPolicy) << outcome.signatures[0].problem;
  EXPECT_EQ(outcome.signatures[0].key_bits, 16'384);
}

TEST_F(DkimTest, SignaturesThatCannotBeRead) {
  const std::string good = sign_dkim(kDinner, ed25519(), options("e")).value();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string field = good;
    field.replace(field.find(from), from.size(), to);
    return verify(field + kDinner).best();
  };
  EXPECT_EQ(with("v=1", "v=2"), DkimResult::kNeutral);
  EXPECT_EQ(with("v=1; ", ""), DkimResult::kNeutral);
  EXPECT_EQ(with("a=ed25519-sha256", "a=rsa-sha1"), DkimResult::kPolicy);  // RFC 8301 3.1
  EXPECT_EQ(with("a=ed25519-sha256", "a=rot13"), DkimResult::kNeutral);
  EXPECT_EQ(with("d=a.test", "d=a.test; d=b.test"), DkimResult::kNeutral);
  EXPECT_EQ(with("d=a.test", "d=a.test; i=@b.test"), DkimResult::kNeutral);
  EXPECT_EQ(with("d=a.test", "d=a.test; q=web/x"), DkimResult::kNeutral);
  EXPECT_EQ(with("h=from", "h=x"), DkimResult::kFail);  // From stands twice: once more for oversigning
  EXPECT_EQ(verify("DKIM-Signature: garbage\r\n" + kDinner).best(), DkimResult::kNeutral);
  EXPECT_EQ(verify(kDinner).best(), DkimResult::kNone);
}

TEST_F(DkimTest, PartsThatAreNotSignedAreSuspicious) {
  // l=11 made by hand: the signature covers "Hi.\r\n\r\nWe l".
  const auto size = mime::header_block_size(kDinner);
  BodyHash body(Canonical::kRelaxed, 11);
  body.update(kDinner.substr(size));
  std::string field = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.test; s=e; l=11; h=from; bh=" +
                      to_base64(body.finish()) + "; b=";
  const auto digest = header_digest(fields_of(kDinner), {"from"}, Canonical::kRelaxed, field);
  field += to_base64(ed25519().sign(digest).value()) + "\r\n";
  const auto outcome = verify(field + kDinner);
  EXPECT_EQ(outcome.best(), DkimResult::kPolicy) << outcome.signatures[0].problem;
  EXPECT_TRUE(outcome.signatures[0].partial);
  // The line gets its end, which is not signed either; a body shorter than l= is an error (RFC 6376 3.5).
  EXPECT_EQ(verify(field + kDinner.substr(0, size + 11)).best(), DkimResult::kPolicy);
  EXPECT_EQ(verify(field + kDinner.substr(0, size + 5)).best(), DkimResult::kPermError);
}

TEST_F(DkimTest, TenThousandSignaturesAreHarmless) {
  std::string message;
  const std::string one = sign_dkim(kDinner, ed25519(), options("e")).value();
  for (int i = 0; i < 10'000; ++i) message += one;
  const auto outcome = verify(message + kDinner);
  EXPECT_EQ(outcome.signatures.size(), 10u);
  EXPECT_EQ(outcome.ignored, 9990u);
  EXPECT_EQ(dns_.questions(), 1) << "the same key is asked for once";
  EXPECT_EQ(outcome.best(), DkimResult::kPass);
}

std::string canonical_body(const std::string& body, Canonical canonical) {
  // The hash of what it should be tells whether it is.
  BodyHash hash(canonical, std::nullopt);
  hash.update(body);
  return to_hex(hash.finish());
}
std::string plain(const std::string& text) { return to_hex(sha256(text)); }

// RFC 6376 3.4.3 to 3.4.5, and broken line ends.
TEST(DkimCanonical, Bodies) {
  using enum Canonical;
  EXPECT_EQ(canonical_body(" C \r\nD \t E\r\n\r\n\r\n", kRelaxed), plain(" C\r\nD E\r\n"));
  EXPECT_EQ(canonical_body(" C \r\nD \t E\r\n\r\n\r\n", kSimple), plain(" C \r\nD \t E\r\n"));
  EXPECT_EQ(canonical_body("", kSimple), plain("\r\n"));
  EXPECT_EQ(canonical_body("", kRelaxed), plain(""));
  EXPECT_EQ(canonical_body("\r\n\r\n", kSimple), plain("\r\n"));
  EXPECT_EQ(canonical_body("\r\n \r\n", kRelaxed), plain(""));
  EXPECT_EQ(canonical_body("a", kSimple), plain("a\r\n"));
  EXPECT_EQ(canonical_body("a\nb\n", kSimple), plain("a\r\nb\r\n"));
  EXPECT_EQ(canonical_body("a\rb\r\n", kSimple), plain("a\rb\r\n"));
  EXPECT_EQ(canonical_body("a\r\r\n", kRelaxed), plain("a\r\r\n"));
  EXPECT_EQ(canonical_body("a\r\n\r\n\r\nb", kRelaxed), plain("a\r\n\r\n\r\nb\r\n"));
}

TEST(DkimCanonical, CutAnywhereItIsTheSame) {
  const std::string body = " C \r\nD \t E\r\n\r\n \r\n\rx\n\r\n\r";
  for (const auto canonical : {Canonical::kSimple, Canonical::kRelaxed}) {
    const std::string whole = canonical_body(body, canonical);
    for (std::size_t a = 0; a <= body.size(); ++a) {
      for (std::size_t b = a; b <= body.size(); ++b) {
        BodyHash hash(canonical, std::nullopt);
        hash.update(body.substr(0, a));
        hash.update(body.substr(a, b - a));
        hash.update(body.substr(b));
        ASSERT_EQ(to_hex(hash.finish()), whole) << a << " " << b;
      }
    }
  }
}

TEST(DkimCanonical, Fields) {
  EXPECT_EQ(canonical_field("A: X\r\n", Canonical::kRelaxed), "a:X\r\n");  // RFC 6376 3.4.5
  EXPECT_EQ(canonical_field("B : Y\t\r\n\tZ  \r\n", Canonical::kRelaxed), "b:Y Z\r\n");
  EXPECT_EQ(canonical_field("B : Y\t\r\n\tZ  \r\n", Canonical::kSimple), "B : Y\t\r\n\tZ  \r\n");
  EXPECT_EQ(canonical_field("B: Y\n Z", Canonical::kSimple), "B: Y\r\n Z\r\n");
  EXPECT_EQ(without_signature("S: a=1; b = x\r\n y; bh=z\r\n"), "S: a=1; b =; bh=z\r\n");
  EXPECT_EQ(without_signature("S: bh=z; b=x\r\n"), "S: bh=z; b=\r\n");
}

TEST(DkimCanonical, EachDistinctHashOnce) {
  BodyHashes hashes;
  for (int i = 0; i < 100; ++i) hashes.add(Canonical::kRelaxed, std::nullopt);
  EXPECT_EQ(hashes.size(), 1u);
  int accepted = 0;
  for (std::uint64_t limit = 0; limit < 100; ++limit) accepted += hashes.add(Canonical::kSimple, limit);
  EXPECT_EQ(accepted, 19);
  EXPECT_EQ(hashes.size(), 20u);
}

}  // namespace
}  // namespace merpati::mailauth
