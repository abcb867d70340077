// Made-up authorities and certificates with URI names, for tests of mutual TLS between services.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "merpati/rpc/credentials.hpp"

namespace merpati::test {

/// An authority and a folder (removed at the end) in which it puts what it issues.
class Authority {
 public:
  Authority() : key_(make_key()), certificate_(X509_new(), X509_free) {
    char name[] = "/tmp/merpati-certificates-XXXXXX";
    folder_ = mkdtemp(name);
    fill(certificate_.get(), key_.get(), "authority", nullptr, certificate_.get());
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    write_certificate(folder_ / "ca.pem", certificate_.get());
  }
  ~Authority() { std::filesystem::remove_all(folder_); }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  /// Files of a certificate for "spiffe://merpati/<role>"; `ca` is whom its holder trusts, this one by default.
  rpc::Credentials issue(const std::string& role, const Authority* trusted = nullptr) {
    const Key key = make_key();
    const Certificate leaf(X509_new(), X509_free);
    const std::string uri = "URI:spiffe://merpati/" + role;
    fill(leaf.get(), key.get(), role.c_str(), uri.c_str(), certificate_.get());
    X509_sign(leaf.get(), key_.get(), EVP_sha256());
    rpc::Credentials files;
    files.ca_file = (trusted != nullptr ? trusted : this)->ca_file();
    files.certificate_file = (folder_ / (role + ".pem")).string();
    files.key_file = (folder_ / (role + ".key")).string();
    write_certificate(files.certificate_file, leaf.get());
    std::FILE* out = std::fopen(files.key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    return files;
  }
  std::string ca_file() const { return (folder_ / "ca.pem").string(); }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  static Key make_key() { return Key(EVP_EC_gen("P-256"), EVP_PKEY_free); }

  static void fill(X509* certificate, EVP_PKEY* key, const char* name, const char* alternative, X509* issuer) {
    static long serial = 1;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    add(certificate, context, NID_basic_constraints, alternative == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (alternative != nullptr) add(certificate, context, NID_subject_alt_name, alternative);
  }
  static void add(X509* certificate, X509V3_CTX& context, int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  static void write_certificate(const std::filesystem::path& path, X509* certificate) {
    std::FILE* out = std::fopen(path.c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
  }

  Key key_;
  Certificate certificate_;
  std::filesystem::path folder_;
};

}  // namespace merpati::test
