#include "memory/checkup.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "memory/keys.h"
#include "tests/memory/fixture.h"
#include "tests/testing/faulty_store.h"
#include "tests/testing/map_store.h"

namespace mneme::memory {
namespace {

class CheckupTest : public ::testing::Test {
 protected:
  CheckupTest() {
    FakeClock clock;
    testing::Random random(testing::Seed());
    auto memory =
        Memory::Open(std::make_unique<testing::MapStore>(disk_), &clock)
            .value();
    const Profile profile = SmallProfile();
    auto session =
        memory->Create({.space = "n", .session = "s"}, profile).value();
    EXPECT_TRUE(session
                    ->AppendTokens(RandomTokens(profile, 300, random).Rows(),
                                   AppendOptions())
                    .ok());
  }

  Checkup Check() {
    return CheckRecords(*testing::MapStore(disk_).Freeze(), Never).value();
  }

  const std::shared_ptr<testing::MapDisk> disk_ =
      std::make_shared<testing::MapDisk>();
};

TEST_F(CheckupTest, ASoundStoreHasNoDamage) {
  const Checkup checkup = Check();
  EXPECT_TRUE(checkup.store.ok());
  EXPECT_TRUE(checkup.damaged.empty());
  EXPECT_GT(checkup.records, 10u);
}

TEST_F(CheckupTest, DamageIsToldWithItsSessionAndRange) {
  ASSERT_TRUE(testing::Damage(*disk_, RowsKey(1, 1, 2)));
  ASSERT_TRUE(testing::Damage(*disk_, RowsKey(1, 1, 3)));
  const Checkup checkup = Check();
  ASSERT_EQ(checkup.damaged.size(), 1u);
  const SessionDamage& damage = checkup.damaged.at(1);
  EXPECT_EQ(damage.records, 2u);
  EXPECT_EQ(damage.first, "keys and values of tokens 128 to 255");
  EXPECT_FALSE(damage.why.empty());
}

TEST_F(CheckupTest, ACallerMayGiveUp) {
  EXPECT_TRUE(
      absl::IsCancelled(CheckRecords(*testing::MapStore(disk_).Freeze(), [] {
                          return true;
                        }).status()));
}

}  // namespace
}  // namespace mneme::memory
