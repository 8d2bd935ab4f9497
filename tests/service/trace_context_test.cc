#include "service/trace_context.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace mneme::service {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kSpan[] = "00f067aa0ba902b7";

std::string Header(const std::string& version, const std::string& trace,
                   const std::string& span, const std::string& flags) {
  return version + "-" + trace + "-" + span + "-" + flags;
}

TEST(TraceContext, AParentIsReadAndWritten) {
  const auto span = ParseTraceParent(Header("00", kTrace, kSpan, "01"));
  ASSERT_TRUE(span);
  EXPECT_EQ(span->trace_id, kTrace);
  EXPECT_EQ(span->span_id, kSpan);
  EXPECT_TRUE(span->sampled);
  EXPECT_EQ(FormatTraceParent(*span), Header("00", kTrace, kSpan, "01"));
  EXPECT_FALSE(ParseTraceParent(Header("00", kTrace, kSpan, "00"))->sampled);
  // Of the flags only the last bit has a meaning.
  EXPECT_TRUE(ParseTraceParent(Header("00", kTrace, kSpan, "ff"))->sampled);
  EXPECT_FALSE(ParseTraceParent(Header("00", kTrace, kSpan, "fe"))->sampled);
}

TEST(TraceContext, ALaterVersionIsReadAsFarAsItIsKnown) {
  const std::string later = Header("cc", kTrace, kSpan, "01");
  EXPECT_TRUE(ParseTraceParent(later));
  EXPECT_TRUE(ParseTraceParent(later + "-what-the-future-will-be-like"));
  EXPECT_FALSE(ParseTraceParent(later + ".what"));
  EXPECT_FALSE(ParseTraceParent(later + "-"));
  EXPECT_FALSE(ParseTraceParent(Header("00", kTrace, kSpan, "01") + "-more"));
  EXPECT_FALSE(ParseTraceParent(Header("ff", kTrace, kSpan, "01")));
}

TEST(TraceContext, WhatIsMalformedIsNoParent) {
  const std::string good = Header("00", kTrace, kSpan, "01");
  for (size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(ParseTraceParent(good.substr(0, cut))) << cut;
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char c : {'g', 'A', ' ', '\0', '\xff', '_'}) {
      std::string bad = good;
      bad[at] = c;
      EXPECT_FALSE(ParseTraceParent(bad)) << bad;
    }
  }
  EXPECT_FALSE(
      ParseTraceParent(Header("00", std::string(32, '0'), kSpan, "01")));
  EXPECT_FALSE(
      ParseTraceParent(Header("00", kTrace, std::string(16, '0'), "01")));
  EXPECT_FALSE(ParseTraceParent(" " + good));
  EXPECT_FALSE(ParseTraceParent(good + " "));
}

TEST(TraceContext, StatesAreListsOfPairs) {
  for (const char* state :
       {"a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1, b=2 ,\tc=3",
        "1a-_*/@sys=x", "a=1,,b=2", "a= spaced out"}) {
    EXPECT_TRUE(IsTraceState(state)) << state;
  }
  for (const char* state :
       {"", ",", "a", "a=", "=1", "A=1", "1a=1", "a=1,a=2", "a=b=c", "a=\x01",
        "a=\xc3\xa4", "a@=1", "@s=1", "a@1s=1", "a@b@c=1", "a b=1"}) {
    EXPECT_FALSE(IsTraceState(state)) << state;
  }
  EXPECT_TRUE(IsTraceState("a=" + std::string(256, 'v')));
  EXPECT_FALSE(IsTraceState("a=" + std::string(257, 'v')));
  EXPECT_TRUE(IsTraceState(std::string(256, 'k') + "=v"));
  EXPECT_FALSE(IsTraceState(std::string(257, 'k') + "=v"));
  std::string members = "k0=v";
  for (int i = 1; i < 32; ++i) members += ",k" + std::to_string(i) + "=v";
  EXPECT_TRUE(IsTraceState(members));
  EXPECT_FALSE(IsTraceState(members + ",k32=v"));
}

TEST(TraceContext, AChildIsAnotherSpanOfTheSameTrace) {
  const TraceSpan parent{.trace_id = kTrace, .span_id = kSpan, .sampled = true};
  std::set<std::string> spans = {parent.span_id};
  for (int i = 0; i < 1000; ++i) {
    const TraceSpan child = ChildOf(parent);
    EXPECT_EQ(child.trace_id, parent.trace_id);
    EXPECT_TRUE(child.sampled);
    EXPECT_TRUE(ParseTraceParent(FormatTraceParent(child)));
    EXPECT_TRUE(spans.insert(child.span_id).second);
  }
}

}  // namespace
}  // namespace mneme::service
