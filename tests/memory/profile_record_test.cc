#include "memory/profile_record.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/presets.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

Profile WindowOnly() {
  Profile profile;
  profile.key_dim = 4;
  profile.window = WindowTier{.tokens = 8};
  return Complete(profile).value();
}

std::vector<Profile> Various() {
  std::vector<Profile> profiles = {SmallProfile(),
                                   ProfileByName("text").value(), WindowOnly()};
  Profile yarn = SmallProfile();
  yarn.dtype = attention::DType::kBF16;
  yarn.position = {
      .family = attention::PositionFamily::kYarn,
      .layout = attention::RotaryLayout::kInterleaved,
      .theta = 500000,
      .rotary_dim = 6,
      .yarn = {.factor = 8, .original_length = 4096, .attention_factor = 1.5}};
  yarn.window = WindowTier{.commit = CommitPolicy::kSegment};
  yarn.knn = KnnTier{
      .top_k = 3,
      .positions = {.policy = PositionPolicy::kConst, .distance = 1 << 20}};
  yarn.compressive->gate_logits = {1, 2, 3, 4};
  yarn.compressive->empty_memory = attention::EmptyMemory::kStrict;
  profiles.push_back(Complete(yarn).value());
  for (const Preset& preset : Presets()) {
    profiles.push_back(Complete(preset.profile).value());
  }
  // Every optional setting, each with a value of its own.
  Profile full = SmallProfile();
  full.head_scales = {1, 2, 3, 4};
  full.logit_softcap = 30;
  full.normalization = Normalization::kL2;
  full.position.family = attention::PositionFamily::kRelativeBias;
  full.position.relative_bias.biases = {1, 2, 3, 4, 5, 6, 7, 8};
  full.position.yarn = {.factor = 2,
                        .original_length = 3,
                        .beta_fast = 4,
                        .beta_slow = 5,
                        .attn_factor = 6,
                        .extrapolation_factor = 0.5,
                        .truncate = false,
                        .mscale = 7,
                        .mscale_all_dim = 8};
  full.position.alibi.clip_distance = 9;
  full.position.xpos.scale_base = 10;
  full.sink =
      SinkTier{.tokens = 5,
               .positions = {.policy = PositionPolicy::kClamp, .distance = 11}};
  full.window = WindowTier{
      .tokens = 12, .commit = CommitPolicy::kBlock, .block_tokens = 16};
  full.knn = KnnTier{.top_k = 16,
                     .positions = {.policy = PositionPolicy::kNone},
                     .dtype = attention::DType::kBF16,
                     .chunk_tokens = 8,
                     .chunk_score = ChunkScore::kLandmark,
                     .scope = SelectionScope::kKvGroup,
                     .max_tokens = 17,
                     .gate_logits = {18},
                     .empty_memory = attention::EmptyMemory::kStrict};
  full.compressive->performer = PerformerTier{
      .count = 19, .seed = 20, .kernel = attention::PerformerKernel::kRelu};
  profiles.push_back(Complete(full).value());
  full.compressive->performer.reset();
  full.compressive->update = UpdateRule::kDelta;
  profiles.push_back(Complete(full).value());
  return profiles;
}

TEST(ProfileRecord, DecodesToWhatWasEncoded) {
  for (const Profile& profile : Various()) {
    const auto decoded = DecodeProfile(EncodeProfile(profile));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, profile);
  }
}

TEST(ProfileRecord, CutAtAnyByteIsDataLoss) {
  for (const Profile& profile : Various()) {
    const std::string bytes = EncodeProfile(profile);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const auto decoded = DecodeProfile(bytes.substr(0, size));
      ASSERT_FALSE(decoded.ok()) << size;
      EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
    }
    EXPECT_FALSE(DecodeProfile(bytes + '\0').ok());
  }
}

// A flipped bit may give another sound profile, but never one that would not
// pass the checks, and never a crash.
TEST(ProfileRecord, AnyFlippedBitGivesASoundProfileOrDataLoss) {
  for (const Profile& profile : Various()) {
    const std::string bytes = EncodeProfile(profile);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      const auto decoded = DecodeProfile(damaged);
      if (decoded.ok()) {
        EXPECT_TRUE(Complete(*decoded).ok());
      } else {
        EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
      }
    }
  }
}

TEST(ProfileRecord, AnUnknownNameListsTheKnownOnes) {
  const auto unknown = ProfileByName("no such");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(unknown.status()), "PROFILE_NOT_FOUND");
  EXPECT_NE(unknown.status().message().find("text"), std::string::npos);
}

}  // namespace
}  // namespace mneme::memory
