#include "filter/symbol_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/algorithm/string/case_conv.hpp>
#include <numeric>

namespace merpati::filter {
namespace {

constexpr std::size_t kMostSimilar = 5;
constexpr std::size_t kLongestName = 100;  // octets

enum class Kind : std::uint8_t {
  kPoints,    ///< counts points, or is negotiable
  kOperator,  ///< refuses or files whatever the score, as the operator wants it, unless the configuration weighs it
  kLimit,     ///< protects the service: nothing weighs it
};
struct Known {
  std::string_view name;
  Kind kind = Kind::kPoints;
};

constexpr Known kKnown[] = {
    // structure
    {"NO_FROM"},
    {"DUPLICATE_FIELD"},
    {"LOOP", Kind::kLimit},
    {"HEADER_TOO_LARGE", Kind::kLimit},
    {"TOO_MANY_HEADERS", Kind::kLimit},
    {"TOO_MANY_PARTS", Kind::kLimit},
    {"NESTED_TOO_DEEPLY", Kind::kLimit},
    // mail_authentication
    {"SPF_NONE"},
    {"SPF_NEUTRAL"},
    {"SPF_PASS"},
    {"SPF_FAIL"},
    {"SPF_SOFTFAIL"},
    {"SPF_PERMERROR"},
    {"SPF_HELO_FAIL"},
    {"DKIM_NONE"},
    {"DKIM_PASS"},
    {"DKIM_FAIL"},
    {"DKIM_POLICY"},
    {"DKIM_NEUTRAL"},
    {"DKIM_PERMERROR"},
    {"ARC_PASS"},
    {"ARC_FAIL"},
    {"IPREV_FAIL"},
    {"IPREV_NONE"},
    {"DMARC_NONE"},
    {"DMARC_PASS"},
    {"DMARC_PERMERROR"},
    {"DMARC_FAIL"},
    {"DMARC_ARC"},
    {"DMARC_UNDECIDED"},
    {"DMARC_QUARANTINE"},
    {"DMARC_REJECT"},
    // content
    {"URL_TEXT_MISMATCH"},
    {"URL_USERINFO"},
    {"URL_ADDRESS"},
    {"URL_OBFUSCATED_ADDRESS"},
    {"URL_MIXED_SCRIPTS"},
    {"URL_CONFUSABLE"},
    {"DISPLAY_NAME_ADDRESS"},
    // attachments: points where the operator's lists do not have them
    {"ATTACHMENT_EXECUTABLE"},
    {"ATTACHMENT_SCRIPT"},
    {"ATTACHMENT_SHELL_SCRIPT"},
    {"ATTACHMENT_DISK_IMAGE"},
    {"ATTACHMENT_MACROS"},
    {"ATTACHMENT_ARCHIVE"},
    {"ATTACHMENT_EXTENSION", Kind::kOperator},
    {"ATTACHMENT_DISGUISED"},
    {"DOUBLE_EXTENSION"},
    {"BIDI_FILE_NAME"},
    {"ARCHIVE_ENCRYPTED"},
    {"ARCHIVE_UNOPENED"},
    {"ARCHIVE_BOMB", Kind::kOperator},
    {"ARCHIVE_DEPTH", Kind::kOperator},
    {"ARCHIVE_FILES"},
    {"ARCHIVE_TIME"},
    // sender_lists, sender_rate, clamd, greylist
    {"SENDER_REFUSED", Kind::kOperator},
    {"SENDER_JUNK", Kind::kOperator},
    {"SENDER_ACCEPTED", Kind::kOperator},
    {"SENDER_NOT_AUTHENTICATED"},
    {"SENDER_RATE", Kind::kOperator},
    {"VIRUS", Kind::kOperator},
    {"GREYLIST", Kind::kOperator},
    {"GREYLIST_PASSED"},
    {"GREYLIST_KNOWN"},
    // rspamd; with the prefix its own symbols
    {"RSPAMD"},
    {"RSPAMD_REJECT"},
    {"RSPAMD_SOFT_REJECT"},
    {"RSPAMD_SPAM"},
    // reputation, bayes
    {"SENDER_REPUTATION"},
    {"DOMAIN_REPUTATION"},
    {"ADDRESS_REPUTATION"},
    {"BAYES_SPAM"},
    {"BAYES_HAM"},
    {"OWN_BAYES_SPAM"},
    {"OWN_BAYES_HAM"},
};

/// Letters to change, to add, to leave out.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

const Known* find(std::string_view name) {
  const auto* found = std::ranges::find(kKnown, name, &Known::name);
  return found == std::end(kKnown) ? nullptr : found;
}

bool is_rspamds(std::string_view name) {
  return name.size() > kRspamdPrefix.size() && name.size() <= kLongestName && name.starts_with(kRspamdPrefix) &&
         std::ranges::all_of(name, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

Error refused(std::string text) { return Error(ErrorCode::kInvalidArgument, text).with_public(text); }

}  // namespace

SymbolNames::SymbolNames(const std::vector<std::string>& configured)
    : configured_(configured.begin(), configured.end()) {
  configured_.erase("");
}

bool SymbolNames::knows(std::string_view name) const {
  return find(name) != nullptr || configured_.contains(name) || is_rspamds(name);
}

std::vector<std::string> SymbolNames::similar_to(std::string_view name) const {
  const std::string wanted = boost::algorithm::to_upper_copy(std::string(name.substr(0, kLongestName)));
  std::vector<std::pair<std::size_t, std::string>> near;
  const auto look = [&](std::string_view known) {
    const std::string upper = boost::algorithm::to_upper_copy(std::string(known));
    const std::size_t apart = distance(wanted, upper);
    const bool part = wanted.size() >= 3 && upper.find(wanted) != std::string::npos;
    if (apart <= std::max<std::size_t>(2, upper.size() / 4))
      near.emplace_back(apart, known);
    else if (part)
      near.emplace_back(kLongestName, known);
  };
  for (const auto& known : kKnown)
    if (known.kind != Kind::kLimit) look(known.name);
  for (const auto& known : configured_) look(known);
  std::ranges::sort(near);
  std::vector<std::string> out;
  for (auto& [apart, known] : near)
    if (out.size() < kMostSimilar) out.push_back(std::move(known));
  return out;
}

Result<void> SymbolNames::check_weight(std::string_view name, const Scoring& configured) const {
  const Known* known = find(name);
  if (known != nullptr && known->kind == Kind::kLimit)
    return refused(fmt::format("{} is a limit, which no weight changes", name));
  if (known != nullptr && known->kind == Kind::kOperator && !configured.weights.contains(name))
    return refused(
        fmt::format("{} holds whatever the score: only filter.weights of the configuration makes points of it", name));
  if (known != nullptr || configured_.contains(name) || is_rspamds(name)) return {};
  std::string text = fmt::format("there is no symbol or threshold \"{}\"", name.substr(0, kLongestName));
  const auto similar = similar_to(name);
  for (std::size_t i = 0; i < similar.size(); ++i) text.append(i == 0 ? "; similar: " : ", ").append(similar[i]);
  return refused(std::move(text));
}

}  // namespace merpati::filter
