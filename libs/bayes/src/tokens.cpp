#include "merpati/bayes/tokens.hpp"

#include <algorithm>
#include <unordered_set>

#include "merpati/base/encoding.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"
#include "words.hpp"

namespace merpati::bayes {
namespace {

constexpr std::size_t kLongestValue = 60;    // octets of a value that is one token
constexpr std::size_t kLongestHost = 255;    // RFC 1035 2.3.4
constexpr std::size_t kLongestField = 4096;  // octets of a field's value that are looked at
constexpr std::size_t kMostNames = 3;        // of a host: itself, and domains above it
constexpr std::size_t kMostAuthors = 5;

/// 64 bits, the same everywhere and for ever: FNV-1a, its bits mixed once more (MurmurHash3's finalizer).
std::int64_t hash_of(std::string_view kind, std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto mix = [&hash](std::string_view octets) {
    for (const char c : octets) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  };
  mix(kind);
  mix(":");
  mix(text);
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdU;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53U;
  return static_cast<std::int64_t>(hash ^ (hash >> 33));
}

class Tokens {
 public:
  explicit Tokens(const TokenLimits& limits) : limits_(limits), text_left_(limits.max_text) {}

  void add_header(std::string_view block);
  void add_part(std::string_view message, const mime::Part& part);
  std::vector<std::int64_t> take() {
    std::vector<std::int64_t> sorted(seen_.begin(), seen_.end());
    std::ranges::sort(sorted);
    return sorted;
  }

 private:
  bool full() const { return seen_.size() >= limits_.max_tokens; }
  void add(std::string_view kind, std::string_view text) {
    if (!full() && !text.empty()) seen_.insert(hash_of(kind, text.substr(0, kLongestHost)));
  }
  /// The words of a text, and each two that stand side by side.
  void add_words(std::string_view kind, std::string_view text) {
    std::string before;
    for_each_word(text, [&](std::string_view word) {
      add(kind, word);
      if (!before.empty()) add(kind, before + ' ' + std::string(word));
      before = word;
      return !full();
    });
  }
  void add_domain(std::string_view kind, std::string_view host);
  void add_hosts(std::string_view text);
  void add_author(std::string_view value);
  void add_text(std::string_view message, const mime::Part& part);

  const TokenLimits limits_;
  std::size_t text_left_;
  std::unordered_set<std::int64_t> seen_;
};

/// A host, and the domains above it: who sends or links from ever new hosts keeps his domain.
void Tokens::add_domain(std::string_view kind, std::string_view host) {
  std::string lower = mime::to_lower(host.substr(0, kLongestHost));
  while (lower.ends_with('.')) lower.pop_back();
  std::string_view rest = lower;
  add(kind, rest);
  const auto names = static_cast<std::size_t>(std::ranges::count(rest, '.'));
  for (std::size_t i = 1; i < names && i < kMostNames; ++i) {
    // The last ones, which end in the domain that was registered.
    std::string_view tail = rest;
    while (static_cast<std::size_t>(std::ranges::count(tail, '.')) > i) tail.remove_prefix(tail.find('.') + 1);
    add(kind, tail);
  }
}

void Tokens::add_hosts(std::string_view text) {
  constexpr std::string_view kEnd = "/?#\\ \t\r\n\"'<>()[]{}|^`,;";
  for (std::size_t at = text.find("://"); at != std::string_view::npos && !full(); at = text.find("://", at + 3)) {
    const auto rest = text.substr(at + 3, 2 * kLongestHost);
    auto host = rest.substr(0, rest.find_first_of(kEnd));
    if (const auto user = host.rfind('@'); user != std::string_view::npos) host.remove_prefix(user + 1);
    host = host.substr(0, host.find(':'));
    add_domain("url", host);
  }
}

void Tokens::add_author(std::string_view value) {
  std::vector<mime::Address> addresses;
  mime::parse_addresses(value, addresses, kMostAuthors);
  for (const auto& address : addresses) {
    if (address.kind != mime::Address::Kind::kMailbox) continue;
    add("from", mime::to_lower(address.mailbox + "@" + address.host));
    add_domain("from", address.host);
    add_words("name", mime::decode_encoded_words(address.name));
  }
}

void Tokens::add_header(std::string_view block) {
  mime::FieldReader reader(block);
  for (mime::Field field; !full() && reader.next(field);) {
    const auto is = [&field](std::string_view name) { return mime::iequals(field.name, name); };
    const auto value = [&field] { return mime::unfold(field.value.substr(0, kLongestField)); };
    if (is("Subject")) {
      add_words("subject", mime::decode_encoded_words(value()));
    } else if (is("From")) {
      add_author(value());
    } else if (is("Reply-To")) {
      for (const auto& address : mime::parse_addresses(value())) add_domain("reply", address.host);
    } else if (is("List-Id") || is("X-Mailer") || is("User-Agent")) {
      add(mime::to_lower(field.name), mime::to_lower(value()).substr(0, kLongestValue));
    }
  }
}

void Tokens::add_text(std::string_view message, const mime::Part& part) {
  const auto raw = part.body.of(message).substr(0, text_left_);
  text_left_ -= raw.size();
  add_words("", mime::readable_text(message, part, raw.size()));
  const auto encoding = mime::encoding_from_name(part.encoding).value_or(mime::Encoding::kIdentity);
  add_hosts(mime::decode_transfer(encoding, raw));
}

void Tokens::add_part(std::string_view message, const mime::Part& part) {
  add("type", part.type + "/" + part.subtype);
  if (const auto charset = mime::find_parameter(part.parameters, "charset"))
    add("charset", mime::to_lower(charset->substr(0, kLongestValue)));
  if (const auto dot = part.filename.rfind('.'); dot != std::string::npos)
    add("file", mime::to_lower(std::string_view(part.filename).substr(dot + 1, kLongestValue)));
  for (const auto& child : part.children) {
    if (full()) return;
    add_part(message, child);
  }
  if (part.children.empty() && part.type == "text" && text_left_ > 0) add_text(message, part);
}

}  // namespace

MessageTokens tokens_of(std::string_view message, const TokenLimits& limits) {
  message = message.substr(0, limits.max_message);
  const auto block = message.substr(0, mime::header_block_size(message));
  Tokens tokens(limits);
  tokens.add_header(block);
  const auto parts = mime::read_parts(message);
  tokens.add_part(message, parts.root);
  MessageTokens out;
  out.tokens = tokens.take();
  Sha256 digest;
  // Copies of one text in several messages are so many messages.
  if (const auto id = mime::find_field(block, "Message-ID")) digest.update(mime::trim(id->value));
  for (const auto token : out.tokens) {
    char octets[8];
    for (int i = 0; i < 8; ++i) octets[i] = static_cast<char>(static_cast<std::uint64_t>(token) >> (8 * i));
    digest.update({octets, sizeof octets});
  }
  out.digest = digest.finish();
  return out;
}

}  // namespace merpati::bayes
