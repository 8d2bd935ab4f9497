#include "memory/segment_index.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "attention/kernels.h"
#include "gtest/gtest.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

SegmentIndex Build(const std::vector<float>& rows, size_t dim) {
  return BuildSegmentIndex(rows.data(), rows.size() / dim, dim).value();
}

// The logits are those that a search would compute.
void ExpectBoundsHold(const SegmentIndex& index, const std::vector<float>& rows,
                      const std::vector<float>& query) {
  const size_t dim = index.dim;
  const auto bounds = index.Bounds(query.data());
  ASSERT_EQ(bounds.size(), index.cluster_count());
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (i > 0) {
      ASSERT_GE(bounds[i - 1].first, bounds[i].first);
    }
    for (const uint32_t row : index.Members(bounds[i].second)) {
      float logit;
      attention::DotRows(query.data(), 1, &rows[row * dim], 1, dim, &logit);
      ASSERT_LE(logit, bounds[i].first) << "row " << row << " dim " << dim;
    }
  }
}

TEST(SegmentIndex, NoMemberBeatsItsClustersBound) {
  Random random(Seed());
  for (const size_t dim : {1, 2, 7, 64, 128}) {
    const std::vector<float> rows = random.Normals(700 * dim);
    const SegmentIndex index = Build(rows, dim);
    for (int round = 0; round < 20; ++round) {
      ExpectBoundsHold(index, rows, random.Normals(dim, 3));
      if (HasFatalFailure()) return;
    }
  }
}

// Clusters of no size, and a query that is all but orthogonal to them: the
// logit is nothing but rounding error, relative to |q| * |k|.
TEST(SegmentIndex, RoundingBeatsNoBoundEither) {
  Random random(Seed());
  for (const size_t dim : {8, 64, 128, 512}) {
    std::vector<float> centers = random.Normals(4 * dim, 100);
    std::vector<float> rows;
    for (int row = 0; row < 256; ++row) {
      const float* center = &centers[row % 4 * dim];
      for (size_t i = 0; i < dim; ++i) {
        rows.push_back(center[i] *
                       static_cast<float>(1 + 1e-7 * random.Normal()));
      }
    }
    const SegmentIndex index = Build(rows, dim);
    for (int round = 0; round < 200; ++round) {
      std::vector<float> query = random.Normals(dim);
      const float* center = &centers[round % 4 * dim];
      double along = 0;
      double norm = 0;
      for (size_t i = 0; i < dim; ++i) {
        along += double{query[i]} * center[i];
        norm += double{center[i]} * center[i];
      }
      for (size_t i = 0; i < dim; ++i) {
        query[i] -= static_cast<float>(along / norm * center[i]);
      }
      ExpectBoundsHold(index, rows, query);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(SegmentIndex, EqualKeysAndFewKeysAreClusteredToo) {
  Random random(Seed());
  for (const size_t count : {1, 2, 31, 64}) {
    const std::vector<float> rows(count * 8, 0.5F);
    ExpectBoundsHold(Build(rows, 8), rows, random.Normals(8));
    const std::vector<float> zeros(count * 8, 0.0F);
    ExpectBoundsHold(Build(zeros, 8), zeros, random.Normals(8));
  }
}

// |q|^2 overflows, and infinity times a radius of zero is not a number.
TEST(SegmentIndex, AHugeQueryStillGetsOrderedBounds) {
  std::vector<float> rows(128 * 4, 0.0F);
  for (int row = 0; row < 128; ++row) rows[row * 4] = row < 64 ? 1 : -1;
  const SegmentIndex index = Build(rows, 4);
  ExpectBoundsHold(index, rows, {1e30F, 0, 0, 0});
  ExpectBoundsHold(index, rows, {-1e38F, 1e38F, 0, 0});
}

TEST(SegmentIndex, TheSameKeysGiveTheSameIndex) {
  Random random(Seed());
  const std::vector<float> rows = random.Normals(512 * 16);
  EXPECT_EQ(EncodeSegmentIndex(Build(rows, 16)),
            EncodeSegmentIndex(Build(rows, 16)));
}

TEST(SegmentIndex, DecodesToWhatWasEncoded) {
  Random random(Seed());
  const SegmentIndex index = Build(random.Normals(256 * 8), 8);
  SegmentIndex decoded;
  ASSERT_TRUE(DecodeSegmentIndex(EncodeSegmentIndex(index), 256, 8, decoded));
  EXPECT_EQ(decoded.dim, index.dim);
  EXPECT_EQ(decoded.centers, index.centers);
  EXPECT_EQ(decoded.radii, index.radii);
  EXPECT_EQ(decoded.offsets, index.offsets);
  EXPECT_EQ(decoded.members, index.members);
  const std::vector<float> query = random.Normals(8);
  EXPECT_EQ(decoded.Bounds(query.data()), index.Bounds(query.data()));
}

TEST(SegmentIndex, WhatIsNotAnIndexOfTheRunDoesNotDecode) {
  Random random(Seed());
  const SegmentIndex index = Build(random.Normals(64 * 4), 4);
  const std::string bytes = EncodeSegmentIndex(index);
  SegmentIndex decoded;
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(DecodeSegmentIndex(bytes.substr(0, size), 64, 4, decoded));
  }
  EXPECT_FALSE(DecodeSegmentIndex(bytes + '\0', 64, 4, decoded));
  EXPECT_FALSE(DecodeSegmentIndex(bytes, 63, 4, decoded));
  EXPECT_FALSE(DecodeSegmentIndex(bytes, 65, 4, decoded));
  EXPECT_FALSE(DecodeSegmentIndex(bytes, 64, 5, decoded));

  SegmentIndex twice = index;  // A row in two places, another in none.
  twice.members[0] = twice.members[1];
  EXPECT_FALSE(DecodeSegmentIndex(EncodeSegmentIndex(twice), 64, 4, decoded));
  SegmentIndex outside = index;
  outside.members[0] = 64;
  EXPECT_FALSE(DecodeSegmentIndex(EncodeSegmentIndex(outside), 64, 4, decoded));
  SegmentIndex back = index;
  back.offsets[1] = 65;
  EXPECT_FALSE(DecodeSegmentIndex(EncodeSegmentIndex(back), 64, 4, decoded));
  SegmentIndex late = index;
  late.offsets[0] = 1;
  EXPECT_FALSE(DecodeSegmentIndex(EncodeSegmentIndex(late), 64, 4, decoded));
}

}  // namespace
}  // namespace mneme::memory
