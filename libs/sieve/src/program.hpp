// Program: what the checker makes of a script and the machine runs. A tree of nodes with all names resolved, strings
// that are constant kept ready for comparing, and expressions compiled.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "merpati/sieve/script.hpp"

namespace merpati::sieve {

enum class Op : std::uint8_t {
  // control
  kRequire,
  kIf,
  kElsif,
  kElse,
  kStop,
  kSet,
  kInclude,
  kReturn,
  kGlobal,
  kForeverypart,
  kBreak,
  kError,
  kUnsupported,
  // actions
  kKeep,
  kDiscard,
  kFileinto,
  kRedirect,
  kReject,
  kEreject,
  kVacation,
  kNotify,
  kSetflag,
  kAddflag,
  kRemoveflag,
  kAddheader,
  kDeleteheader,
  kExtracttext,
  kReplace,
  kEnclose,
  kDebugLog,
  kReport,
  // tests
  kAddress,
  kAllof,
  kAnyof,
  kEnvelope,
  kExists,
  kFalse,
  kHeader,
  kNot,
  kSize,
  kTrue,
  kBody,
  kDate,
  kCurrentdate,
  kEnvironment,
  kHasflag,
  kString,
  kDuplicate,
  kIhave,
  kMailboxexists,
  kMetadata,
  kMetadataexists,
  kServermetadata,
  kServermetadataexists,
  kMailboxidexists,
  kSpecialuseExists,
  kValidNotifyMethod,
  kNotifyMethodCapability,
  kValidExtList,
  kSpamtest,
  kVirustest,
};

enum class Tag : std::uint8_t {
  kNone,
  kIs,
  kContains,
  kMatches,
  kRegex,
  kCount,
  kValue,
  kList,
  kComparator,  // how to compare
  kLocalpart,
  kDomain,
  kAll,
  kUser,
  kDetail,  // parts of addresses
  kIndex,
  kLast,
  kMime,
  kAnychild,
  kType,
  kSubtype,
  kContenttype,
  kParam,  // which header
  kCopy,
  kCreate,
  kFlags,
  kMailboxid,
  kSpecialuse,
  kFcc,  // where to
  kRedirectList,
  kNotifyDsn,
  kRet,
  kBymode,
  kBytrace,
  kBytimerelative,
  kBytimeabsolute,
  kDays,
  kSeconds,
  kSubject,
  kFrom,
  kAddresses,
  kHandle,
  kImportance,
  kOptions,
  kMessage,
  kOver,
  kUnder,
  kRaw,
  kContent,
  kText,
  kZone,
  kOriginalzone,
  kUniqueid,
  kHeaderName,
  kPercent,
  kPersonal,
  kGlobalScript,
  kOnce,
  kOptional,
  kName,
  kFirst,
  kHeaders,
  kHeadersOnly,
  kLower,
  kUpper,
  kLowerfirst,
  kUpperfirst,
  kQuotewildcard,
  kQuoteregex,
  kEncodeurl,
  kLength,  // modifiers of variables
};

enum class Comparator : std::uint8_t { kOctet, kAsciiCasemap, kAsciiNumeric, kUnicodeCasemap };
enum class Relation : std::uint8_t { kGt, kGe, kLt, kLe, kEq, kNe };

/// A piece of a string with variables in it (RFC 5229 3).
struct TextPiece {
  enum class Kind : std::uint8_t { kLiteral, kVariable, kMatch, kGlobal, kEnvironment };
  Kind kind = Kind::kLiteral;
  std::string text;         ///< the literal, or the name in lower case
  std::uint32_t index = 0;  ///< of the variable in the script's table, or the match's number
};

struct Text {
  std::string literal;  ///< when there are no pieces
  std::vector<TextPiece> pieces;
  Position at;
  bool constant() const { return pieces.empty(); }
};

struct Value {
  std::vector<Text> texts;
  std::uint64_t number = 0;
  Position at;
};

struct TagValue {
  Tag tag = Tag::kNone;
  Value value;
};

/// A key that is ready for its comparator.
struct PreparedKey {
  std::string folded;
  std::shared_ptr<const re2::RE2> regex;
};

struct Matching {
  Tag type = Tag::kIs;
  Relation relation = Relation::kEq;
  Comparator comparator = Comparator::kAsciiCasemap;
  bool capture = false;           ///< with variables, :matches and :regex set ${1} and so on
  std::vector<PreparedKey> keys;  ///< in the order of the keys; empty when one of them has variables
};

struct Node {
  Op op = Op::kStop;
  Position at;
  Tag part = Tag::kAll;  ///< of addresses
  Matching matching;
  std::vector<TagValue> tags;
  std::vector<Value> args;
  std::vector<Node> tests;
  std::vector<Node> block;
  std::string note;  ///< kUnsupported: what is not

  const Value* find(Tag tag) const {
    for (const auto& given : tags)
      if (given.tag == tag) return &given.value;
    return nullptr;
  }
  bool has(Tag tag) const { return find(tag) != nullptr; }
};

struct Program {
  std::vector<Node> commands;
  std::vector<std::string> required;
  std::vector<std::string> tested;     ///< by ihave alone
  std::vector<std::string> variables;  ///< names, in lower case; their indexes are those of the pieces
  bool has(std::string_view capability) const;
};

}  // namespace merpati::sieve
