#include "service/access_table.h"

#include <string>
#include <utility>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

using std::chrono::system_clock;
using ::testing::HasSubstr;

const system_clock::time_point kNow =
    system_clock::from_time_t(1'800'000'000);  // 2027-01-15T08:00:00Z

AccessEntry Entry(const std::string& name, const std::string& token,
                  const std::string& salt = "salt") {
  return {.name = name,
          .token = TokenHash{.salt = salt, .digest = DigestOf(salt, token)},
          .scopes = {{.space = name, .scope = Scope::kRead}}};
}

Credentials Token(const std::string& token) {
  return {.has_token = true, .token = token};
}

std::string ReasonOf(const absl::StatusOr<Caller>& caller) {
  EXPECT_EQ(caller.status().code(), absl::StatusCode::kUnauthenticated);
  return base::DetailOf(caller.status()).reason;
}

TEST(AccessTable, ATokenIsWhoItWasMadeFor) {
  const AccessTable table({Entry("a", "token-a", "s1"),
                           Entry("b", "token-b", "s2"),
                           Entry("c", "token-c", "s1")});
  for (const char* name : {"a", "b", "c"}) {
    const auto caller =
        table.Authenticate(Token(std::string("token-") + name), kNow);
    ASSERT_TRUE(caller.ok()) << caller.status();
    EXPECT_EQ(caller->name, name);
    ASSERT_EQ(caller->grants.size(), 1);
    EXPECT_EQ(caller->grants[0].space, name);
  }
}

TEST(AccessTable, WhatIsNoTokenOfItIsRefused) {
  const AccessTable table({Entry("a", "token-a")});
  for (const std::string& token :
       {std::string(), std::string("token-"), std::string("token-a "),
        std::string("token-A"), table.entries()[0].token->ToString(),
        std::string(7000, 'x')}) {
    const auto caller = table.Authenticate(Token(token), kNow);
    EXPECT_EQ(ReasonOf(caller), "TOKEN_UNKNOWN");
    // A wrong token may be a right one of another server.
    if (token.size() > 100) {
      EXPECT_EQ(std::string(caller.status().message()).find("xx"),
                std::string::npos);
    }
  }
  EXPECT_EQ(ReasonOf(table.Authenticate({}, kNow)), "TOKEN_MISSING");
  EXPECT_EQ(ReasonOf(AccessTable({}).Authenticate(Token("t"), kNow)),
            "TOKEN_UNKNOWN");
}

TEST(AccessTable, ATokenEndsWhenItExpires) {
  AccessEntry entry = Entry("a", "t");
  entry.expires = kNow;
  const AccessTable table({entry});
  EXPECT_TRUE(
      table.Authenticate(Token("t"), kNow - std::chrono::seconds(1)).ok());
  EXPECT_EQ(ReasonOf(table.Authenticate(Token("t"), kNow)), "TOKEN_EXPIRED");
}

TEST(AccessTable, TwoTokensOfOneNameBothCount) {
  const AccessTable table({Entry("a", "old"), Entry("a", "new")});
  EXPECT_TRUE(table.Authenticate(Token("old"), kNow).ok());
  EXPECT_TRUE(table.Authenticate(Token("new"), kNow).ok());
  EXPECT_NE(table.entries()[0].Id(), table.entries()[1].Id());
}

TEST(AccessTable, ACertificateCountsWhenThereIsNoToken) {
  AccessEntry entry{.name = "engine",
                    .certificate = "engine.example",
                    .scopes = {{.space = "*", .scope = Scope::kAppend}}};
  const AccessTable table({entry, Entry("a", "t")});
  const auto caller = table.Authenticate(
      {.certificate_names = {"other", "engine.example"}}, kNow);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->name, "engine");
  EXPECT_EQ(
      ReasonOf(table.Authenticate({.certificate_names = {"engine"}}, kNow)),
      "CERTIFICATE_UNKNOWN");
  // An empty name in a certificate is nobody's.
  EXPECT_EQ(ReasonOf(table.Authenticate({.certificate_names = {""}}, kNow)),
            "CERTIFICATE_UNKNOWN");
  // Who shows a token is taken by its word.
  EXPECT_EQ(
      ReasonOf(table.Authenticate(
          {.has_token = true, .certificate_names = {"engine.example"}}, kNow)),
      "TOKEN_UNKNOWN");
}

