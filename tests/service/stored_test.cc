#include "service/stored.h"

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "memory/presets.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

TEST(Stored, CountsTheSessionsAndTokensOfOneNamespace) {
  const base::RealClock clock;
  const auto disk = std::make_shared<testing::MapDisk>();
  const auto profile = memory::ProfileByName("text");
  ASSERT_TRUE(profile.ok());
  uint64_t expected = 0;
  {
    auto memory =
        memory::Memory::Open(std::make_unique<testing::MapStore>(disk), &clock);
    ASSERT_TRUE(memory.ok());
    for (const char* name :
         {"namespaces/a/sessions/x", "namespaces/a/sessions/y",
          "namespaces/ab/sessions/x"}) {
      const auto session =
          (*memory)->Create(*memory::SessionName::Parse(name), *profile);
      ASSERT_TRUE(session.ok());
      const auto appended =
          (*session)->AppendText({.text = "One sentence. Another.",
                                  .role = "user",
                                  .source = "s",
                                  .metadata = {{"key", "value"}}},
                                 {});
      ASSERT_TRUE(appended.ok());
      EXPECT_EQ(appended->bytes,
                appended->seq_next * profile->token_bytes() + 22 + 4 + 1 + 8);
      expected = 2 * appended->bytes;
    }
    const Limits::Stored stored = StoredIn(memory->get());
    EXPECT_EQ(stored.sessions("a"), 2);
    EXPECT_EQ(stored.sessions("none"), 0);
    EXPECT_EQ(stored.bytes("a"), expected);
    EXPECT_EQ(stored.bytes("none"), 0);
  }
  // The same when no session is open.
  auto memory =
      memory::Memory::Open(std::make_unique<testing::MapStore>(disk), &clock);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(StoredIn(memory->get()).bytes("a"), expected);
  EXPECT_EQ((*memory)->Count().open_sessions, 0);
}

}  // namespace
}  // namespace mneme::service
