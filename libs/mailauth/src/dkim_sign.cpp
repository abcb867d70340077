#include <algorithm>

#include "merpati/base/encoding.hpp"
#include "merpati/dns/domain_name.hpp"
#include "merpati/mailauth/dkim.hpp"

namespace merpati::mailauth {
namespace {
// RFC 6376 5.4.1
const std::vector<std::string> kAdvised = {"From",
                                           "Reply-To",
                                           "Subject",
                                           "Date",
                                           "To",
                                           "Cc",
                                           "Message-ID",
                                           "MIME-Version",
                                           "Content-Type",
                                           "Content-Transfer-Encoding",
                                           "In-Reply-To",
                                           "References",
                                           "List-Id",
                                           "List-Unsubscribe",
                                           "List-Unsubscribe-Post",
                                           "Resent-Date",
                                           "Resent-From",
                                           "Resent-To",
                                           "Resent-Cc"};
}  // namespace

std::vector<std::string> names_to_sign(const std::vector<mime::Field>& fields, const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& oversign) {
  std::vector<std::string> out;
  for (const auto& name : wanted.empty() ? kAdvised : wanted) {
    for (const auto& field : fields) {
      if (mime::iequals(field.name, name)) out.push_back(mime::to_lower(name));
    }
  }
  for (const auto& name : oversign) out.push_back(mime::to_lower(name));
  return out;
}

std::string folded_base64(std::string_view bytes) {
  const std::string text = to_base64(bytes);
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += 72) {
    if (at > 0) out += "\r\n ";
    out += text.substr(at, 72);
  }
  return out;
}

Result<std::string> sign_dkim(std::string_view header_block, const BodyHashes& hashes, const SigningKey& key,
                              const DkimSignOptions& options) {
  const auto domain = dns::to_ascii(options.domain);
  const auto selector = dns::to_ascii(options.selector);
  if (!domain) return Error(ErrorCode::kInvalidArgument, "\"" + options.domain + "\" is no domain name");
  if (!selector) return Error(ErrorCode::kInvalidArgument, "\"" + options.selector + "\" is no selector");
  const auto fields = fields_of(header_block);
  if (mime::count_fields(header_block, "From") == 0) {
    return Error(ErrorCode::kInvalidArgument, "the message has no From, which must be signed (RFC 6376 5.4)");
  }
  const BodyHash* body = hashes.find(options.body_canonical, std::nullopt);
  if (body == nullptr) return Error(ErrorCode::kInternal, "the body was not hashed");
  const auto names = names_to_sign(fields, options.fields, options.oversign);
  if (std::find(names.begin(), names.end(), "from") == names.end()) {
    return Error(ErrorCode::kInvalidArgument, "From must be among the signed fields (RFC 6376 5.4)");
  }
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(options.now.time_since_epoch()).count();
  std::string field = "DKIM-Signature: v=1; a=" + std::string(key.algorithm()) +
                      "; c=" + std::string(to_string(options.header_canonical)) + "/" +
                      std::string(to_string(options.body_canonical)) + "; d=" + *domain + ";\r\n s=" + *selector +
                      "; t=" + std::to_string(now);
  if (options.life.count() > 0) field += "; x=" + std::to_string(now + options.life.count());
  if (!options.identity.empty()) field += ";\r\n i=" + options.identity;
  field += ";\r\n bh=" + to_base64(body->hash()) + ";\r\n h=";
  std::size_t line = 3;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) field += ":";
    if (line + names[i].size() > 72) {
      field += "\r\n ";
      line = 1;
    }
    field += names[i];
    line += names[i].size() + 1;
  }
  field += ";\r\n b=";
  MERPATI_TRY(const auto signature, key.sign(header_digest(fields, names, options.header_canonical, field)));
  return field + folded_base64(signature) + "\r\n";
}

Result<std::string> sign_dkim(std::string_view message, const SigningKey& key, const DkimSignOptions& options) {
  const auto size = mime::header_block_size(message);
  BodyHashes hashes;
  hashes.add(options.body_canonical, std::nullopt);
  hashes.update(message.substr(size));
  hashes.finish();
  return sign_dkim(message.substr(0, size), hashes, key, options);
}

}  // namespace merpati::mailauth
