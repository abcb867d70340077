#include "grammar.hpp"

#include <algorithm>

namespace merpati::sieve {
namespace {

constexpr Takes kOne[] = {Takes::kString};
constexpr Takes kTwo[] = {Takes::kString, Takes::kString};
constexpr Takes kThree[] = {Takes::kString, Takes::kString, Takes::kString};
constexpr Takes kList[] = {Takes::kStrings};
constexpr Takes kLists[] = {Takes::kStrings, Takes::kStrings};
constexpr Takes kStringAndList[] = {Takes::kString, Takes::kStrings};
constexpr Takes kTwoAndList[] = {Takes::kString, Takes::kString, Takes::kStrings};
constexpr Takes kNumber[] = {Takes::kNumber};

// RFC 5228 2.7, RFC 5231 4, RFC 6134 2.2 and the regex draft
constexpr TagRule kMatchTags[] = {
    {"is", Tag::kIs, Takes::kNothing, {}, 1},
    {"contains", Tag::kContains, Takes::kNothing, {}, 1},
    {"matches", Tag::kMatches, Takes::kNothing, {}, 1},
    {"regex", Tag::kRegex, Takes::kNothing, "regex", 1},
    {"count", Tag::kCount, Takes::kString, "relational", 1},
    {"value", Tag::kValue, Takes::kString, "relational", 1},
    {"list", Tag::kList, Takes::kNothing, "extlists", 1},
    {"comparator", Tag::kComparator, Takes::kString},
};
// RFC 5228 2.7.4, RFC 5233 4
constexpr TagRule kPartTags[] = {
    {"all", Tag::kAll, Takes::kNothing, {}, 2},
    {"localpart", Tag::kLocalpart, Takes::kNothing, {}, 2},
    {"domain", Tag::kDomain, Takes::kNothing, {}, 2},
    {"user", Tag::kUser, Takes::kNothing, "subaddress", 2},
    {"detail", Tag::kDetail, Takes::kNothing, "subaddress", 2},
};
// RFC 5260 6
constexpr TagRule kIndexTags[] = {
    {"index", Tag::kIndex, Takes::kNumber, "index"},
    {"last", Tag::kLast, Takes::kNothing, "index"},
};
// RFC 5703 4
constexpr TagRule kMimeTags[] = {
    {"mime", Tag::kMime, Takes::kNothing, "mime"},
    {"anychild", Tag::kAnychild, Takes::kNothing, "mime"},
};
constexpr TagRule kMimeOptionTags[] = {
    {"type", Tag::kType, Takes::kNothing, "mime", 3},
    {"subtype", Tag::kSubtype, Takes::kNothing, "mime", 3},
    {"contenttype", Tag::kContenttype, Takes::kNothing, "mime", 3},
    {"param", Tag::kParam, Takes::kStrings, "mime", 3},
};
// RFC 8580 3
constexpr TagRule kFccTags[] = {{"fcc", Tag::kFcc, Takes::kString, "fcc"}};
// Of what files: fileinto, and :fcc as it does (RFC 8580 3)
constexpr TagRule kMailboxTags[] = {
    {"create", Tag::kCreate, Takes::kNothing, "mailbox"},
    {"flags", Tag::kFlags, Takes::kStrings, "imap4flags"},
    {"mailboxid", Tag::kMailboxid, Takes::kString, "mailboxid"},
    {"specialuse", Tag::kSpecialuse, Takes::kString, "special-use"},
};
constexpr TagRule kKeepTags[] = {{"flags", Tag::kFlags, Takes::kStrings, "imap4flags"}};
constexpr TagRule kFileintoTags[] = {{"copy", Tag::kCopy, Takes::kNothing, "copy"}};
// RFC 3894, RFC 6134 2.6, RFC 6009 3 and 4
constexpr TagRule kRedirectTags[] = {
    {"copy", Tag::kCopy, Takes::kNothing, "copy"},
    {"list", Tag::kRedirectList, Takes::kNothing, "extlists"},
    {"notify", Tag::kNotifyDsn, Takes::kString, "redirect-dsn"},
    {"ret", Tag::kRet, Takes::kString, "redirect-dsn"},
    {"bymode", Tag::kBymode, Takes::kString, "redirect-deliverby"},
    {"bytrace", Tag::kBytrace, Takes::kNothing, "redirect-deliverby"},
    {"bytimerelative", Tag::kBytimerelative, Takes::kNumber, "redirect-deliverby", 4},
    {"bytimeabsolute", Tag::kBytimeabsolute, Takes::kString, "redirect-deliverby", 4},
};
constexpr TagRule kVacationTags[] = {
    {"days", Tag::kDays, Takes::kNumber, {}, 5},     {"seconds", Tag::kSeconds, Takes::kNumber, "vacation-seconds", 5},
    {"subject", Tag::kSubject, Takes::kString},      {"from", Tag::kFrom, Takes::kString},
    {"addresses", Tag::kAddresses, Takes::kStrings}, {"mime", Tag::kMime},
    {"handle", Tag::kHandle, Takes::kString},
};
constexpr TagRule kNotifyTags[] = {
    {"from", Tag::kFrom, Takes::kString},
    {"importance", Tag::kImportance, Takes::kString},
    {"options", Tag::kOptions, Takes::kStrings},
    {"message", Tag::kMessage, Takes::kString},
};
constexpr TagRule kAddheaderTags[] = {{"last", Tag::kLast}};
constexpr TagRule kDeleteheaderTags[] = {{"index", Tag::kIndex, Takes::kNumber}, {"last", Tag::kLast}};
// RFC 5229 4.1: one modifier of each precedence
constexpr TagRule kModifierTags[] = {
    {"lower", Tag::kLower, Takes::kNothing, {}, 6},
    {"upper", Tag::kUpper, Takes::kNothing, {}, 6},
    {"lowerfirst", Tag::kLowerfirst, Takes::kNothing, {}, 7},
    {"upperfirst", Tag::kUpperfirst, Takes::kNothing, {}, 7},
    {"quotewildcard", Tag::kQuotewildcard, Takes::kNothing, {}, 8},
    {"quoteregex", Tag::kQuoteregex, Takes::kNothing, "regex", 8},
    {"encodeurl", Tag::kEncodeurl, Takes::kNothing, "enotify", 9},
    {"length", Tag::kLength, Takes::kNothing, {}, 10},
};
constexpr TagRule kExtracttextTags[] = {{"first", Tag::kFirst, Takes::kNumber}};
constexpr TagRule kIncludeTags[] = {
    {"personal", Tag::kPersonal, Takes::kNothing, {}, 11},
    {"global", Tag::kGlobalScript, Takes::kNothing, {}, 11},
    {"once", Tag::kOnce},
    {"optional", Tag::kOptional},
};
constexpr TagRule kNameTags[] = {{"name", Tag::kName, Takes::kString}};
constexpr TagRule kReplaceTags[] = {
    {"mime", Tag::kMime}, {"subject", Tag::kSubject, Takes::kString}, {"from", Tag::kFrom, Takes::kString}};
constexpr TagRule kEncloseTags[] = {{"subject", Tag::kSubject, Takes::kString},
                                    {"headers", Tag::kHeaders, Takes::kStrings}};
constexpr TagRule kReportTags[] = {{"headers_only", Tag::kHeadersOnly}};
constexpr TagRule kSizeTags[] = {{"over", Tag::kOver, Takes::kNothing, {}, 12},
                                 {"under", Tag::kUnder, Takes::kNothing, {}, 12}};
constexpr TagRule kBodyTags[] = {
    {"raw", Tag::kRaw, Takes::kNothing, {}, 13},
    {"content", Tag::kContent, Takes::kStrings, {}, 13},
    {"text", Tag::kText, Takes::kNothing, {}, 13},
};
constexpr TagRule kDateTags[] = {{"zone", Tag::kZone, Takes::kString, {}, 14},
                                 {"originalzone", Tag::kOriginalzone, Takes::kNothing, {}, 14}};
constexpr TagRule kCurrentdateTags[] = {{"zone", Tag::kZone, Takes::kString}};
constexpr TagRule kDuplicateTags[] = {
    {"handle", Tag::kHandle, Takes::kString},
    {"header", Tag::kHeaderName, Takes::kString, {}, 15},
    {"uniqueid", Tag::kUniqueid, Takes::kString, {}, 15},
    {"seconds", Tag::kSeconds, Takes::kNumber},
    {"last", Tag::kLast},
};
constexpr TagRule kSpamtestTags[] = {{"percent", Tag::kPercent, Takes::kNothing, "spamtestplus"}};

constexpr unsigned kFiles = kShareFcc | kShareMailbox;
constexpr Rule kCommands[] = {
    {"addflag", Op::kAddflag, Kind::kAction, "imap4flags", 0, {}, kStringAndList, 1},
    {"addheader", Op::kAddheader, Kind::kAction, "editheader", 0, kAddheaderTags, kTwo},
    {"break", Op::kBreak, Kind::kControl, "foreverypart", 0, kNameTags, {}},
    {"debug_log", Op::kDebugLog, Kind::kAction, "vnd.dovecot.debug", 0, {}, kOne},
    {"deleteheader", Op::kDeleteheader, Kind::kAction, "editheader", kShareMatch, kDeleteheaderTags, kStringAndList, 1,
     true},
    {"discard", Op::kDiscard, Kind::kAction, {}, 0, {}, {}},
    {"else", Op::kElse, Kind::kControl, {}, 0, {}, {}, 0, false, 0, true},
    {"elsif", Op::kElsif, Kind::kControl, {}, 0, {}, {}, 0, false, 1, true},
    {"enclose", Op::kEnclose, Kind::kAction, "enclose", 0, kEncloseTags, kOne},
    {"ereject", Op::kEreject, Kind::kAction, "ereject", 0, {}, kOne},
    {"error", Op::kError, Kind::kControl, "ihave", 0, {}, kOne},
    {"extracttext", Op::kExtracttext, Kind::kAction, "extracttext", kShareModifiers, kExtracttextTags, kOne},
    {"fileinto", Op::kFileinto, Kind::kAction, "fileinto", kShareMailbox, kFileintoTags, kOne},
    {"foreverypart", Op::kForeverypart, Kind::kControl, "foreverypart", 0, kNameTags, {}, 0, false, 0, true},
    {"global", Op::kGlobal, Kind::kControl, "include", 0, {}, kList},
    {"if", Op::kIf, Kind::kControl, {}, 0, {}, {}, 0, false, 1, true},
    {"include", Op::kInclude, Kind::kControl, "include", 0, kIncludeTags, kOne},
    {"keep", Op::kKeep, Kind::kAction, {}, 0, kKeepTags, {}},
    {"notify", Op::kNotify, Kind::kAction, "enotify", kFiles, kNotifyTags, kOne},
    {"redirect", Op::kRedirect, Kind::kAction, {}, 0, kRedirectTags, kOne},
    {"reject", Op::kReject, Kind::kAction, "reject", 0, {}, kOne},
    {"removeflag", Op::kRemoveflag, Kind::kAction, "imap4flags", 0, {}, kStringAndList, 1},
    {"replace", Op::kReplace, Kind::kAction, "replace", 0, kReplaceTags, kOne},
    {"report", Op::kReport, Kind::kAction, "vnd.dovecot.report", 0, kReportTags, kThree},
    {"require", Op::kRequire, Kind::kControl, {}, 0, {}, kList},
    {"return", Op::kReturn, Kind::kControl, "include", 0, {}, {}},
    {"set", Op::kSet, Kind::kAction, "variables", kShareModifiers, {}, kTwo},
    {"setflag", Op::kSetflag, Kind::kAction, "imap4flags", 0, {}, kStringAndList, 1},
    {"stop", Op::kStop, Kind::kControl, {}, 0, {}, {}},
    {"vacation", Op::kVacation, Kind::kAction, "vacation", kFiles, kVacationTags, kOne},
};

constexpr unsigned kMatchPart = kShareMatch | kSharePart;
constexpr Rule kTests[] = {
    {"address", Op::kAddress, Kind::kTest, {}, kMatchPart | kShareIndex | kShareMime, {}, kLists},
    {"allof", Op::kAllof, Kind::kTest, {}, 0, {}, {}, 0, false, -1},
    {"anyof", Op::kAnyof, Kind::kTest, {}, 0, {}, {}, 0, false, -1},
    {"body", Op::kBody, Kind::kTest, "body", kShareMatch, kBodyTags, kList},
    {"currentdate", Op::kCurrentdate, Kind::kTest, "date", kShareMatch, kCurrentdateTags, kStringAndList},
    {"date", Op::kDate, Kind::kTest, "date", kShareMatch | kShareIndex, kDateTags, kTwoAndList},
    {"duplicate", Op::kDuplicate, Kind::kTest, "duplicate", 0, kDuplicateTags, {}},
    {"envelope", Op::kEnvelope, Kind::kTest, "envelope", kMatchPart, {}, kLists},
    {"environment", Op::kEnvironment, Kind::kTest, "environment", kShareMatch, {}, kStringAndList},
    {"exists", Op::kExists, Kind::kTest, {}, kShareMime, {}, kList},
    {"false", Op::kFalse, Kind::kTest, {}, 0, {}, {}},
    {"hasflag", Op::kHasflag, Kind::kTest, "imap4flags", kShareMatch, {}, kLists, 1},
    {"header", Op::kHeader, Kind::kTest, {}, kShareMatch | kShareIndex | kShareMime, kMimeOptionTags, kLists},
    {"ihave", Op::kIhave, Kind::kTest, "ihave", 0, {}, kList},
    {"mailboxexists", Op::kMailboxexists, Kind::kTest, "mailbox", 0, {}, kList},
    {"mailboxidexists", Op::kMailboxidexists, Kind::kTest, "mailboxid", 0, {}, kList},
    {"metadata", Op::kMetadata, Kind::kTest, "mboxmetadata", kShareMatch, {}, kTwoAndList},
    {"metadataexists", Op::kMetadataexists, Kind::kTest, "mboxmetadata", 0, {}, kStringAndList},
    {"not", Op::kNot, Kind::kTest, {}, 0, {}, {}, 0, false, 1},
    {"notify_method_capability", Op::kNotifyMethodCapability, Kind::kTest, "enotify", kShareMatch, {}, kTwoAndList},
    {"servermetadata", Op::kServermetadata, Kind::kTest, "servermetadata", kShareMatch, {}, kStringAndList},
    {"servermetadataexists", Op::kServermetadataexists, Kind::kTest, "servermetadata", 0, {}, kList},
    {"size", Op::kSize, Kind::kTest, {}, 0, kSizeTags, kNumber},
    {"spamtest", Op::kSpamtest, Kind::kTest, "spamtest", kShareMatch, kSpamtestTags, kOne},
    {"specialuse_exists", Op::kSpecialuseExists, Kind::kTest, "special-use", 0, {}, kStringAndList, 1},
    {"string", Op::kString, Kind::kTest, "variables", kShareMatch, {}, kLists},
    {"true", Op::kTrue, Kind::kTest, {}, 0, {}, {}},
    {"valid_ext_list", Op::kValidExtList, Kind::kTest, "extlists", 0, {}, kList},
    {"valid_notify_method", Op::kValidNotifyMethod, Kind::kTest, "enotify", 0, {}, kList},
    {"virustest", Op::kVirustest, Kind::kTest, "virustest", kShareMatch, {}, kOne},
};

template <class Rules>
const Rule* find_in(const Rules& rules, std::string_view name) {
  const auto found = std::ranges::lower_bound(rules, name, {}, &Rule::name);
  return found != std::end(rules) && found->name == name ? &*found : nullptr;
}

const TagRule* find_in_tags(std::span<const TagRule> tags, std::string_view name) {
  const auto found = std::ranges::find(tags, name, &TagRule::name);
  return found != tags.end() ? &*found : nullptr;
}

}  // namespace

const Rule* find_command(std::string_view name) { return find_in(kCommands, name); }
const Rule* find_test(std::string_view name) { return find_in(kTests, name); }

const TagRule* find_tag(const Rule& rule, std::string_view name) {
  if (const auto* own = find_in_tags(rule.tags, name)) return own;
  const std::pair<unsigned, std::span<const TagRule>> shared[] = {
      {kShareMatch, kMatchTags},       {kSharePart, kPartTags}, {kShareIndex, kIndexTags},
      {kShareMime, kMimeTags},         {kShareFcc, kFccTags},   {kShareMailbox, kMailboxTags},
      {kShareModifiers, kModifierTags}};
  for (const auto& [share, tags] : shared)
    if ((rule.shares & share) != 0)
      if (const auto* found = find_in_tags(tags, name)) return found;
  return nullptr;
}

}  // namespace merpati::sieve
