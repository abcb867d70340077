// The milter protocol's letters and bits, version 6 (Sendmail's include/libmilter/mfdef.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace merpati::milter {

inline constexpr std::uint32_t kVersion = 6;
inline constexpr std::uint32_t kOldestVersion = 2;
inline constexpr std::size_t kBodyChunk = 65'535;  ///< octets of the body in one packet

/// SMFIC_*: what the server says.
enum class Command : char {
  kAbort = 'A',
  kBody = 'B',
  kConnect = 'C',
  kMacros = 'D',
  kEndOfMessage = 'E',
  kHelo = 'H',
  kQuitNewConnection = 'K',  ///< the end of this session; another one follows on the connection
  kHeader = 'L',
  kMail = 'M',
  kEndOfHeader = 'N',
  kNegotiate = 'O',
  kQuit = 'Q',
  kRecipient = 'R',
  kData = 'T',
  kUnknown = 'U',
};

/// SMFIR_*: what the milter says.
enum class Answer : char {
  kAddRecipient = '+',
  kDeleteRecipient = '-',
  kAddRecipientWithParameters = '2',
  kShutdown = '4',
  kAccept = 'a',
  kReplaceBody = 'b',
  kContinue = 'c',
  kDiscard = 'd',
  kChangeSender = 'e',
  kConnectionFailure = 'f',
  kAddHeader = 'h',
  kInsertHeader = 'i',
  kSetMacros = 'l',
  kChangeHeader = 'm',
  kNegotiate = 'O',
  kProgress = 'p',
  kQuarantine = 'q',
  kReject = 'r',
  kSkip = 's',
  kTempfail = 't',
  kReplyCode = 'y',
};

/// SMFIF_*: changes that a milter may ask for.
namespace action {
inline constexpr std::uint32_t kAddHeaders = 0x1;
inline constexpr std::uint32_t kChangeBody = 0x2;
inline constexpr std::uint32_t kAddRecipients = 0x4;
inline constexpr std::uint32_t kDeleteRecipients = 0x8;
inline constexpr std::uint32_t kChangeHeaders = 0x10;
inline constexpr std::uint32_t kQuarantine = 0x20;
inline constexpr std::uint32_t kChangeSender = 0x40;
inline constexpr std::uint32_t kAddRecipientsWithParameters = 0x80;
inline constexpr std::uint32_t kSetMacros = 0x100;
inline constexpr std::uint32_t kAll = 0x1FF;
}  // namespace action

/// SMFIP_*: commands that a milter wants left out, those that it does not answer, and what else it can.
namespace step {
inline constexpr std::uint32_t kNoConnect = 0x1;
inline constexpr std::uint32_t kNoHelo = 0x2;
inline constexpr std::uint32_t kNoMail = 0x4;
inline constexpr std::uint32_t kNoRecipient = 0x8;
inline constexpr std::uint32_t kNoBody = 0x10;
inline constexpr std::uint32_t kNoHeaders = 0x20;
inline constexpr std::uint32_t kNoEndOfHeader = 0x40;
inline constexpr std::uint32_t kNoReplyHeader = 0x80;
inline constexpr std::uint32_t kNoUnknown = 0x100;
inline constexpr std::uint32_t kNoData = 0x200;
inline constexpr std::uint32_t kSkip = 0x400;
inline constexpr std::uint32_t kRefusedRecipients = 0x800;
inline constexpr std::uint32_t kNoReplyConnect = 0x1000;
inline constexpr std::uint32_t kNoReplyHelo = 0x2000;
inline constexpr std::uint32_t kNoReplyMail = 0x4000;
inline constexpr std::uint32_t kNoReplyRecipient = 0x8000;
inline constexpr std::uint32_t kNoReplyData = 0x10000;
inline constexpr std::uint32_t kNoReplyUnknown = 0x20000;
inline constexpr std::uint32_t kNoReplyEndOfHeader = 0x40000;
inline constexpr std::uint32_t kNoReplyBody = 0x80000;
inline constexpr std::uint32_t kHeaderLeadingSpace = 0x100000;
inline constexpr std::uint32_t kAll = 0x1FFFFF;
}  // namespace step

/// SMFIM_*: when macros are sent, each with the command of that name.
enum class MacroStage : std::uint32_t {
  kConnect = 0,
  kHelo = 1,
  kMail = 2,
  kRecipient = 3,
  kData = 4,
  kEndOfMessage = 5,
  kEndOfHeader = 6,
};
inline constexpr std::size_t kMacroStages = 7;

}  // namespace merpati::milter
