#include "filter/milter_message.hpp"

#include <algorithm>

#include "filter/printable.hpp"

namespace merpati::filter {
namespace {

using milter::Answer;

constexpr std::size_t kMostChanges = 2000;          // of one milter
constexpr std::size_t kLargestHeader = 256 * 1024;  // octets, as of messages that come in
constexpr std::size_t kMostRecipients = 1000;
constexpr std::size_t kMostWords = 500;  // octets

Error too_much(const char* what) { return Error(ErrorCode::kResourceExhausted, what); }

}  // namespace

void MilterChanges::note(std::string_view what, std::string_view detail) {
  std::string words(what);
  if (!detail.empty()) words.append(" ").append(printable(detail, 100));
  if (words_.size() + words.size() + 2 > kMostWords || words_.ends_with(words)) return;
  if (!words_.empty()) words_.append(", ");
  words_.append(words);
}

Result<void> MilterChanges::add(const milter::Response& change) {
  if (++changes_ > kMostChanges) return too_much("too many changes");
  // Quarantine's reason is for logs, the others are addresses, which go into texts of UTF-8.
  if (change.answer != Answer::kReplaceBody && change.answer != Answer::kQuarantine && change.name.empty() &&
      printable(change.text, change.text.size()) != change.text)
    return Error(ErrorCode::kInvalidArgument, "an address that is none");
  switch (change.answer) {
    case Answer::kAddHeader:
      message_.header.add(change.name, change.value, space_);
      break;
    case Answer::kInsertHeader:
      message_.header.insert(change.index, change.name, change.value, space_);
      break;
    case Answer::kChangeHeader:
      message_.header.change(change.index, change.name, change.value, space_);
      break;
    case Answer::kReplaceBody:
      if (!replaces_) message_.new_body.emplace();
      replaces_ = true;
      if (message_.new_body->size() + change.text.size() > most_body_) return too_much("a new body that is too large");
      message_.new_body->append(change.text);
      break;
    case Answer::kAddRecipient:
    case Answer::kAddRecipientWithParameters:
      std::erase(message_.deleted_recipients, change.text);
      message_.added_recipients.push_back(change.text);
      break;
    case Answer::kDeleteRecipient:
      std::erase(message_.added_recipients, change.text);
      message_.deleted_recipients.push_back(change.text);
      break;
    case Answer::kChangeSender:
      message_.reverse_path = change.text;
      break;
    case Answer::kQuarantine:
      message_.quarantine = printable(change.text, 200);
      break;
    default:
      break;
  }
  if (message_.header.size() > kLargestHeader) return too_much("a header that is too large");
  if (message_.added_recipients.size() > kMostRecipients || message_.deleted_recipients.size() > kMostRecipients)
    return too_much("too many recipients");
  note(to_string(change.answer),
       change.name.empty() && change.answer != Answer::kReplaceBody ? change.text : change.name);
  return {};
}

}  // namespace merpati::filter
