#include "memory/manifest.h"

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

Manifest Sound() {
  return {.profile = SmallProfile(),
          .seq_next = 10,
          .position_next = 20,
          .committed_seq = 4};
}

TEST(Manifest, OfASessionIsSound) {
  EXPECT_TRUE(CheckManifest(Sound()).ok());
  Manifest text{.profile = ProfileByName("text").value(),
                .seq_next = 3,
                .position_next = 3,
                .entry_next = 2};
  EXPECT_TRUE(CheckManifest(text).ok());
}

TEST(Manifest, SaysWhichFieldNoSessionCouldHave) {
  const auto field_of = [](auto change) {
    Manifest manifest = Sound();
    change(manifest);
    return FieldOf(CheckManifest(manifest));
  };
  EXPECT_EQ(field_of([](Manifest& m) { m.seq_next = kNumberMax + 1; }),
            "manifest.seq_next");
  EXPECT_EQ(field_of([](Manifest& m) { m.position_next = -1; }),
            "manifest.position_next");
  EXPECT_EQ(field_of([](Manifest& m) { m.position_next = kPositionMax + 2; }),
            "manifest.position_next");
  EXPECT_EQ(field_of([](Manifest& m) { m.committed_seq = 11; }),
            "manifest.committed_seq");
  EXPECT_EQ(field_of([](Manifest& m) { m.profile.window.reset(); }),
            "manifest.committed_seq");
  EXPECT_EQ(field_of([](Manifest& m) { m.entry_next = 2; }),
            "manifest.entry_next");
  EXPECT_EQ(
      field_of([](Manifest& m) { m.profile = ProfileByName("text").value(); }),
      "manifest.position_next");
  EXPECT_EQ(field_of([](Manifest& m) {
              m.profile = ProfileByName("text").value();
              m.position_next = 10;
              m.entry_next = 0;
            }),
            "manifest.entry_next");
}

}  // namespace
}  // namespace mneme::memory
