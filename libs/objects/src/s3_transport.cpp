#include "s3_transport.hpp"

#include <curl/curl.h>

#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "xml.hpp"

namespace merpati::objects {
namespace {

void start_curl_once() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_ALL);
  static_cast<void>(started);
}

struct Incoming {
  S3Response response;
  std::uint64_t limit = 0;
  bool too_large = false;
};

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& in = *static_cast<Incoming*>(user);
  if (in.response.body.size() + size > in.limit) {
    in.too_large = true;
    return 0;
  }
  in.response.body.append(data, size);
  return size;
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& in = *static_cast<Incoming*>(user);
  std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {  // a new answer: 100 Continue came before
    in.response.headers.clear();
    return size;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || in.response.headers.size() >= 200) return size;
  std::string name(line.substr(0, colon));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  auto value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
    value.remove_suffix(1);
  in.response.headers[std::move(name)] = value;
  return size;
}

S3Attempt lost(CURLcode code, std::string text, const Incoming& in, Deadline deadline) {
  if (in.too_large) return {Error(ErrorCode::kResourceExhausted, text + ": the answer is too large"), false};
  if (code == CURLE_ABORTED_BY_CALLBACK)
    return {Error(ErrorCode::kCancelled, text + ": the store is being closed"), false};
  // libcurl counts in milliseconds and may be one early.
  if (deadline.left() < std::chrono::milliseconds(5)) return {Error(ErrorCode::kDeadlineExceeded, text), false};
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return {Error(ErrorCode::kFailedPrecondition, text), false};
    default:
      return {Error(ErrorCode::kUnavailable, text), true};
  }
}

/// What an answer that is not 2xx means.
S3Attempt refused(const S3Response& response, const std::string& text) {
  std::string code, message;
  if (auto parsed = parse_xml(response.body); parsed && parsed->name == "Error") {
    code = parsed->text_of("Code");
    message = parsed->text_of("Message");
  }
  const auto full =
      text + ": " + std::to_string(response.status) + " " + code + (message.empty() ? "" : ": " + message);
  const int status = response.status;
  if (code == "NoSuchBucket" || code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" ||
      status / 100 == 3)
    return {Error(ErrorCode::kFailedPrecondition, full), false};
  if (code == "SlowDown" || code == "RequestTimeout" || code == "InternalError" || status == 429 || status == 500 ||
      status == 502 || status == 503 || status == 504)
    return {Error(ErrorCode::kUnavailable, full), true};
  if (code == "QuotaExceeded" || code == "EntityTooLarge" || status == 413 || status == 507)
    return {Error(ErrorCode::kResourceExhausted, full), false};
  switch (status) {
    case 401:
    case 403:
      return {Error(ErrorCode::kPermissionDenied, full), false};
    case 404:
      return {Error(ErrorCode::kNotFound, full), false};
    case 409:
      return {Error(ErrorCode::kAborted, full), false};
    case 412:
      return {Error(ErrorCode::kFailedPrecondition, full), false};
    case 416:
      return {Error(ErrorCode::kOutOfRange, full), false};
    case 501:
      return {Error(ErrorCode::kUnimplemented, full), false};
    default:
      return {Error(status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kInternal, full), false};
  }
}

struct CurlDelete {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK || !text) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

}  // namespace

