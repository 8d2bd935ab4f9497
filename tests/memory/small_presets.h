// tests/memory/small_presets.h: the published methods, small enough to fill.

#ifndef MNEME_TESTS_MEMORY_SMALL_PRESETS_H_
#define MNEME_TESTS_MEMORY_SMALL_PRESETS_H_

#include <vector>

#include "gtest/gtest.h"
#include "memory/presets.h"
#include "memory/profile.h"

namespace mneme::memory {

// A preset whose tiers a few hundred tokens fill.
inline Profile Small(const Preset& preset) {
  Profile profile = preset.profile;
  profile.layers = 1;
  profile.kv_heads = 2;
  profile.query_heads = 4;
  profile.key_dim = 8;
  profile.value_dim = 6;
  profile.dtype = attention::DType::kF32;
  if (profile.sink) profile.sink->tokens = 3;
  if (profile.window) {
    WindowTier& window = *profile.window;
    const uint32_t chunk = profile.knn ? profile.knn->chunk_tokens : 1;
    window.block_tokens = window.block_tokens > 0 ? (chunk > 1 ? 4 : 16) : 0;
    if (window.tokens > 1) window.tokens = 20;
  }
  if (profile.knn) {
    KnnTier& knn = *profile.knn;
    if (knn.chunk_tokens > 1) knn.chunk_tokens = 4;
    if (knn.top_k > 0) knn.top_k = 16;
    if (knn.max_tokens > 0) knn.max_tokens = 100;
  }
  if (profile.compressive) profile.compressive->segment_tokens = 16;
  return Complete(profile).value();
}

inline std::vector<Profile> SmallPresets() {
  std::vector<Profile> profiles;
  for (const Preset& preset : Presets()) {
    if (preset.profile.text_encoder.empty()) profiles.push_back(Small(preset));
  }
  Profile delta = profiles[1];
  EXPECT_EQ(delta.name, "infini");
  delta.name = "infini-delta";
  delta.compressive->update = UpdateRule::kDelta;
  profiles.push_back(delta);
  delta.name = "performer";
  delta.compressive->update = UpdateRule::kLinear;
  delta.compressive->performer = PerformerTier{.count = 24, .seed = 7};
  profiles.push_back(delta);
  return profiles;
}

}  // namespace mneme::memory

#endif  // MNEME_TESTS_MEMORY_SMALL_PRESETS_H_
