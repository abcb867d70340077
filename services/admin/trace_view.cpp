#include "admin/trace_view.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "admin/access.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::admin {
namespace {

bool all_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

}  // namespace

Result<trace::v1::FindEventsRequest> wanted_events(std::string_view id) {
  trace::v1::FindEventsRequest request;
  const std::string small = in_lower_case(id);
  if (id.size() == 32 && all_of(small, "0123456789abcdef")) {
    request.add_trace_ids(small);
    return request;
  }
  if (is_uuid(small)) {
    request.add_trace_ids(runtime::trace_id_of(small));
    return request;
  }
  if (all_of(id, "0123456789")) {
    std::int64_t item = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), item);
    if (error == std::errc() && item > 0) {
      request.set_item_id(item);
      return request;
    }
  }
  if (id.size() >= 2 && id.front() == '<' && id.back() == '>') id = id.substr(1, id.size() - 2);
  if (id.size() <= 998 && id.find('@') != std::string_view::npos) {
    request.set_message_id(std::string(id));
    return request;
  }
  const std::string text =
      "a trace is found by its 32 hex digits, a Message-ID, the UUID in \"250 Ok: UUID\" or the number of a queue item";
  return Error(ErrorCode::kInvalidArgument, text).with_public(text);
}

void keep_domain(std::vector<trace::v1::Event>& events, std::string_view domain) {
  const std::string wanted = canonical_domain(domain);
  std::set<std::string> theirs;
  for (const auto& event : events) {
    if (!event.recipient().empty() && domain_of(event.recipient()) == wanted) theirs.insert(event.trace_id());
  }
  std::erase_if(events, [&](const trace::v1::Event& event) {
    if (!theirs.contains(event.trace_id())) return true;
    return !event.recipient().empty() && domain_of(event.recipient()) != wanted;
  });
  for (auto& event : events) {
    if (!event.has_verdict()) continue;
    auto& recipients = *event.mutable_verdict()->mutable_recipients();
    const auto others = std::remove_if(recipients.begin(), recipients.end(),
                                       [&](const auto& one) { return domain_of(one.recipient()) != wanted; });
    // How many others there are says nothing about those who are left.
    if (others != recipients.end()) event.mutable_verdict()->set_recipients_in_all(0);
    recipients.erase(others, recipients.end());
    // What milters say may name recipients elsewhere.
    for (auto& said : *event.mutable_verdict()->mutable_milters()) said.clear_text();
  }
}

void put_in_order(std::vector<trace::v1::Event>& events) {
  std::map<std::string, std::int64_t> begin;
  for (const auto& event : events) {
    const auto [at, fresh] = begin.emplace(event.trace_id(), event.at_us());
    if (!fresh) at->second = std::min(at->second, event.at_us());
  }
  std::stable_sort(events.begin(), events.end(), [&](const auto& a, const auto& b) {
    const auto key = [&](const trace::v1::Event& event) {
      return std::tuple(begin.at(event.trace_id()), std::string_view(event.trace_id()), event.at_us());
    };
    return key(a) < key(b);
  });
}

Error no_trace() {
  return Error(ErrorCode::kNotFound, "no such trace")
      .with_public("nothing is known of such a message (events are kept for some days)");
}

}  // namespace merpati::admin
