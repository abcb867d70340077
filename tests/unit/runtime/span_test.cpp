#include "merpati/runtime/span.hpp"

#include <gtest/gtest.h>

namespace merpati::runtime {
namespace {

constexpr std::string_view kId = "0123456789abcdef8000000000000000";
constexpr std::string_view kRoot = "0123456789abcdef";

class Sink : public SpanSink {
 public:
  explicit Sink(bool takes) : takes_(takes) {}
  void take(SpanData span) override { spans.push_back(std::move(span)); }
  bool samples(std::string_view) const override { return takes_; }
  std::vector<SpanData> spans;

 private:
  const bool takes_;
};

class Spans : public testing::Test {
 protected:
  std::shared_ptr<Sink> record(bool takes) {
    auto sink = std::make_shared<Sink>(takes);
    set_span_sink(sink);
    return sink;
  }
  void TearDown() override { set_span_sink(nullptr); }
};

std::string text(std::string_view id, std::string_view span, std::string_view flags) {
  return std::string(id) + "-" + std::string(span) + "-" + std::string(flags);
}

TEST_F(Spans, AreNothingWithoutASink) {
  Span span("x", SpanKind::kServer, kId);
  EXPECT_FALSE(span.active());
  EXPECT_EQ(begin_sampled_trace(), "");
}

TEST_F(Spans, AStepThatKnowsOnlyTheTraceHangsBelowTheRoot) {
  const auto sink = record(true);
  { const auto root = Span::root("transaction", SpanKind::kServer, kId); }
  { Span later("delivery", SpanKind::kClient, kId); }
  ASSERT_EQ(sink->spans.size(), 2U);
  EXPECT_EQ(sink->spans[0].parent, 0U);
  EXPECT_EQ(sink->spans[1].parent, sink->spans[0].id);
  EXPECT_EQ(sink->spans[1].trace_id, sink->spans[0].trace_id);
  EXPECT_LE(sink->spans[1].start_ns, sink->spans[1].end_ns);
}

TEST_F(Spans, GiveOnThemselvesAsTheParent) {
  const auto sink = record(true);
  {
    Span outer("call", SpanKind::kClient, kId);
    Span inner("handler", SpanKind::kServer, outer.trace());
    inner.fail("broken");
  }
  ASSERT_EQ(sink->spans.size(), 2U);
  EXPECT_EQ(sink->spans[0].name, "handler");
  EXPECT_EQ(sink->spans[0].parent, sink->spans[1].id);
  EXPECT_EQ(sink->spans[0].failure, "broken");
}

TEST_F(Spans, TheCallersDecisionComesBeforeOurs) {
  record(false);
  EXPECT_TRUE(Span("x", SpanKind::kServer, text(kId, kRoot, "01")).active());
  EXPECT_FALSE(Span("x", SpanKind::kServer, kId).active());
  record(true);
  EXPECT_FALSE(Span("x", SpanKind::kServer, text(kId, kRoot, "00")).active());
}

TEST_F(Spans, WhatIsNoTraceIsNone) {
  record(true);
  for (const std::string& wrong :
       {std::string(), std::string("0123"), std::string(32, '0'), std::string(32, 'g'), std::string(kId) + "-01",
        text(kId, "0123456789abcdeX", "01"), text(kId, kRoot, "0x")})
    EXPECT_FALSE(Span("x", SpanKind::kServer, wrong).active()) << wrong;
}

}  // namespace
}  // namespace merpati::runtime
