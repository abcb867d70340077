#include "certs/x509.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

#include "merpati/base/encoding.hpp"

namespace merpati::certs {
namespace {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Memory = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Names = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

/// Clocks of other nodes may be behind.
constexpr std::chrono::minutes kClockSkew{5};

Error failed(std::string what) {
  char text[256] = "";
  ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
  ERR_clear_error();
  return {ErrorCode::kInternal, what + ": " + text};
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<KeyPair> to_pem(X509* certificate, EVP_PKEY* key) {
  const Memory one(BIO_new(BIO_s_mem()));
  const Memory two(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(one.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(two.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return failed("cannot write PEM");
  return KeyPair{text_of(one.get()), text_of(two.get())};
}

Certificate certificate_from(std::string_view pem) {
  const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return certificate;
}

Key key_from(std::string_view pem) {
  const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return key;
}

Time time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return Time(std::chrono::seconds(timegm(&parts)));
}

bool add_extension(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

struct Draft {
  Certificate certificate;
  Key key;
};

/// Version, serial, times, subject and key; no issuer, extensions or signature yet.
Result<Draft> draft(const std::string& common_name, Time from, Time to) {
  Draft made{Certificate(X509_new()), Key(EVP_EC_gen("P-256"))};
  auto* certificate = made.certificate.get();
  if (!made.key || X509_set_version(certificate, X509_VERSION_3) != 1) return failed("cannot make a key");
  // RFC 5280 4.1.2.2: at most 20 octets, positive.
  std::string serial = random_bytes(16);
  serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);
  BIGNUM* number =
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), static_cast<int>(serial.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
  ASN1_TIME_set(X509_getm_notBefore(certificate), from.time_since_epoch().count());
  ASN1_TIME_set(X509_getm_notAfter(certificate), to.time_since_epoch().count());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  if (X509_set_pubkey(certificate, made.key.get()) != 1) return failed("cannot set the key");
  return made;
}

std::string names_text(const Subject& subject) {
  std::string text;
  const auto add = [&text](const std::string& one) { text += (text.empty() ? "" : ",") + one; };
  if (!subject.uri.empty()) add("URI:" + subject.uri);
  for (const auto& name : subject.dns_names) add("DNS:" + name);
  return text;
}

}  // namespace

Result<KeyPair> make_authority(Time now, std::chrono::seconds life) {
  // A name of its own, so that two authorities are told apart.
  MERPATI_TRY(auto made, draft("Merpati services " + to_hex(random_bytes(4)), now - kClockSkew, now + life));
  auto* certificate = made.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  if (!add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(certificate, certificate, NID_subject_key_identifier, "hash"))
    return failed("cannot describe the authority");
  if (X509_sign(certificate, made.key.get(), EVP_sha256()) == 0) return failed("cannot sign the authority");
  return to_pem(certificate, made.key.get());
}

Result<KeyPair> issue(const KeyPair& authority, const Subject& subject, Time now, std::chrono::seconds life) {
  const auto issuer = certificate_from(authority.certificate);
  const auto issuer_key = key_from(authority.key);
  if (!issuer || !issuer_key) return Error(ErrorCode::kInvalidArgument, "the authority cannot be read");
  const Time end = std::min(now + life, time_of(X509_get0_notAfter(issuer.get())));
  MERPATI_TRY(auto made, draft(subject.common_name.substr(0, 64), now - kClockSkew, end));
  auto* certificate = made.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get()));
  const char* usage = subject.uri.empty() ? "serverAuth" : "serverAuth,clientAuth";
  if (!add_extension(certificate, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(certificate, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(certificate, issuer.get(), NID_ext_key_usage, usage) ||
      !add_extension(certificate, issuer.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(certificate, issuer.get(), NID_authority_key_identifier, "keyid:always") ||
      !add_extension(certificate, issuer.get(), NID_subject_alt_name, names_text(subject)))
    return failed("cannot describe " + subject.common_name);
  if (X509_sign(certificate, issuer_key.get(), EVP_sha256()) == 0) return failed("cannot sign " + subject.common_name);
  return to_pem(certificate, made.key.get());
}

Result<CertificateView> read_certificate(std::string_view pem) {
  const auto certificate = certificate_from(pem);
  if (!certificate) return Error(ErrorCode::kInvalidArgument, "not a certificate in PEM");
  CertificateView view;
  view.not_before = time_of(X509_get0_notBefore(certificate.get()));
  view.not_after = time_of(X509_get0_notAfter(certificate.get()));
  const Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI && name->type != GEN_DNS) continue;
    const auto* text = name->d.ia5;
    (name->type == GEN_URI ? view.uris : view.dns_names)
        .emplace(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                 static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  return view;
}

bool matches(const KeyPair& pair) {
  const auto certificate = certificate_from(pair.certificate);
  const auto key = key_from(pair.key);
  const bool same = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return same;
}

bool is_of(const KeyPair& leaf, std::string_view authority) {
  const auto certificate = certificate_from(leaf.certificate);
  const auto issuer = certificate_from(authority);
  if (!certificate || !issuer || !matches(leaf)) return false;
  const bool signed_by_it = X509_check_issued(issuer.get(), certificate.get()) == X509_V_OK &&
                            X509_verify(certificate.get(), X509_get0_pubkey(issuer.get())) == 1;
  ERR_clear_error();
  return signed_by_it;
}

}  // namespace merpati::certs
