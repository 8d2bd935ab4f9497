#include "memory/fold.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"
#include "tests/memory/rows_fixture.h"
#include "tests/reference/compressive.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

Profile FoldProfile(uint32_t segment_tokens) {
  Profile profile = SmallProfile();
  profile.dtype = attention::DType::kF16;
  profile.compressive->segment_tokens = segment_tokens;
  return Complete(profile).value();
}

void ExpectSameBits(const Fold& a, const Fold& b) {
  EXPECT_EQ(a.absorbed_seq, b.absorbed_seq);
  ASSERT_EQ(a.banks.size(), b.banks.size());
  for (size_t bank = 0; bank < a.banks.size(); ++bank) {
    EXPECT_EQ(a.banks[bank].matrix, b.banks[bank].matrix);
    EXPECT_EQ(a.banks[bank].normalizer, b.banks[bank].normalizer);
    EXPECT_EQ(a.banks[bank].token_count, b.banks[bank].token_count);
  }
}

TEST(Fold, TheCutIntoCallsChangesNoBit) {
  Random random(Seed());
  for (const uint32_t segment : {1, 5, 16, 128, 200}) {
    const Profile profile = FoldProfile(segment);
    const uint64_t end = 600 / segment * segment;
    const auto rows = RandomRows(profile, 600, 1, random);
    SeqSet forgotten;
    for (int i = 0; i < 4; ++i) {
      const auto begin = static_cast<uint64_t>(random.Int(0, 590));
      forgotten.Add({begin, begin + random.Int(0, 10)});
    }
    Fold whole(profile);
    whole.AbsorbUpTo(profile, *rows, forgotten, end);
    for (int round = 0; round < 3; ++round) {
      Fold parts(profile);
      while (parts.absorbed_seq < end) {
        parts.AbsorbUpTo(
            profile, *rows, forgotten,
            std::min(end, parts.absorbed_seq + segment * random.Int(1, 7)));
      }
      SCOPED_TRACE(segment);
      ExpectSameBits(parts, whole);
    }
  }
}

// Each of the sums has at most n + 2 roundings to first order, of terms whose
// magnitudes add up to `magnitude`; phi's own error is a unit of a term.
TEST(Fold, AgreesWithDoubleAndSkipsWhatWasForgotten) {
  Random random(Seed());
  const Profile profile = FoldProfile(50);
  const auto rows = RandomRows(profile, 300, 1, random);
  SeqSet forgotten;
  forgotten.Add({10, 20});
  forgotten.Add({120, 140});
  forgotten.Add({299, 300});
  Fold fold(profile);
  fold.AbsorbUpTo(profile, *rows, forgotten, 300);
  constexpr double kUnit = 0x1p-24;
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    reference::Memory memory(profile.key_dim, profile.value_dim);
    std::vector<double> magnitude(memory.matrix.size());
    uint64_t live = 0;
    for (uint64_t seq = 0; seq < 300; ++seq) {
      if (forgotten.Contains(seq)) continue;
      ++live;
      const RowBlock& block = *(*rows)[seq / kBlockTokens];
      std::vector<float> key(profile.key_dim);
      std::vector<float> value(profile.value_dim);
      attention::ToFloat(
          profile.dtype,
          block.keys(bank) + seq % kBlockTokens * profile.key_bytes(),
          key.size(), key.data());
      attention::ToFloat(
          profile.dtype,
          block.values(bank) + seq % kBlockTokens * profile.value_bytes(),
          value.size(), value.data());
      reference::Update(key.data(), value.data(), 1, /*delta=*/false, memory);
      for (size_t i = 0; i < key.size(); ++i) {
        for (size_t j = 0; j < value.size(); ++j) {
          magnitude[i * value.size() + j] +=
              reference::Phi(key[i]) * std::abs(value[j]);
        }
      }
    }
    EXPECT_EQ(fold.banks[bank].token_count, live);
    for (size_t i = 0; i < memory.matrix.size(); ++i) {
      EXPECT_NEAR(fold.banks[bank].matrix[i], memory.matrix[i],
                  (live + 4) * kUnit * magnitude[i]);
    }
    for (size_t i = 0; i < memory.normalizer.size(); ++i) {
      EXPECT_NEAR(fold.banks[bank].normalizer[i], memory.normalizer[i],
                  (live + 4) * kUnit * memory.normalizer[i]);
    }
  }
}

TEST(Fold, DecodesToTheSameBits) {
  Random random(Seed());
  const Profile profile = FoldProfile(64);
  const auto rows = RandomRows(profile, 256, 1, random);
  Fold fold(profile);
  fold.AbsorbUpTo(profile, *rows, {}, 192);
  Fold decoded(profile);
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    ASSERT_TRUE(DecodeFoldLayer(profile, EncodeFoldLayer(profile, fold, layer),
                                layer, decoded));
  }
  ExpectSameBits(decoded, fold);
  // And goes on from there as the original does.
  fold.AbsorbUpTo(profile, *rows, {}, 256);
  decoded.AbsorbUpTo(profile, *rows, {}, 256);
  ExpectSameBits(decoded, fold);
}

TEST(Fold, WhatDoesNotFitTheProfileDoesNotDecode) {
  Random random(Seed());
  const Profile profile = FoldProfile(64);
  const auto rows = RandomRows(profile, 256, 1, random);
  Fold fold(profile);
  fold.AbsorbUpTo(profile, *rows, {}, 128);
  const std::string layer = EncodeFoldLayer(profile, fold, 0);
  for (size_t size = 0; size < layer.size(); ++size) {
    Fold decoded(profile);
    ASSERT_FALSE(DecodeFoldLayer(profile, layer.substr(0, size), 0, decoded));
  }
  Fold decoded(profile);
  EXPECT_FALSE(DecodeFoldLayer(profile, layer + '\0', 0, decoded));
  // A seq inside a segment.
  const Profile other = FoldProfile(48);
  EXPECT_FALSE(DecodeFoldLayer(other, layer, 0, decoded));
  // Layers of two checkpoints.
  Fold later = fold;
  later.AbsorbUpTo(profile, *rows, {}, 256);
  ASSERT_TRUE(DecodeFoldLayer(profile, layer, 0, decoded));
  EXPECT_FALSE(
      DecodeFoldLayer(profile, EncodeFoldLayer(profile, later, 1), 1, decoded));
}

}  // namespace
}  // namespace mneme::memory
