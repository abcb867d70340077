// FetchWriter: writes one message's FETCH response.
#pragma once

#include "imap/content_reader.hpp"
#include "imap/fetch_plan.hpp"
#include "imap/session.hpp"

namespace merpati::imap {

class FetchWriter {
 public:
  FetchWriter(Session& session, const FetchArguments& arguments, const FetchPlan& plan)
      : session_(session), arguments_(arguments), plan_(plan), content_(session) {}

  /// Says which messages come next, so that their octets are read together.
  void expect(const pb::FetchMessagesResponse& rows);
  /// Without octets: never waits.
  void write(const pb::MessageRow& row, std::uint32_t sequence, bool flags_changed);
  /// A message of which nothing but UID and its one BODY[] was asked for.
  void write_body(std::uint32_t uid, std::uint32_t sequence, std::string_view octets);
  /// kNotFound when the message is gone: then nothing was written.
  Task<void> write_with_contents(const pb::MessageRow& row, std::uint32_t sequence, bool flags_changed);

 private:
  void begin(const pb::MessageRow& row, std::uint32_t sequence, bool flags_changed);
  void end(const pb::MessageRow& row, bool flags_changed);
  void write_item(const pb::MessageRow& row, const FetchItem& item);
  Task<void> write_section(const pb::MessageRow& row, const FetchItem& item);
  Task<void> write_binary(const pb::MessageRow& row, const FetchItem& item);
  Task<void> write_large(const pb::MessageRow& row, const FetchItem& item, OctetRange range);
  Task<std::string> read_whole(std::uint32_t uid, OctetRange range);
  void write_flags(const pb::MessageRow& row);
  void separate();

  Session& session_;
  const FetchArguments& arguments_;
  const FetchPlan& plan_;
  ContentReader content_;
  std::size_t row_start_ = 0;
  bool first_item_ = true;
  bool row_left_ = false;  // some of the row has gone to the client already
};

}  // namespace merpati::imap
