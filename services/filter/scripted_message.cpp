#include "filter/scripted_message.hpp"

#include <vector>

#include "merpati/mime/header.hpp"
#include "merpati/mime/header_edit.hpp"

namespace merpati::filter {
namespace {

constexpr std::size_t kInMemory = 1 << 20;  // octets; larger ones are put together in a file

/// Removes `lines` from a header block, if they stand there as they are.
bool remove_lines(std::string& header, std::string_view lines) {
  for (std::size_t at = 0; !lines.empty(); ++at) {
    at = header.find(lines, at);
    if (at == std::string::npos) return false;
    if (at > 0 && header[at - 1] != '\n') continue;
    header.erase(at, lines.size());
    return true;
  }
  return true;
}

}  // namespace

Result<ScriptedMessage> ScriptedMessage::make(std::string_view header, std::string_view message,
                                              const google::protobuf::RepeatedPtrField<v1::HeaderEdit>& edits,
                                              std::string_view prepended) {
  ScriptedMessage out;
  std::vector<mime::HeaderEdit> changes;
  for (const auto& edit : edits) {
    if (edit.kind() == v1::HeaderEdit::KIND_PREPEND) {
      out.prefix_.append(edit.name()).append(": ").append(edit.value()).append("\r\n");
      continue;
    }
    const bool deletes = edit.kind() == v1::HeaderEdit::KIND_DELETE;
    changes.push_back({deletes ? mime::HeaderEdit::Kind::kDelete : mime::HeaderEdit::Kind::kReplace, edit.name(),
                       static_cast<std::size_t>(edit.index()), edit.value()});
  }
  std::string head = out.prefix_;
  head += changes.empty() ? std::string(header) : mime::edit_header_block(header, changes);
  out.header_size_ = head.size();
  out.prefix_ += prepended;
  const std::string_view rest = message.size() > header.size() ? message.substr(header.size()) : std::string_view();
  if (head.size() + rest.size() <= kInMemory) {
    out.small_ = std::move(head);
    out.small_ += rest;
    return out;
  }
  MERPATI_CHECK(out.spool_.open());
  MERPATI_CHECK(out.spool_.add(head));
  MERPATI_CHECK(out.spool_.add(rest));
  MERPATI_TRY(out.spooled_, out.spool_.view());
  return out;
}

std::string ScriptedMessage::in_version(const sieve::Version& version) const {
  std::string out = version.header;
  if (!remove_lines(out, prefix_)) {
    // The script put something between them, or removed one.
    mime::FieldReader reader(prefix_);
    for (mime::Field field; reader.next(field);) static_cast<void>(remove_lines(out, field.raw));
  }
  if (version.body)
    out += *version.body;
  else
    out += octets().substr(header_size_);
  return out;
}

}  // namespace merpati::filter