Result<std::shared_ptr<S3Transport>> S3Transport::make(S3Options options) {
  start_curl_once();
  auto wrong = [](const std::string& what) { return Error(ErrorCode::kInvalidArgument, "object store: " + what); };
  std::unique_ptr<CURLU, CurlDelete> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, options.endpoint.c_str(), 0) != CURLUE_OK)
    return wrong("endpoint is not a URL: \"" + options.endpoint + "\"");
  const auto scheme = url_part(url.get(), CURLUPART_SCHEME), path = url_part(url.get(), CURLUPART_PATH);
  if (scheme != "http" && scheme != "https") return wrong("endpoint must start with https:// or http://");
  if (!path.empty() && path != "/") return wrong("endpoint must not have a path: \"" + options.endpoint + "\"");
  if (options.bucket.empty() || uri_encode(options.bucket, Slash::kEncode) != options.bucket)
    return wrong("bucket is missing or has an impossible name: \"" + options.bucket + "\"");
  if (!options.key_prefix.empty() && (!options.key_prefix.ends_with('/') || check_key(options.key_prefix).has_error()))
    return wrong("key_prefix must be like \"mail/\": \"" + options.key_prefix + "\"");
  if (!options.credentials) return wrong("credentials are missing");
  if (options.connections == 0 || options.attempts < 1 || options.part_bytes == 0)
    return wrong("connections, attempts and part_bytes must be at least 1");
  auto host = url_part(url.get(), CURLUPART_HOST);
  if (!options.path_style) host = options.bucket + "." + host;
  const auto port = url_part(url.get(), CURLUPART_PORT);
  const bool default_port = port.empty() || (scheme == "http" && port == "80") || (scheme == "https" && port == "443");
  std::shared_ptr<S3Transport> transport(new S3Transport(std::move(options)));
  transport->host_ = default_port ? host : host + ":" + port;
  transport->base_ = scheme + "://" + transport->host_;
  transport->root_ = transport->options_.path_style ? "/" + transport->options_.bucket + "/" : "/";
  return transport;
}

std::unique_ptr<CurlSession> S3Transport::take_session() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto session = std::move(idle_.back());
      idle_.pop_back();
      curl_easy_reset(session->easy());
      return session;
    }
  }
  return std::make_unique<CurlSession>();
}

void S3Transport::give_back(std::unique_ptr<CurlSession> session) {
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(session));
}

S3Attempt S3Transport::perform(const S3Request& wanted, Deadline deadline) {
  const auto text = "S3 " + wanted.operation + " at " + base_ + root_ + wanted.key;
  auto credentials = options_.credentials();
  if (credentials.has_error()) return {std::move(credentials).error().in(text), false};
  if (closing_) return {Error(ErrorCode::kCancelled, text + ": the store is being closed"), false};
  if (pulse_.refuses())
    return {Error(ErrorCode::kUnavailable, text + ": the endpoint does not answer").without_retry(), false};
  static const std::string kNoBody;
  const std::string& body = wanted.body ? *wanted.body : kNoBody;

  HttpRequest request{wanted.method, host_, uri_encode(root_ + wanted.key, Slash::kKeep), wanted.query, wanted.headers};
  sign(request, *credentials, {options_.region, "s3"}, std::chrono::system_clock::now(), to_hex(sha256(body)));

  auto session = take_session();
  auto* const handle = session->easy();
  if (!session->usable()) return {Error(ErrorCode::kUnavailable, text + ": no memory for a request"), true};
  Incoming in;
  // Other answers than bodies of objects (lists, errors) are small, and endpoints keep to 1,000 entries.
  in.limit = std::max<std::uint64_t>(options_.answer_limit, 4ULL * 1024 * 1024);
  const auto query = canonical_query(request);
  const auto url = base_ + request.path + (query.empty() ? "" : "?" + query);
  curl_slist* raw_list = nullptr;
  auto add = [&](const std::string& line) { raw_list = curl_slist_append(raw_list, line.c_str()); };
  for (const auto& [name, value] : request.headers) add(name + ": " + value);
  add("Expect:");  // no extra round trip before the body
  if (wanted.body) add("Content-Type: application/octet-stream");
  const std::unique_ptr<curl_slist, CurlDelete> list(raw_list);

  const auto attempt = deadline.within(options_.attempt_timeout);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(attempt.left()).count();
  char error_text[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");  // the environment does not decide where mail goes
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, list.get());
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, std::max<long>(1, left));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &in);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &in);
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, wanted.method.c_str());
  if (!options_.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
  if (wanted.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (wanted.body) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  }
  const auto [code, silent] = run_exchange({*session, pulse_, base_, options_.ca_file, closing_});
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  give_back(std::move(session));
  if (silent) return {Error(ErrorCode::kUnavailable, text + ": the endpoint does not answer").without_retry(), false};
  if (code != CURLE_OK)
    return lost(code, text + ": " + (error_text[0] ? error_text : curl_easy_strerror(code)), in, deadline);
  in.response.status = static_cast<int>(status);
  if (status / 100 != 2) return refused(in.response, text);
  return {std::move(in.response), false};
}

}  // namespace merpati::objects
