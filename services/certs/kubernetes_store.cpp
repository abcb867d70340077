#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "certs/secret_store.hpp"
#include "merpati/base/encoding.hpp"

namespace merpati::certs {
namespace {

using nlohmann::json;

/// The reason in a Status object, else the beginning of whatever came.
std::string reason_of(const ApiAnswer& answer) {
  const auto parsed = json::parse(answer.body, nullptr, false);
  if (parsed.is_object() && parsed.contains("message") && parsed["message"].is_string())
    return parsed["message"].get<std::string>();
  return answer.body.substr(0, 200);
}

Error refused(const std::string& name, const ApiAnswer& answer) {
  const auto text = [&](const char* what) { return fmt::format("Secret {}: {} ({})", name, what, reason_of(answer)); };
  switch (answer.status) {
    case 404:
      return {ErrorCode::kNotFound, text("does not exist; the chart makes it: run helm upgrade")};
    case 401:
    case 403:
      return {ErrorCode::kPermissionDenied,
              text("is not allowed; compare the Role of merpati certs with certs.certificates")};
    case 409:
      return {ErrorCode::kAborted, text("somebody else wrote it")};
    default:
      return {ErrorCode::kUnavailable, text(fmt::format("the API server answered {}", answer.status).c_str())};
  }
}

class KubernetesStore : public SecretStore {
 public:
  KubernetesStore(std::unique_ptr<ApiServer> server, std::string name_space)
      : server_(std::move(server)), namespace_(std::move(name_space)) {}

  Result<Secret> read(const std::string& name) override {
    MERPATI_TRY(const auto answer, server_->request(path(name), ""));
    if (answer.status != 200) return refused(name, answer);
    const auto object = json::parse(answer.body, nullptr, false);
    if (!object.is_object()) return refused(name, answer);
    Secret secret;
    secret.handle = answer.body;  // carries metadata.resourceVersion, and labels to keep
    if (!object.contains("data") || !object["data"].is_object()) return secret;
    for (const auto& [file, value] : object["data"].items()) {
      auto text = value.is_string() ? from_base64(value.get<std::string>()) : std::nullopt;
      if (text) secret.files[file] = *std::move(text);
    }
    return secret;
  }

  Result<void> write(const std::string& name, const Secret& secret) override {
    auto object = json::parse(secret.handle, nullptr, false);
    if (!object.is_object())
      return Error(ErrorCode::kInternal, "Secret " + name + " was not read before it is written");
    object["data"] = json::object();
    for (const auto& [file, text] : secret.files) object["data"][file] = to_base64(text);
    // With resourceVersion in it, the API server refuses what was read too long ago.
    MERPATI_TRY(const auto answer, server_->request(path(name), object.dump()));
    if (answer.status != 200) return refused(name, answer);
    return {};
  }

 private:
  std::string path(const std::string& name) const {
    return fmt::format("/api/v1/namespaces/{}/secrets/{}", namespace_, name);
  }

  std::unique_ptr<ApiServer> server_;
  std::string namespace_;
};

}  // namespace

std::unique_ptr<SecretStore> kubernetes_store(std::unique_ptr<ApiServer> server, std::string name_space) {
  return std::make_unique<KubernetesStore>(std::move(server), std::move(name_space));
}

}  // namespace merpati::certs
