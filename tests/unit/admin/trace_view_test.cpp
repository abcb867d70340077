#include "admin/trace_view.hpp"

#include <gtest/gtest.h>

namespace merpati::admin {
namespace {

using trace::v1::Event;

Event event(const std::string& trace, std::int64_t at, const std::string& recipient = {}) {
  Event out;
  out.set_trace_id(trace);
  out.set_at_us(at);
  out.set_recipient(recipient);
  return out;
}

TEST(TraceView, KnowsWhatAnIdIs) {
  EXPECT_EQ(wanted_events("0123456789ABCDEF0123456789abcdef")->trace_ids(0), "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(wanted_events("4711")->item_id(), 4711);
  EXPECT_EQ(wanted_events("7D3b0a5e-2c0f-4e0a-9d8e-0123456789ab")->trace_ids(0), "7d3b0a5e2c0f4e0a9d8e0123456789ab");
  EXPECT_EQ(wanted_events("<a@b.test>")->message_id(), "a@b.test");
  EXPECT_EQ(wanted_events("A@b.test")->message_id(), "A@b.test") << "identifiers differ by case";
  for (const char* wrong : {"", "nothing", "0", "99999999999999999999", "<>"})
    EXPECT_TRUE(wanted_events(wrong).has_error()) << wrong;
}

TEST(TraceView, ADomainAdminSeesItsRecipientsOnly) {
  std::vector<Event> events = {event("t1", 1), event("t1", 2, "bob@a.test"), event("t1", 3, "eve@b.test"),
                               event("t2", 1), event("t2", 2, "eve@b.test")};
  keep_domain(events, "a.test");
  ASSERT_EQ(events.size(), 2U) << "nothing of a message that no one of the domain got";
  EXPECT_EQ(events[0].recipient(), "");
  EXPECT_EQ(events[1].recipient(), "bob@a.test");
}

TEST(TraceView, ADomainAdminSeesHowItsOwnRecipientsWereJudged) {
  std::vector<Event> events = {event("t1", 1), event("t1", 2, "bob@a.test")};
  auto& verdict = *events[0].mutable_verdict();
  verdict.set_recipients_in_all(2);
  verdict.add_recipients()->set_recipient("bob@a.test");
  verdict.add_recipients()->set_recipient("eve@b.test");
  keep_domain(events, "a.test");
  ASSERT_EQ(events[0].verdict().recipients_size(), 1);
  EXPECT_EQ(events[0].verdict().recipients(0).recipient(), "bob@a.test");
  EXPECT_EQ(events[0].verdict().recipients_in_all(), 0);
}

TEST(TraceView, OrdersByTraceAndTime) {
  std::vector<Event> events = {event("b", 30), event("a", 40), event("b", 10), event("a", 20)};
  put_in_order(events);
  std::string order;
  for (const auto& one : events) order += one.trace_id() + std::to_string(one.at_us()) + " ";
  EXPECT_EQ(order, "b10 b30 a20 a40 ");
}

}  // namespace
}  // namespace merpati::admin
