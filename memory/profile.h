// memory/profile.h: the geometry and policy of a session.
// A published method is a preset of these settings, never code of its own.

#ifndef MNEME_MEMORY_PROFILE_H_
#define MNEME_MEMORY_PROFILE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/dtype.h"
#include "attention/gate.h"
#include "attention/performer.h"
#include "attention/position.h"

namespace mneme::memory {

// Limits: what one read or append must be able to hold in memory.
inline constexpr uint32_t kLayersMax = 256;
inline constexpr uint32_t kHeadsMax = 1024;
inline constexpr uint32_t kHeadDimMax = 1024;
inline constexpr uint32_t kTopKMax = 1 << 20;
inline constexpr uint32_t kTierTokensMax = 1 << 20;
inline constexpr uint32_t kSinkTokensMax = 4096;
inline constexpr uint32_t kChunkTokensMax = 4096;
inline constexpr uint32_t kFeaturesMax = 4096;
// Drawing a projection takes count * key_dim^2 steps: this many, a second.
inline constexpr uint64_t kProjectionStepsMax = uint64_t{1} << 26;
// The delta rule copies the state for each segment: this much a token.
inline constexpr uint64_t kDeltaCopyBytesMax = 64 << 10;
// Doubles hold every integer up to here, so angles are exact functions of it.
inline constexpr int64_t kPositionMax = int64_t{1} << 53;
// A token of all layers and heads: a block of 128 of them is allocated at once.
inline constexpr size_t kTokenBytesMax = 1 << 20;
// Banks are sealed and read one by one.
inline constexpr size_t kBanksMax = 1 << 14;
// The compressive state of all banks: it is copied when a segment is absorbed.
inline constexpr size_t kStateBytesMax = 256 << 20;

// Logits beyond this scale overflow on ordinary keys.
inline constexpr double kLogitScaleMax = 1e6;

// The angles a tier gives to a query at position t and a key at position p.
enum class PositionPolicy {
  kAbsolute,     // t and p.
  kConst,        // `distance` and 0.
  kNone,         // 0 and 0.
  kClamp,        // min(t - p, `distance`) and 0.
  kLocalOrigin,  // t less the window's first position, at least 0; and 0.
  kCacheRank,    // Ranks among the tokens of sink and window.
};

// Whether keys stand at places of their own, so that distances have a meaning.
inline bool KeepsDistances(PositionPolicy policy) {
  return policy == PositionPolicy::kAbsolute ||
         policy == PositionPolicy::kClamp ||
         policy == PositionPolicy::kCacheRank;
}

struct PositionRule {
  PositionPolicy policy = PositionPolicy::kAbsolute;
  int64_t distance = 0;  // kConst and kClamp only.
  friend bool operator==(const PositionRule&, const PositionRule&) = default;
};

// How queries and keys are brought to length one before they are rotated.
enum class Normalization { kNone, kL2, kL2AddedEpsilon };

// When tokens leave the window; the proto has the definitions.
enum class CommitPolicy { kToken, kBlock, kSegment, kDump, kStep };

struct SinkTier {
  uint32_t tokens = 0;
  PositionRule positions = {};
  friend bool operator==(const SinkTier&, const SinkTier&) = default;
};

struct WindowTier {
  uint32_t tokens = 0;  // Not of kSegment.
  CommitPolicy commit = CommitPolicy::kToken;
  uint32_t block_tokens = 0;  // kBlock only.
  PositionRule positions = {};
  friend bool operator==(const WindowTier&, const WindowTier&) = default;
};

enum class ChunkScore {
  kMeanKey,
  kLandmark,  // By the last key, whose weight the other tokens share.
};

// Who chooses keys together.
enum class SelectionScope { kQueryHead, kKvGroup };

// g = sigmoid(gate_logit) is the weight on memory: one for all heads, one per
// query head, or one per layer and query head.
using GateLogits = std::vector<float>;

struct KnnTier {
  uint32_t top_k = 0;  // Keys per query row and head; 0: all of them.
  PositionRule positions = {};
  // Keys and values are rounded to it when read here.
  std::optional<attention::DType> dtype = {};
  uint32_t chunk_tokens = 1;  // Chosen together.
  ChunkScore chunk_score = ChunkScore::kMeanKey;
  SelectionScope scope = SelectionScope::kQueryHead;
  uint64_t max_tokens = 0;      // Older ones are evicted; 0: no limit.
  GateLogits gate_logits = {};  // Empty: one softmax with sink and window.
  attention::EmptyMemory empty_memory = attention::EmptyMemory::kBypass;
  friend bool operator==(const KnnTier&, const KnnTier&) = default;
};

enum class UpdateRule { kLinear, kDelta };

// Random features of compressive memory.
struct PerformerTier {
  uint32_t count = 0;
  uint64_t seed = 0;
  attention::PerformerKernel kernel = attention::PerformerKernel::kSoftmax;
  friend bool operator==(const PerformerTier&, const PerformerTier&) = default;
};

struct CompressiveTier {
  uint32_t segment_tokens = 0;
  UpdateRule update = UpdateRule::kLinear;
  GateLogits gate_logits = {};
  attention::EmptyMemory empty_memory = attention::EmptyMemory::kBypass;
  std::optional<PerformerTier> performer = {};  // Absent: elu + 1.
  friend bool operator==(const CompressiveTier&,
                         const CompressiveTier&) = default;
};

struct Profile {
  std::string name;
  uint32_t layers = 0;
  uint32_t query_heads = 0;
  uint32_t kv_heads = 0;
  uint32_t key_dim = 0;
  uint32_t value_dim = 0;
  attention::DType dtype = attention::DType::kF16;
  double logit_scale = 0;
  // Multiply logit_scale: none, one per query head, or one per layer and head.
  std::vector<float> head_scales;
  double logit_softcap = 0;  // 0: none.
  Normalization normalization = Normalization::kNone;
  attention::PositionConfig position;
  std::optional<SinkTier> sink;
  std::optional<WindowTier> window;
  std::optional<KnnTier> knn;
  std::optional<CompressiveTier> compressive;
  std::string text_encoder;  // Empty: the session takes tensors, not text.

  friend bool operator==(const Profile&, const Profile&) = default;

  // Banks are numbered layer-major: layer * kv_heads + kv_head.
  size_t bank_count() const { return size_t{layers} * kv_heads; }
  size_t key_bytes() const { return key_dim * attention::SizeOf(dtype); }
  size_t value_bytes() const { return value_dim * attention::SizeOf(dtype); }
  size_t token_bytes() const {
    return bank_count() * (key_bytes() + value_bytes());
  }
  uint32_t group_size() const { return query_heads / kv_heads; }
  // The one of `per_head` numbers (1, heads, or layers * heads of them) that a
  // query head has. REQUIRES: as many numbers, indices in range.
  float OfHead(const std::vector<float>& per_head, uint32_t layer,
               uint32_t query_head) const;
  // Rows of a compressive state's matrix. REQUIRES: compressive.
  uint32_t feature_count() const {
    return compressive->performer ? compressive->performer->count : key_dim;
  }
  // A token at `seq` is a landmark: it scores its chunk, and is read by nobody.
  bool IsLandmark(uint64_t seq) const {
    return knn && knn->chunk_score == ChunkScore::kLandmark &&
           seq % knn->chunk_tokens == knn->chunk_tokens - 1;
  }
};

// `profile` with every absent (zero) setting at its default, checked.
// Errors: INVALID_ARGUMENT that names the field, what was given and the rule.
absl::StatusOr<Profile> Complete(Profile profile);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_PROFILE_H_
