#include <curl/curl.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "certs/secret_store.hpp"

namespace merpati::certs {
namespace {

constexpr std::size_t kMaxAnswer = 4U << 20;  // a Secret has 1 MiB at most

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return Error(ErrorCode::kFailedPrecondition,
                 "cannot read " + path + "; outside of Kubernetes use --directory, inside mount the account's token");
  return std::move(text).str();
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& body = *static_cast<std::string*>(user);
  if (body.size() + size > kMaxAnswer) return 0;
  body.append(data, size);
  return size;
}

class CurlApiServer : public ApiServer {
 public:
  CurlApiServer(std::string url, std::string account) : url_(std::move(url)), account_(std::move(account)) {}

  Result<ApiAnswer> request(const std::string& path, const std::string& body) override {
    // Read each time: the kubelet renews it.
    MERPATI_TRY(const auto token, read_file(account_ + "/token"));
    ApiAnswer answer;
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
    curl_slist* list = curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str());
    list = curl_slist_append(list, "Content-Type: application/json");
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, curl_slist_free_all);
    const std::string url = url_ + path;
    const std::string ca = account_ + "/ca.crt";
    auto* handle = curl.get();
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_CAINFO, ca.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");  // a bearer token goes nowhere else
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "merpati-certs");
    if (!body.empty()) {
      curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, "PUT");
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    }
    const auto code = curl_easy_perform(handle);
    if (code != CURLE_OK) return Error(ErrorCode::kUnavailable, url_ + ": " + curl_easy_strerror(code));
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
  }

 private:
  std::string url_;
  std::string account_;
};

}  // namespace

Result<std::unique_ptr<ApiServer>> api_server(const config::v1::KubernetesSecrets& config) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_ALL);
  static_cast<void>(started);
  std::string url = config.api_server();
  if (url.empty()) {
    const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
    const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
    if (host == nullptr || port == nullptr)
      return Error(ErrorCode::kFailedPrecondition,
                   "KUBERNETES_SERVICE_HOST is not set, so this is not a pod; use --directory, or set "
                   "certs.kubernetes.api_server");
    const std::string name(host);
    url = "https://" + (name.find(':') == std::string::npos ? name : "[" + name + "]") + ":" + port;
  }
  return std::unique_ptr<ApiServer>(std::make_unique<CurlApiServer>(std::move(url), config.account_directory()));
}

Result<std::string> namespace_of(const config::v1::KubernetesSecrets& config) {
  if (!config.namespace_().empty()) return config.namespace_();
  return read_file(config.account_directory() + "/namespace");
}

}  // namespace merpati::certs
