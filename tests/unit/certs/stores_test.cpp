#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "certs/secret_store.hpp"
#include "merpati/base/encoding.hpp"

namespace merpati::certs {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("certs-" + to_hex(random_bytes(6)))) {}
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST(DirectoryStore, WritesFilesThatOnlyTheOwnerReadsTheKeysOf) {
  const Folder folder;
  const auto store = directory_store(folder.path).value();
  EXPECT_TRUE(store->read("smtp")->files.empty());
  ASSERT_TRUE(store->write("smtp", {{{"tls.crt", "one"}, {"tls.key", "two"}, {"old", "x"}}, ""}).has_value());
  ASSERT_TRUE(store->write("smtp", {{{"tls.crt", "three"}, {"tls.key", "two"}}, ""}).has_value());
  EXPECT_EQ(store->read("smtp")->files, (std::map<std::string, std::string>{{"tls.crt", "three"}, {"tls.key", "two"}}));
  struct stat about {};
  ASSERT_EQ(::stat((folder.path / "smtp/tls.key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

/// What the API server does with Secrets, as far as it matters here.
class FakeServer : public ApiServer {
 public:
  Result<ApiAnswer> request(const std::string& path, const std::string& body) override {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (!path.starts_with("/api/v1/namespaces/mail/secrets/")) return ApiAnswer{403, R"({"message":"forbidden"})"};
    if (!secrets.contains(name)) return ApiAnswer{404, R"({"message":"not found"})"};
    auto& secret = secrets[name];
    if (body.empty()) return ApiAnswer{200, secret.dump()};
    auto fresh = json::parse(body);
    const int version = std::stoi(secret["metadata"]["resourceVersion"].get<std::string>());
    if (fresh["metadata"]["resourceVersion"] != std::to_string(version))
      return ApiAnswer{409, R"({"message":"changed"})"};
    fresh["metadata"]["resourceVersion"] = std::to_string(version + 1);
    secret = fresh;
    return ApiAnswer{200, secret.dump()};
  }
  std::map<std::string, json> secrets{
      {"a", {{"metadata", {{"resourceVersion", "7"}, {"labels", {{"kept", "yes"}}}}}, {"type", "Opaque"}}}};
};

TEST(KubernetesStore, FillsASecretAndKeepsTheRestOfIt) {
  auto fake = std::make_unique<FakeServer>();
  auto& server = *fake;
  const auto store = kubernetes_store(std::move(fake), "mail");
  auto secret = store->read("a").value();
  EXPECT_TRUE(secret.files.empty());
  secret.files["tls.crt"] = "bytes\n";
  ASSERT_TRUE(store->write("a", secret).has_value());
  EXPECT_EQ(server.secrets["a"]["data"]["tls.crt"], to_base64("bytes\n"));
  EXPECT_EQ(server.secrets["a"]["metadata"]["labels"]["kept"], "yes");
  EXPECT_EQ(server.secrets["a"]["type"], "Opaque");
  EXPECT_EQ(store->read("a")->files["tls.crt"], "bytes\n");
}

TEST(KubernetesStore, SaysWhatWentWrong) {
  auto store = kubernetes_store(std::make_unique<FakeServer>(), "mail");
  const auto old = store->read("a").value();
  ASSERT_TRUE(store->write("a", old).has_value());
  EXPECT_EQ(store->write("a", old).error().code(), ErrorCode::kAborted) << "written since it was read";
  EXPECT_EQ(store->read("b").error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(store->read("b").error().message(), HasSubstr("helm upgrade"));
  store = kubernetes_store(std::make_unique<FakeServer>(), "other");
  EXPECT_EQ(store->read("a").error().code(), ErrorCode::kPermissionDenied);
}

}  // namespace
}  // namespace merpati::certs
