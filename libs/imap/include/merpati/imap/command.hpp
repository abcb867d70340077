// Command: one parsed IMAP command as values. Strings are the client's bytes: names and search texts are not decoded
// yet.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "merpati/imap/number_set.hpp"

namespace merpati::imap {

enum class Verb : std::uint8_t {
  kCapability,
  kNoop,
  kLogout,
  kId,
  kStartTls,
  kAuthenticate,
  kLogin,
  kEnable,
  kSelect,
  kExamine,
  kCreate,
  kDelete,
  kRename,
  kSubscribe,
  kUnsubscribe,
  kList,
  kLsub,
  kNamespace,
  kStatus,
  kAppend,
  kIdle,
  kCheck,
  kClose,
  kUnselect,
  kExpunge,
  kSearch,
  kFetch,
  kStore,
  kCopy,
  kMove,
};
inline constexpr std::size_t kVerbCount = static_cast<std::size_t>(Verb::kMove) + 1;
/// "FETCH".
std::string_view to_string(Verb verb);

struct IdArguments {
  std::vector<std::pair<std::string, std::string>> fields;  ///< NIL values as empty strings (RFC 2971)
};
struct AuthenticateArguments {
  std::string mechanism;                        ///< upper case
  std::optional<std::string> initial_response;  ///< still base64; "=" is an empty response (RFC 4959)
};
struct LoginArguments {
  std::string user;
  std::string password;
};
struct EnableArguments {
  std::vector<std::string> capabilities;  ///< upper case
};
struct SelectArguments {
  std::string mailbox;
  bool condstore = false;  ///< RFC 7162 3.1.8
};
struct CreateArguments {
  std::string mailbox;
  std::vector<std::string> special_use;  ///< as written, with the backslash (RFC 6154 3)
};
struct MailboxArguments {
  std::string mailbox;
};
struct RenameArguments {
  std::string from;
  std::string to;
};

enum class StatusItem : std::uint8_t {
  kMessages,
  kRecent,
  kUidNext,
  kUidValidity,
  kUnseen,
  kDeleted,
  kSize,
  kHighestModSeq,
};
std::string_view to_string(StatusItem item);
struct StatusArguments {
  std::string mailbox;
  std::vector<StatusItem> items;
};

/// LIST in its basic and its extended form (RFC 5258), and LSUB (the basic form only).
struct ListArguments {
  bool extended = false;  ///< any RFC 5258 syntax was used
  bool select_subscribed = false;
  bool select_remote = false;
  bool select_recursive_match = false;
  bool select_special_use = false;
  std::string reference;
  std::vector<std::string> patterns;
  bool return_subscribed = false;
  bool return_children = false;
  bool return_special_use = false;
  std::vector<StatusItem> return_status;  ///< RFC 5819
};

struct DateTime {
  std::int64_t seconds = 0;       ///< Unix time
  std::int32_t zone_minutes = 0;  ///< east of UTC
  friend bool operator==(const DateTime&, const DateTime&) = default;
};

/// The head of an APPEND; the message is a literal of `size` bytes that follows.
struct AppendArguments {
  std::string mailbox;
  std::vector<std::string> flags;
  std::optional<DateTime> date;
  std::uint64_t size = 0;
  bool synchronizing = true;  ///< the client waits for "+"
  bool binary = false;        ///< "~{n}", literal8 (RFC 3516 4.4)
};

/// Which bytes of a message (RFC 9051 6.4.5, section-spec).
struct Section {
  enum class Text : std::uint8_t { kAll, kHeader, kHeaderFields, kHeaderFieldsNot, kText, kMime };
  std::vector<std::uint32_t> part;
  Text text = Text::kAll;
  std::vector<std::string> fields;  ///< header names as written
};

struct FetchItem {
  enum class Kind : std::uint8_t {
    kUid,
    kFlags,
    kInternalDate,
    kRfc822Size,
    kEnvelope,
    kBody,  ///< the structure without extension data
    kBodyStructure,
    kModSeq,
    kBodySection,  ///< BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT
    kBinary,
    kBinarySize,
  };
  struct Partial {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  ///< above zero
  };
  Kind kind = Kind::kUid;
  bool peek = false;  ///< does not set \Seen
  Section section;
  std::optional<Partial> partial;
  std::string label;  ///< what the response calls it, such as "BODY[1.MIME]<0>"
};

struct FetchArguments {
  SequenceSet set;
  std::vector<FetchItem> items;
  std::optional<std::uint64_t> changed_since;  ///< RFC 7162 3.1.4
};

struct StoreArguments {
  enum class Mode : std::uint8_t { kReplace, kAdd, kRemove };
  SequenceSet set;
  Mode mode = Mode::kReplace;
  bool silent = false;
  std::vector<std::string> flags;
  std::optional<std::uint64_t> unchanged_since;  ///< RFC 7162 3.1.3
};

struct CopyArguments {  // and MOVE
  SequenceSet set;
  std::string mailbox;
};

struct ExpungeArguments {
  SequenceSet uids;  ///< of UID EXPUNGE (RFC 4315)
};

/// One node of a search program. UNSEEN and the like are kNot over kFlag.
struct SearchKey {
  enum class Kind : std::uint8_t {
    kAll,
    kAnd,
    kOr,
    kNot,
    kSequence,
    kUid,
    kFlag,  ///< text: "\Seen" or a keyword
    kRecent,
    kHeader,  ///< name, text (empty: has the header)
    kBody,
    kText,
    kBefore,  ///< number: days since 1970-01-01, as int64
    kOn,
    kSince,
    kSentBefore,
    kSentOn,
    kSentSince,
    kLarger,  ///< number: octets
    kSmaller,
    kModSeq,  ///< number
  };
  Kind kind = Kind::kAll;
  std::string name;
  std::string text;
  std::uint64_t number = 0;
  SequenceSet set;
  std::vector<SearchKey> children;
};

struct SearchArguments {
  bool has_return = false;  ///< RETURN was written (RFC 4731)
  bool return_min = false;
  bool return_max = false;
  bool return_all = false;
  bool return_count = false;
  bool return_save = false;  ///< RFC 5182
  std::string charset;       ///< upper case; empty when not given
  SearchKey key;             ///< kAnd over all keys at the top
  bool uses_modseq = false;  ///< a MODSEQ key appears anywhere
};

struct Command {
  std::string tag;
  Verb verb = Verb::kNoop;
  bool uid = false;  ///< UID FETCH, UID STORE ...
  std::variant<std::monostate, IdArguments, AuthenticateArguments, LoginArguments, EnableArguments, SelectArguments,
               CreateArguments, MailboxArguments, RenameArguments, StatusArguments, ListArguments, AppendArguments,
               FetchArguments, StoreArguments, CopyArguments, ExpungeArguments, SearchArguments>
      arguments;

  template <class T>
  const T& get() const {
    return std::get<T>(arguments);
  }
};

}  // namespace merpati::imap
