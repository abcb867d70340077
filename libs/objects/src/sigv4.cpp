#include "merpati/objects/sigv4.hpp"

#include <algorithm>
#include <ctime>

#include "merpati/base/encoding.hpp"

namespace merpati::objects {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// Without white space at the ends, and runs of spaces as one.
std::string trimmed(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string time_text(WallTime now, const char* format) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

struct CanonicalHeaders {
  std::string lines;         // "name:value\n" each
  std::string signed_names;  // "name;name"
};

CanonicalHeaders canonical_headers(const HttpRequest& request) {
  std::vector<std::pair<std::string, std::string>> headers = {{"host", request.host}};
  for (const auto& [name, value] : request.headers) headers.emplace_back(lower(name), trimmed(value));
  std::stable_sort(headers.begin(), headers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  CanonicalHeaders out;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto& [name, value] = headers[i];
    if (i > 0 && headers[i - 1].first == name) {
      out.lines.back() = ',';  // a repeated header: its values in one line
      out.lines += value + "\n";
      continue;
    }
    out.lines += name + ":" + value + "\n";
    out.signed_names += (out.signed_names.empty() ? "" : ";") + name;
  }
  return out;
}

}  // namespace

std::string uri_encode(std::string_view text, Slash slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (c == '/' && slash == Slash::kKeep);
    if (plain) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
  }
  return out;
}

std::string canonical_query(const HttpRequest& request) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : request.query)
    encoded.emplace_back(uri_encode(name, Slash::kEncode), uri_encode(value, Slash::kEncode));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

void sign(HttpRequest& request, const Credentials& credentials, const SigningScope& scope, WallTime now,
          std::string_view payload_sha256) {
  const auto time = time_text(now, "%Y%m%dT%H%M%SZ"), day = time_text(now, "%Y%m%d");
  request.headers.emplace_back("X-Amz-Date", time);
  if (scope.service == "s3") request.headers.emplace_back("X-Amz-Content-Sha256", payload_sha256);
  if (!credentials.session_token.empty())
    request.headers.emplace_back("X-Amz-Security-Token", credentials.session_token);

  const auto headers = canonical_headers(request);
  const auto canonical = request.method + "\n" + request.path + "\n" + canonical_query(request) + "\n" + headers.lines +
                         "\n" + headers.signed_names + "\n" + std::string(payload_sha256);
  const auto place = day + "/" + scope.region + "/" + scope.service + "/aws4_request";
  const auto to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + place + "\n" + to_hex(sha256(canonical));
  auto key = hmac_sha256("AWS4" + credentials.secret_key, day);
  for (const std::string_view step :
       {std::string_view(scope.region), std::string_view(scope.service), std::string_view("aws4_request")})
    key = hmac_sha256(key, step);
  request.headers.emplace_back("Authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + place +
                                                    ", SignedHeaders=" + headers.signed_names +
                                                    ", Signature=" + to_hex(hmac_sha256(key, to_sign)));
}

}  // namespace merpati::objects
