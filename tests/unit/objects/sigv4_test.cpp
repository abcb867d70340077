// AWS's published examples: "Signature Calculations for the Authorization Header" (S3) and the version 4 test suite.
#include "merpati/objects/sigv4.hpp"

#include <gtest/gtest.h>

#include "merpati/base/encoding.hpp"

namespace merpati::objects {
namespace {

const Credentials kS3{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
const WallTime kS3Time = std::chrono::system_clock::from_time_t(1369353600);  // 2013-05-24 00:00:00 UTC

std::string signature_of(HttpRequest request, const Credentials& credentials, const SigningScope& scope, WallTime now,
                         std::string_view body) {
  sign(request, credentials, scope, now, to_hex(sha256(body)));
  const auto& [name, value] = request.headers.back();
  EXPECT_EQ(name, "Authorization");
  return value.substr(value.find("SignedHeaders="));
}

std::string s3(HttpRequest request, std::string_view body = "") {
  request.host = "examplebucket.s3.amazonaws.com";
  return signature_of(std::move(request), kS3, {"us-east-1", "s3"}, kS3Time, body);
}

TEST(SigV4, S3GetObjectWithRange) {
  EXPECT_EQ(s3({"GET", "", "/test.txt", {}, {{"Range", "bytes=0-9"}}}),
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, S3PutObject) {
  EXPECT_EQ(s3({"PUT",
                "",
                uri_encode("/test$file.text", Slash::kKeep),
                {},
                {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}},
               "Welcome to Amazon S3."),
            "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, S3QueryWithoutAndWithValues) {
  EXPECT_EQ(s3({"GET", "", "/", {{"lifecycle", ""}}}),
            "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
            "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(s3({"GET", "", "/", {{"prefix", "J"}, {"max-keys", "2"}}}),
            "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
            "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, TestSuiteVanilla) {
  const Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  const auto now = std::chrono::system_clock::from_time_t(1440938160);  // 2015-08-30 12:36:00 UTC
  EXPECT_EQ(
      signature_of({"GET", "example.amazonaws.com"}, credentials, {"us-east-1", "service"}, now, ""),
      "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(
      signature_of({"GET", "example.amazonaws.com", "/", {{"Param2", "value2"}, {"Param1", "value1"}}}, credentials,
                   {"us-east-1", "service"}, now, ""),
      "SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST(SigV4, ASessionTokenIsSigned) {
  HttpRequest request{"GET", "h"};
  sign(request, {"a", "s", "token"}, {"us-east-1", "s3"}, kS3Time, to_hex(sha256("")));
  EXPECT_NE(request.headers.back().second.find("x-amz-security-token"), std::string::npos);
}

TEST(SigV4, Encoding) {
  EXPECT_EQ(uri_encode("a b/\xC3\xA4~-._", Slash::kKeep), "a%20b/%C3%A4~-._");
  EXPECT_EQ(uri_encode("a/b", Slash::kEncode), "a%2Fb");
}

}  // namespace
}  // namespace merpati::objects
