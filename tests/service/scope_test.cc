#include "service/scope.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/session_name.h"
#include "tests/testing/random.h"

namespace mneme::service {
namespace {

TEST(Scope, AGrantIsReadAsItIsWritten) {
  for (const char* text :
       {"notes:read", "notes:append", "*:admin", "a.b-c_9:read"}) {
    const auto grant = Grant::Parse(text);
    ASSERT_TRUE(grant.ok()) << grant.status();
    EXPECT_EQ(grant->ToString(), text);
  }
}

TEST(Scope, WhatIsNoGrantIsRefused) {
  for (const char* text :
       {"", "notes", "notes:", ":read", "notes:write", "notes:none", "No:read",
        "**:read", "a*:read", "a/b:read", "notes:read:read", "notes:Read"}) {
    EXPECT_EQ(Grant::Parse(text).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(Scope, EachIncludesThoseBeforeIt) {
  const std::vector<Scope> scopes = {Scope::kNone, Scope::kRead, Scope::kAppend,
                                     Scope::kAdmin};
  for (const Scope has : scopes) {
    for (const Scope needs : scopes) {
      EXPECT_EQ(Permits({{.space = "a", .scope = has}}, needs, "a"),
                needs <= has);
    }
  }
}

TEST(Scope, AGrantEndsAtItsNamespace) {
  const std::vector<Grant> grants = {{.space = "a", .scope = Scope::kAdmin},
                                     {.space = "ab", .scope = Scope::kRead}};
  EXPECT_TRUE(Permits(grants, Scope::kAdmin, "a"));
  EXPECT_TRUE(Permits(grants, Scope::kRead, "ab"));
  EXPECT_FALSE(Permits(grants, Scope::kAppend, "ab"));
  for (const char* space : {"b", "abc", "", "*", "A", "a/"}) {
    EXPECT_FALSE(Permits(grants, Scope::kRead, space)) << space;
  }
  EXPECT_FALSE(Permits({}, Scope::kRead, "a"));
  EXPECT_TRUE(Permits({}, Scope::kNone, ""));
}

TEST(Scope, OneOnEveryNamespaceCoversTheServerToo) {
  const std::vector<Grant> all = {{.space = "*", .scope = Scope::kRead}};
  for (const char* space : {"a", "*", ""}) {
    EXPECT_TRUE(Permits(all, Scope::kRead, space));
    EXPECT_FALSE(Permits(all, Scope::kAppend, space));
  }
}

TEST(Scope, TheNamespaceOfANameIsItsSecondPart) {
  EXPECT_EQ(NamespaceOf("namespaces/a"), "a");
  EXPECT_EQ(NamespaceOf("namespaces/a/sessions/b"), "a");
  EXPECT_EQ(NamespaceOf("namespaces/a/operations/7"), "a");
  EXPECT_EQ(NamespaceOf("namespaces/sessions/sessions/b"), "sessions");
  for (const char* name :
       {"", "a", "namespaces", "namespaces/", "/namespaces/a",
        "namespaces//sessions/b", "sessions/b"}) {
    EXPECT_EQ(NamespaceOf(name), "") << name;
  }
}

// The door must not take a name for another's.
TEST(Scope, AValidNameIsInTheNamespaceThatItsParserSees) {
  testing::Random random(testing::Seed());
  const std::vector<std::string> pieces = {
      "namespaces", "sessions", "/", "a", "b", ".", "*", "..", "/sessions/"};
  size_t valid = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string name = random.Int(0, 3) == 0 ? "" : "namespaces/";
    for (int64_t n = random.Int(0, 5); n > 0; --n) {
      name += pieces[random.Int(0, pieces.size() - 1)];
    }
    if (const auto parsed = memory::SessionName::Parse(name); parsed.ok()) {
      EXPECT_EQ(NamespaceOf(name), parsed->space) << name;
      ++valid;
    }
    if (const auto space = memory::ParseNamespace(name); space.ok()) {
      EXPECT_EQ(NamespaceOf(name), *space) << name;
      ++valid;
    }
  }
  EXPECT_GT(valid, 1000);
}

}  // namespace
}  // namespace mneme::service
