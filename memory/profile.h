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
#include "attention/position.h"

namespace mneme::memory {

// Limits: what one read or append must be able to hold in memory.
inline constexpr uint32_t kLayersMax = 256;
inline constexpr uint32_t kHeadsMax = 1024;
inline constexpr uint32_t kHeadDimMax = 1024;
inline constexpr uint32_t kTopKMax = 1 << 20;
inline constexpr uint32_t kTierTokensMax = 1 << 20;
inline constexpr uint32_t kSinkTokensMax = 4096;
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
  kAbsolute,  // t and p.
  kConst,     // `distance` and 0.
  kNone,      // 0 and 0.
};

enum class WindowPolicy {
  kSliding,  // The last `tokens` tokens.
  kSegment,  // The tokens of the segment that compressive memory still awaits.
};

struct WindowTier {
  uint32_t tokens = 0;  // kSliding only.
  WindowPolicy policy = WindowPolicy::kSliding;
  friend bool operator==(const WindowTier&, const WindowTier&) = default;
};

struct KnnTier {
  uint32_t top_k = 0;  // Keys per query row and head; 0: all of them.
  PositionPolicy policy = PositionPolicy::kAbsolute;
  int64_t distance = 0;  // kConst only.
  friend bool operator==(const KnnTier&, const KnnTier&) = default;
};

struct CompressiveTier {
  uint32_t segment_tokens = 0;
  // One for all, one per query head, or one per layer and query head.
  // g = sigmoid(gate_logit) is the weight on memory.
  std::vector<float> gate_logits;
  attention::EmptyMemory empty_memory = attention::EmptyMemory::kBypass;
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
  attention::PositionConfig position;
  uint32_t sink_tokens = 0;
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
  // g of one query head. REQUIRES: compressive, indices in range.
  float Gate(uint32_t layer, uint32_t query_head) const;
};

// `profile` with every absent (zero) setting at its default, checked.
// Errors: INVALID_ARGUMENT that names the field, what was given and the rule.
absl::StatusOr<Profile> Complete(Profile profile);

// A profile the server knows. Errors: NOT_FOUND that lists the names.
absl::StatusOr<Profile> ProfileByName(std::string_view name);

// As a record's payload. Decode: DATA_LOSS when malformed.
std::string EncodeProfile(const Profile& profile);
absl::StatusOr<Profile> DecodeProfile(std::string_view bytes);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_PROFILE_H_