TEST(AccessTable, AFileIsReadAsItIsWritten) {
  AccessEntry expiring = Entry("b \"quoted\"", "u", "other");
  expiring.expires = kNow;
  expiring.scopes = {{.space = "x", .scope = Scope::kAppend},
                     {.space = "*", .scope = Scope::kRead}};
  const AccessTable table(
      {Entry("a", "t"),
       expiring,
       {.name = "engine", .certificate = "e.example", .scopes = {}}});
  const auto read = AccessTable::Parse(table.ToJson());
  ASSERT_TRUE(read.ok()) << read.status() << table.ToJson();
  EXPECT_EQ(read->ToJson(), table.ToJson());
  EXPECT_EQ(ReasonOf(read->Authenticate(Token("u"), kNow)), "TOKEN_EXPIRED");
  EXPECT_TRUE(read->Authenticate(Token("t"), kNow).ok());
}

TEST(AccessTable, AWrongFileIsRefusedWithWhatIsWrong) {
  const std::string hash =
      TokenHash{.salt = "s", .digest = DigestOf("s", "t")}.ToString();
  const auto entry = [&hash](const std::string& rest) {
    return "{\"tokens\": [{\"token\": \"" + hash + "\"" + rest + "}]}";
  };
  const std::pair<std::string, const char*> cases[] = {
      {"", "JSON"},
      {"{", "JSON"},
      {"[]", "JSON"},
      {"{\"tokens\": {}}", "JSON"},
      {"{\"tokens\": [], \"more\": 1}", "JSON"},
      {"{\"tokens\": [" + std::string(100'000, '['), "nested too deeply"},
      {"{\"tokens\": [], \"tokens\": []}", "twice"},
      {entry(", \"name\": \"a\", \"scopes\": [], \"scopes\": [\"*:admin\"]"),
       "\"scopes\" stands in it twice"},
      {"{\"tokens\": [7]}", "tokens[0]"},
      {entry(""), "name"},
      {entry(", \"name\": 7, \"scopes\": []"), "name"},
      {entry(", \"name\": \"\", \"scopes\": []"), "name"},
      {entry(", \"name\": \"a\""), "scopes"},
      {entry(", \"name\": \"a\", \"scopes\": \"a:read\""), "scopes"},
      {entry(", \"name\": \"a\", \"scopes\": [1]"), "scopes"},
      {entry(", \"name\": \"a\", \"scopes\": [\"a:write\"]"), "a:write"},
      {entry(", \"name\": \"a\", \"scopes\": [], \"expire\": \"x\""), "expire"},
      {entry(", \"name\": \"a\", \"scopes\": [], \"expires\": \"soon\""),
       "soon"},
      {entry(", \"name\": \"a\", \"scopes\": [], \"expires\": 7"), "expires"},
      {entry(", \"name\": \"a\", \"scopes\": [], \"certificate\": \"c\""),
       "one of them"},
      {"{\"tokens\": [{\"name\": \"a\", \"scopes\": []}]}", "one of them"},
      {"{\"tokens\": [{\"name\": \"a\", \"token\": \"mneme_secret\", "
       "\"scopes\": []}]}",
       "sha256:SALT"},
      {"{\"tokens\": [{\"name\": \"a\", \"certificate\": \"c\", \"scopes\": "
       "[]}, {\"name\": \"b\", \"certificate\": \"c\", \"scopes\": []}]}",
       "tokens[1].certificate"}};
  for (const auto& [text, word] : cases) {
    const auto table = AccessTable::Parse(text);
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument)
        << text;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(word)) << text;
    EXPECT_EQ(std::string(table.status().message()).find("secret"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace mneme::service
