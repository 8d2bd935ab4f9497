#include "memory/session_name.h"

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::memory {
namespace {

TEST(SessionName, ParsesWhatItPrints) {
  for (const SessionName& name :
       {SessionName{.space = "a", .session = "b"},
        SessionName{.space = "0", .session = "9._-"},
        SessionName{.space = std::string(63, 'x'),
        .session = std::string(63, 'y')},
        SessionName{.space = "sessions", .session = "sessions"}}) {
    const auto parsed = SessionName::Parse(name.ToString());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, name);
  }
}

TEST(SessionName, WhatIsNotANameIsRefused) {
  const std::string longer(64, 'x');
  for (const std::string& name : std::vector<std::string>{
           "", "a", "namespaces/a", "namespaces/a/sessions/",
           "namespaces//sessions/b", "namespaces/a/sessions/b/c",
           "namespaces/A/sessions/b", "namespaces/a/sessions/B",
           "namespaces/a/sessions/.b", "namespaces/-a/sessions/b",
           "namespaces/a b/sessions/c", "namespaces/a/sessions/\xC3\xA9",
           "namespaces/" + longer + "/sessions/b",
           "namespaces/a/sessions/" + longer, "/sessions/b", "sessions/b",
           "namespaces/sessions/b", std::string(100000, '/'),
           std::string("namespaces/a/sessions/b\0", 24)}) {
    const auto parsed = SessionName::Parse(name);
    ASSERT_FALSE(parsed.ok()) << name.substr(0, 80);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(base::DetailOf(parsed.status()).field, "session");
    EXPECT_LT(parsed.status().message().size(), 500u);
  }
}

TEST(SessionName, ParentsAreNamespaces) {
  EXPECT_EQ(ParseNamespace("namespaces/a.b").value(), "a.b");
  for (const char* name :
       {"", "namespaces/", "namespaces/A", "a", "namespaces/a/sessions/b"}) {
    const auto parsed = ParseNamespace(name);
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(base::DetailOf(parsed.status()).field, "parent");
  }
}

}  // namespace
}  // namespace mneme::memory
