#include "merpati/mailauth/signing_key.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "merpati/base/encoding.hpp"

namespace merpati::mailauth {
namespace {
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
EVP_PKEY* pkey(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }
std::shared_ptr<void> own(EVP_PKEY* key) {
  return {key, [](void* k) { EVP_PKEY_free(static_cast<EVP_PKEY*>(k)); }};
}
struct MdFree {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
struct CtxFree {
  void operator()(EVP_PKEY_CTX* c) const { EVP_PKEY_CTX_free(c); }
};
using Md = std::unique_ptr<EVP_MD_CTX, MdFree>;
using Ctx = std::unique_ptr<EVP_PKEY_CTX, CtxFree>;

// What failed must not stay in the thread's queue, where TLS would take it for its own.
struct ErrorMark {
  ErrorMark() { ERR_set_mark(); }
  ~ErrorMark() { ERR_pop_to_mark(); }
  ErrorMark(const ErrorMark&) = delete;
  ErrorMark& operator=(const ErrorMark&) = delete;
};

bool prepare_rsa(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
         EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0;
}
Error bad_key(const char* what) { return Error(ErrorCode::kInvalidArgument, what); }
}  // namespace

Result<PublicKey> PublicKey::parse(KeyType type, std::string_view bytes) {
  const ErrorMark mark;
  PublicKey out;
  out.type_ = type;
  if (type == KeyType::kEd25519) {
    if (bytes.size() != 32) return bad_key("an Ed25519 key has 32 octets");  // RFC 8463 4
    out.key_ = own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(bytes), bytes.size()));
  } else {
    const auto size = static_cast<long>(bytes.size());
    const unsigned char* at = bytes_of(bytes);
    EVP_PKEY* key = d2i_PUBKEY(nullptr, &at, size);
    if (key == nullptr) {  // RFC 6376 3.6.1 says RSAPublicKey; nearly all publish SubjectPublicKeyInfo (erratum 3017)
      at = bytes_of(bytes);
      key = d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size);
    }
    if (key != nullptr && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
      EVP_PKEY_free(key);
      return bad_key("the key is not RSA");
    }
    if (key != nullptr) out.key_ = own(key);
  }
  if (!out.key_) return bad_key("the key cannot be read");
  return out;
}

int PublicKey::bits() const { return EVP_PKEY_get_bits(pkey(key_)); }

bool PublicKey::verify(std::string_view digest, std::string_view signature) const {
  const ErrorMark mark;
  if (type_ == KeyType::kEd25519) {  // RFC 8463 3: PureEdDSA over the digest
    const Md context(EVP_MD_CTX_new());
    return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey(key_)) > 0 &&
           EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(digest), digest.size()) == 1;
  }
  const Ctx context(EVP_PKEY_CTX_new(pkey(key_), nullptr));
  return context && EVP_PKEY_verify_init(context.get()) > 0 && prepare_rsa(context.get()) &&
         EVP_PKEY_verify(context.get(), bytes_of(signature), signature.size(), bytes_of(digest), digest.size()) == 1;
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
  const ErrorMark mark;
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  static char no_password[] = "";  // never ask on a terminal
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, no_password);
  BIO_free(bio);
  if (key == nullptr) {
    return bad_key(
        "not a private key in PEM without password; make one with \"openssl genpkey -algorithm ed25519\" "
        "or \"openssl genrsa 2048\"");
  }
  SigningKey out;
  out.key_ = own(key);
  const int id = EVP_PKEY_get_base_id(key);
  if (id != EVP_PKEY_RSA && id != EVP_PKEY_ED25519) return bad_key("the key is neither RSA nor Ed25519");
  out.type_ = id == EVP_PKEY_RSA ? KeyType::kRsa : KeyType::kEd25519;
  // RFC 8301 3.2
  if (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < 1024) return bad_key("RSA keys need 1024 bits, better 2048");
  return out;
}

Result<std::string> SigningKey::sign(std::string_view digest) const {
  const ErrorMark mark;
  std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(pkey(key_))), '\0');
  std::size_t size = out.size();
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  bool done = false;
  if (type_ == KeyType::kEd25519) {
    const Md context(EVP_MD_CTX_new());
    done = EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pkey(key_)) > 0 &&
           EVP_DigestSign(context.get(), to, &size, bytes_of(digest), digest.size()) > 0;
  } else {
    const Ctx context(EVP_PKEY_CTX_new(pkey(key_), nullptr));
    done = context && EVP_PKEY_sign_init(context.get()) > 0 && prepare_rsa(context.get()) &&
           EVP_PKEY_sign(context.get(), to, &size, bytes_of(digest), digest.size()) > 0;
  }
  if (!done) return Error(ErrorCode::kInternal, "the key could not sign");
  out.resize(size);
  return out;
}

std::string SigningKey::key_record() const {
  if (type_ == KeyType::kEd25519) {
    std::string raw(32, '\0');
    std::size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(pkey(key_), reinterpret_cast<unsigned char*>(raw.data()), &size);
    return "v=DKIM1; k=ed25519; p=" + to_base64(raw);
  }
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(pkey(key_), &der);
  const std::string bytes(reinterpret_cast<char*>(der), size > 0 ? static_cast<std::size_t>(size) : 0);
  OPENSSL_free(der);
  return "v=DKIM1; k=rsa; p=" + to_base64(bytes);
}

}  // namespace merpati::mailauth
