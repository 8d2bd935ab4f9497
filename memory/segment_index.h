// memory/segment_index.h: fine clusters over the keys of one sealed run.
// The one file that knows FAISS. A cluster keeps its centre and radius, so that
// q . centre + |q| * radius bounds every logit in it (Cauchy-Schwarz): clusters
// are read in the order of that bound, and reading may stop, exactly, when the
// k-th best logit so far beats the next bound.

#ifndef MNEME_MEMORY_SEGMENT_INDEX_H_
#define MNEME_MEMORY_SEGMENT_INDEX_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace mneme::memory {

// Keys a cluster, on average: small clusters have small radii, and the centres
// of larger ones cost less than their keys.
inline constexpr size_t kClusterKeys = 32;

struct SegmentIndex {
  size_t dim = 0;
  std::vector<float> centers;     // [clusters, dim].
  std::vector<float> radii;       // [clusters], largest distance of a member.
  std::vector<float> reaches;     // [clusters], |centre| + radius; derived.
  std::vector<uint32_t> offsets;  // [clusters + 1], into members.
  std::vector<uint32_t> members;  // Rows of the run, ascending in a cluster.

  size_t cluster_count() const { return radii.size(); }
  std::span<const uint32_t> Members(size_t cluster) const {
    return {members.data() + offsets[cluster],
            offsets[cluster + 1] - offsets[cluster]};
  }

  // Clusters with an upper bound of the dot product of `query` with their
  // members, as DotRows rounds it, best first.
  // Shapes: query [dim].
  std::vector<std::pair<float, uint32_t>> Bounds(const float* query) const;
};

// Clusters `count` rows. Deterministic.
// Shapes:  rows [count, dim]. Errors: INTERNAL when FAISS fails.
absl::StatusOr<SegmentIndex> BuildSegmentIndex(const float* rows, size_t count,
                                               size_t dim);

// As a record's payload, and back; false when it is not an index of `count`
// rows of `dim`.
std::string EncodeSegmentIndex(const SegmentIndex& index);
bool DecodeSegmentIndex(std::string_view payload, size_t count, size_t dim,
                        SegmentIndex& index);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SEGMENT_INDEX_H_
