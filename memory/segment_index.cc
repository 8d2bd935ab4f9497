#include "memory/segment_index.h"

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>

#include "absl/strings/str_cat.h"
#include "attention/kernels.h"
#include "base/bytes.h"

namespace mneme::memory {
namespace {

constexpr int kIterations = 4;  // More move the centres little and cost a lot.
constexpr int kSeed = 1234;     // Any fixed number: the same keys, same index.
// Rounding of a float dot product of up to 1024 terms, relative to |q| * |k|: a
// bound must not be beaten by it.
constexpr float kBoundSlack = 1e-5F;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

float Norm(const float* row, size_t dim) {
  float square = 0;
  attention::DotRows(row, 1, row, 1, dim, &square);
  return std::sqrt(square);
}

void Train(const float* rows, size_t count, SegmentIndex& index,
           size_t clusters) {
  faiss::ClusteringParameters parameters;
  parameters.niter = kIterations;
  parameters.seed = kSeed;
  parameters.min_points_per_centroid = 1;
  faiss::Clustering clustering(static_cast<int>(index.dim),
                               static_cast<int>(clusters), parameters);
  faiss::IndexFlatL2 quantizer(static_cast<faiss::Index::idx_t>(index.dim));
  clustering.train(static_cast<faiss::Index::idx_t>(count), rows, quantizer);
  index.centers = clustering.centroids;

  std::vector<float> distances(count);
  std::vector<faiss::Index::idx_t> nearest(count, -1);
  quantizer.reset();
  quantizer.add(static_cast<faiss::Index::idx_t>(clusters),
                index.centers.data());
  quantizer.search(static_cast<faiss::Index::idx_t>(count), rows, 1,
                   distances.data(), nearest.data());
  index.radii.assign(clusters, 0);
  index.offsets.assign(clusters + 1, 0);
  for (auto& cluster : nearest) {
    if (cluster < 0) cluster = 0;  // FAISS found none; any cluster will do.
    ++index.offsets[cluster + 1];
  }
  for (size_t c = 0; c < clusters; ++c) {
    index.offsets[c + 1] += index.offsets[c];
  }
  std::vector<uint32_t> next(index.offsets.begin(), index.offsets.end() - 1);
  index.members.resize(count);
  std::vector<float> difference(index.dim);
  for (size_t row = 0; row < count; ++row) {
    const size_t cluster = nearest[row];
    index.members[next[cluster]++] = static_cast<uint32_t>(row);
    for (size_t i = 0; i < index.dim; ++i) {
      difference[i] =
          rows[row * index.dim + i] - index.centers[cluster * index.dim + i];
    }
    index.radii[cluster] =
        std::max(index.radii[cluster], Norm(difference.data(), index.dim));
  }
}

void MeasureReaches(SegmentIndex& index) {
  index.reaches.resize(index.cluster_count());
  for (size_t c = 0; c < index.cluster_count(); ++c) {
    index.reaches[c] =
        Norm(index.centers.data() + c * index.dim, index.dim) + index.radii[c];
  }
}

}  // namespace

std::vector<std::pair<float, uint32_t>> SegmentIndex::Bounds(
    const float* query) const {
  std::vector<float> dots(cluster_count());
  attention::DotRows(query, 1, centers.data(), cluster_count(), dim,
                     dots.data());
  const float norm = Norm(query, dim);
  std::vector<std::pair<float, uint32_t>> bounds(cluster_count());
  for (uint32_t c = 0; c < bounds.size(); ++c) {
    const float reach = norm * radii[c];
    const float bound =
        dots[c] + reach + kBoundSlack * (std::abs(dots[c]) + reach);
    // Where float overflows nothing is known, so the cluster is read.
    bounds[c] = {std::isnan(bound) ? kInfinity : bound, c};
  }
  std::sort(bounds.begin(), bounds.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  return bounds;
}

absl::StatusOr<SegmentIndex> BuildSegmentIndex(const float* rows, size_t count,
                                               size_t dim) {
  // Holds for the calling thread only; parallel loops of FAISS would fight the
  // threads that answer requests.
  omp_set_num_threads(1);
  SegmentIndex index;
  index.dim = dim;
  try {
    Train(rows, count, index, std::max<size_t>(1, count / kClusterKeys));
  } catch (const std::exception& failure) {
    return absl::InternalError(
        absl::StrCat("clustering ", count, " keys: ", failure.what()));
  }
  MeasureReaches(index);
  return index;
}

std::string EncodeSegmentIndex(const SegmentIndex& index) {
  base::ByteWriter out;
  out.Number(static_cast<uint32_t>(index.cluster_count()));
  for (const float number : index.centers) out.Number(number);
  for (const float number : index.radii) out.Number(number);
  for (const uint32_t number : index.offsets) out.Number(number);
  for (const uint32_t number : index.members) out.Number(number);
  return out.Take();
}

bool DecodeSegmentIndex(std::string_view payload, size_t count, size_t dim,
                        SegmentIndex& index) {
  base::ByteReader in(payload);
  const size_t clusters = in.Number<uint32_t>();
  if (clusters == 0 || clusters > count) return false;
  index.dim = dim;
  index.centers.resize(clusters * dim);
  index.radii.resize(clusters);
  index.offsets.resize(clusters + 1);
  index.members.resize(count);
  for (float& number : index.centers) number = in.Number<float>();
  for (float& number : index.radii) number = in.Number<float>();
  for (uint32_t& number : index.offsets) number = in.Number<uint32_t>();
  for (uint32_t& number : index.members) number = in.Number<uint32_t>();
  if (!in.done() || index.offsets.front() != 0 ||
      index.offsets.back() != count ||
      !std::is_sorted(index.offsets.begin(), index.offsets.end())) {
    return false;
  }
  std::vector<bool> seen(count, false);
  for (const uint32_t row : index.members) {
    if (row >= count || seen[row]) return false;
    seen[row] = true;
  }
  MeasureReaches(index);
  return true;
}

}  // namespace mneme::memory
