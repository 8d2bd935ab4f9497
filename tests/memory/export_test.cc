#include "memory/export.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

TEST(Export, RowsOfAnyPartSizeAreTheBytesThatWereAppended) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  House house;
  const auto session = house.Create("s", profile);
  Tokens tokens = RandomTokens(profile, 300, random);
  for (int64_t i = 0; i < 300; ++i) tokens.positions.push_back(3 * i + 1);
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  for (const size_t bytes_max : {size_t{1}, size_t{5'000}, size_t{1} << 20}) {
    SessionExport out(session);
    EXPECT_EQ(out.tokens(), 300u);
    EXPECT_EQ(out.manifest().position_next, 899);
    EXPECT_EQ(out.NextEntry(), nullptr);
    uint64_t at = 0;
    while (const auto rows = out.NextRows(bytes_max)) {
      const uint64_t end = at + rows->positions.size();
      const Tokens expected = Cut(profile, tokens, at, end);
      ASSERT_EQ(rows->seq_first, at);
      ASSERT_EQ(rows->positions, expected.positions);
      ASSERT_EQ(rows->keys, expected.keys);
      ASSERT_EQ(rows->values, expected.values);
      ASSERT_TRUE(rows->forgotten.empty());
      ASSERT_TRUE(rows->positions.size() == 1 ||
                  rows->keys.size() + rows->values.size() <= bytes_max);
      at = end;
    }
    EXPECT_EQ(at, 300u);
  }
}

TEST(Export, AnEmptySessionHasAManifestAndNothingElse) {
  House house;
  const auto session = house.Create("s", SmallProfile());
  SessionExport out(session);
  EXPECT_EQ(out.manifest().seq_next, 0u);
  EXPECT_EQ(out.NextEntry(), nullptr);
  EXPECT_FALSE(out.NextRows(1 << 20));
}

TEST(Export, ShowsTheMomentAtWhichItBegan) {
  House house;
  const auto session = house.CreateText();
  ASSERT_TRUE(Say(*session, "Ada keeps the key.").ok());
  ASSERT_TRUE(Say(*session, "Rain again.").ok());
  SessionExport out(session);
  ASSERT_TRUE(Say(*session, "Too late.").ok());
  ASSERT_TRUE(session->Forget(ByEntry(1)).ok());
  EXPECT_EQ(out.entries(), 2u);
  EXPECT_EQ(out.NextEntry()->text, "Ada keeps the key.");
  EXPECT_EQ(out.NextEntry()->text, "Rain again.");
  EXPECT_EQ(out.NextEntry(), nullptr);
  EXPECT_EQ(out.manifest().entry_next, 3u);
  EXPECT_FALSE(out.NextRows(1 << 20)) << "text has no tensors to export";
}

TEST(Export, KeepsTheSessionAliveThatItReads) {
  House house;
  std::weak_ptr<Session> alive;
  std::unique_ptr<SessionExport> out;
  {
    const auto session = house.CreateText();
    ASSERT_TRUE(Say(*session, "Ada keeps the key.").ok());
    out = std::make_unique<SessionExport>(session);
    alive = session;
  }
  ASSERT_TRUE(house.memory().Delete({.space = "test", .session = "text"}).ok());
  EXPECT_FALSE(alive.expired());
  EXPECT_EQ(out->NextEntry()->text, "Ada keeps the key.");
  out.reset();
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace mneme::memory
