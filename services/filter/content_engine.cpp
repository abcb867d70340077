#include "filter/content_engine.hpp"

#include <algorithm>

#include "filter/link_checks.hpp"
#include "filter/message_domains.hpp"
#include "filter/printable.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/charset.hpp"
#include "merpati/mime/encoded_word.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/summary.hpp"
#include "merpati/mime/transfer.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kSmall = 64 * 1024;  // octets: looked through where we are, without a hop to another thread
constexpr std::size_t kMostAuthors = 10;

/// Registered domains whose servers or keys the message has.
std::set<std::string> sender_domains(const mailauth::Authentication* authentication) {
  std::set<std::string> domains;
  if (authentication == nullptr) return domains;
  const auto& spf = authentication->spf;
  if (spf && spf->result == mailauth::SpfResult::kPass) domains.insert(registered_domain(spf->domain));
  if (authentication->dkim) {
    for (const auto& signature : authentication->dkim->signatures)
      if (signature.result == mailauth::DkimResult::kPass) domains.insert(registered_domain(signature.domain));
  }
  domains.erase("");
  return domains;
}

void visit(std::string_view message, const mime::Part& part, std::size_t& left, LinkChecks& links) {
  for (const auto& child : part.children) visit(message, child, left, links);
  if (!part.children.empty() || part.type != "text" || left == 0) return;
  const auto encoding = mime::encoding_from_name(part.encoding).value_or(mime::Encoding::kIdentity);
  // Quoted-printable needs up to 3 octets for one.
  const auto raw = part.body.of(message).substr(0, left * 3);
  const auto decoded = mime::decode_transfer(encoding, raw);
  const auto charset = mime::find_parameter(part.parameters, "charset").value_or("us-ascii");
  const auto text = mime::to_utf8(charset, std::string_view(decoded).substr(0, left));
  left -= std::min(left, decoded.size());
  if (part.subtype == "html") links.add_html(text);
  links.add_text(text);
}

bool is_address_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_' || c == '+' || static_cast<unsigned char>(c) >= 0x80;
}

/// Domains behind each "@" in a text.
std::vector<std::string_view> domains_of_addresses(std::string_view text) {
  std::vector<std::string_view> domains;
  for (auto at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
    if (at == 0 || !is_address_character(text[at - 1])) continue;
    auto domain = text.substr(at + 1);
    const auto end = std::ranges::find_if_not(domain, is_address_character);
    domain = domain.substr(0, static_cast<std::size_t>(end - domain.begin()));
    while (domain.ends_with('.')) domain.remove_suffix(1);
    domains.push_back(domain);
  }
  return domains;
}

}  // namespace

std::vector<Symbol> check_display_name(std::string_view header_block) {
  const auto from = mime::find_field(header_block, "From");
  if (!from) return {};
  std::vector<mime::Address> authors;
  mime::parse_addresses(from->value, authors, kMostAuthors);
  for (const auto& author : authors) {
    if (author.kind != mime::Address::Kind::kMailbox || author.host.empty()) continue;
    const auto own = registered_domain(author.host);
    const auto name = mime::decode_encoded_words(author.name);
    for (const auto domain : domains_of_addresses(name)) {
      const auto shown = registered_domain(domain);
      if (!shown.empty() && shown != own)
        return {{"DISPLAY_NAME_ADDRESS", 3, shown + " is shown, " + printable(author.host, 200) + " is meant"}};
    }
  }
  return {};
}

Findings check_content(std::string_view header_block, std::string_view message,
                       const mailauth::Authentication* authentication, std::size_t max_text) {
  Findings findings;
  findings.symbols = check_display_name(header_block);
  LinkChecks links(sender_domains(authentication));
  const auto parts = mime::read_parts(message);
  std::size_t left = max_text;
  visit(message, parts.root, left, links);
  std::ranges::move(std::move(links).symbols(), std::back_inserter(findings.symbols));
  return findings;
}

std::optional<Findings> ContentEngine::check_now(const MessageView& view) {
  if (!view.from_outside()) return Findings();
  if (view.message.size() > kSmall) return std::nullopt;
  auto findings = check_content(view.header_block, view.message, view.authentication, max_text_);
  if (!view.whole) findings.symbols.push_back({"CONTENT", 0, "the message is too large", true});
  return findings;
}

Task<Findings> ContentEngine::wait_for(const MessageView& view) {
  auto there = [&view, max_text = max_text_] {
    return check_content(view.header_block, view.message, view.authentication, max_text);
  };
  Findings findings = co_await run_blocking(blocking_, std::move(there));
  co_return findings;
}

}  // namespace merpati::filter
