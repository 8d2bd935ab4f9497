#include "memory/profile.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/text/encoder.h"

namespace mneme::memory {
namespace {

using base::InvalidField;

constexpr size_t kNameBytesMax = 63;

absl::Status CheckRange(std::string_view field, uint64_t given, uint64_t least,
                        uint64_t most) {
  if (given >= least && given <= most) return absl::OkStatus();
  return InvalidField(absl::StrCat("profile.", std::string(field)),
                      absl::StrCat(given), absl::StrCat(least, " to ", most));
}

absl::Status CheckAbsent(std::string_view field, uint64_t given) {
  if (given == 0) return absl::OkStatus();
  return InvalidField(absl::StrCat("profile.", std::string(field)),
                      absl::StrCat(given), "nothing with this policy");
}

absl::Status CheckName(std::string_view name) {
  bool sound = !name.empty() && name.size() <= kNameBytesMax;
  for (const char c : name) {
    sound = sound && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-');
  }
  if (sound) return absl::OkStatus();
  return InvalidField("profile.name", base::Quoted(name),
                      "1 to 63 characters of [a-z0-9._-]");
}

absl::Status CheckGeometry(const Profile& profile) {
  RETURN_IF_ERROR(CheckRange("layers", profile.layers, 1, kLayersMax));
  RETURN_IF_ERROR(CheckRange("kv_heads", profile.kv_heads, 1, kHeadsMax));
  RETURN_IF_ERROR(CheckRange("query_heads", profile.query_heads, 1, kHeadsMax));
  RETURN_IF_ERROR(CheckRange("key_dim", profile.key_dim, 1, kHeadDimMax));
  RETURN_IF_ERROR(CheckRange("value_dim", profile.value_dim, 1, kHeadDimMax));
  if (profile.query_heads % profile.kv_heads != 0) {
    return InvalidField(
        "profile.query_heads", absl::StrCat(profile.query_heads),
        absl::StrCat("a multiple of kv_heads, which is ", profile.kv_heads));
  }
  if (profile.token_bytes() > kTokenBytesMax) {
    return InvalidField(
        "profile", absl::StrCat(profile.token_bytes(), " bytes a token"),
        absl::StrCat("layers * kv_heads * (key_dim + value_dim) * element size "
                     "of at most ",
                     kTokenBytesMax));
  }
  if (profile.bank_count() > kBanksMax) {
    return InvalidField(
        "profile",
        absl::StrCat(profile.bank_count(), " banks (layers * kv_heads)"),
        absl::StrCat("at most ", kBanksMax));
  }
  return absl::OkStatus();
}

bool IsBias(attention::PositionFamily family) {
  return family == attention::PositionFamily::kAlibi ||
         family == attention::PositionFamily::kRelativeBias;
}

// The rule of one tier against the position encoding.
absl::Status CheckPositions(const Profile& profile, std::string_view tier,
                            const PositionRule& rule) {
  const std::string field = absl::StrCat(std::string(tier), ".positions");
  const bool has_distance = rule.policy == PositionPolicy::kConst ||
                            rule.policy == PositionPolicy::kClamp;
  const int64_t distance_max = has_distance ? kPositionMax : 0;
  if (rule.distance < 0 || rule.distance > distance_max) {
    return InvalidField(absl::StrCat("profile.", field, ".distance"),
                        absl::StrCat(rule.distance),
                        distance_max == 0
                            ? std::string("nothing with this policy")
                            : absl::StrCat("0 to ", distance_max));
  }
  const std::string policy = absl::StrCat("profile.", field, ".policy");
  if (profile.position.family == attention::PositionFamily::kLearned &&
      rule.policy != PositionPolicy::kAbsolute) {
    return InvalidField(policy, "a policy that moves keys, with LEARNED",
                        "ABSOLUTE: keys that carry learned positions stay "
                        "where they were");
  }
  if (IsBias(profile.position.family) &&
      (rule.policy == PositionPolicy::kConst ||
       rule.policy == PositionPolicy::kLocalOrigin)) {
    return InvalidField(
        policy, "CONST or LOCAL_ORIGIN with a bias by distance",
        "ABSOLUTE, CLAMP or CACHE_RANK, whose distances the bias punishes, or "
        "NONE");
  }
  return absl::OkStatus();
}

absl::Status CheckSink(const Profile& profile) {
  if (!profile.sink) return absl::OkStatus();
  RETURN_IF_ERROR(
      CheckRange("sink.tokens", profile.sink->tokens, 0, kSinkTokensMax));
  return CheckPositions(profile, "sink", profile.sink->positions);
}

// A cache is ranked as a whole, or not at all.
absl::Status CheckRanks(const Profile& profile) {
  const auto ranked = [](const auto& tier) {
    return tier && tier->positions.policy == PositionPolicy::kCacheRank;
  };
  if (ranked(profile.knn)) {
    return InvalidField("profile.knn.positions.policy", "CACHE_RANK",
                        "another policy: ranks are of sink and window");
  }
  if (profile.sink && ranked(profile.sink) != ranked(profile.window)) {
    return InvalidField("profile.sink.positions.policy",
                        "CACHE_RANK for one of sink and window",
                        "CACHE_RANK for both or neither");
  }
  return absl::OkStatus();
}

absl::Status CheckWindow(const Profile& profile) {
  if (!profile.window) return absl::OkStatus();
  const WindowTier& window = *profile.window;
  RETURN_IF_ERROR(CheckPositions(profile, "window", window.positions));
  if (window.commit == CommitPolicy::kSegment && !profile.compressive) {
    return InvalidField("profile.window.commit",
                        "SEGMENT without a compressive tier",
                        "another policy, or a compressive tier that sets the "
                        "segment");
  }
  RETURN_IF_ERROR(
      window.commit == CommitPolicy::kBlock
          ? CheckRange("window.block_tokens", window.block_tokens, 1,
                       kTierTokensMax)
          : CheckAbsent("window.block_tokens", window.block_tokens));
  if (window.commit == CommitPolicy::kSegment) {
    return CheckAbsent("window.tokens", window.tokens);
  }
  const bool may_be_empty = window.commit == CommitPolicy::kStep;
  return CheckRange("window.tokens", window.tokens, may_be_empty ? 0 : 1,
                    kTierTokensMax);
}

// Of the heads of every layer, of the heads of one, or, where `one` may stand
// for all, a single number.
absl::Status CheckPerHead(const Profile& profile, std::string_view field,
                          const std::vector<float>& numbers) {
  const size_t heads = profile.query_heads;
  if (numbers.size() != 1 && numbers.size() != heads &&
      numbers.size() != heads * profile.layers) {
    return InvalidField(
        absl::StrCat("profile.", std::string(field)),
        absl::StrCat(numbers.size(), " numbers"),
        absl::StrCat("1, ", heads, " (query heads) or ", heads * profile.layers,
                     " (layers * query heads)"));
  }
  for (const float number : numbers) {
    if (!std::isfinite(number)) {
      return InvalidField(absl::StrCat("profile.", std::string(field)),
                          absl::StrCat(number), "finite numbers");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckChunks(const Profile& profile) {
  const KnnTier& knn = *profile.knn;
  RETURN_IF_ERROR(
      CheckRange("knn.chunk_tokens", knn.chunk_tokens, 1, kChunkTokensMax));
  if (knn.top_k % knn.chunk_tokens != 0) {
    return InvalidField("profile.knn.top_k", absl::StrCat(knn.top_k),
                        absl::StrCat("a multiple of chunk_tokens, which is ",
                                     knn.chunk_tokens));
  }
  if (knn.max_tokens > 0 && knn.max_tokens < knn.chunk_tokens) {
    return InvalidField(
        "profile.knn.max_tokens", absl::StrCat(knn.max_tokens),
        absl::StrCat("at least chunk_tokens, which is ", knn.chunk_tokens));
  }
  if (knn.chunk_score != ChunkScore::kLandmark) return absl::OkStatus();
  if (knn.chunk_tokens == 1) {
    return InvalidField("profile.knn.chunk_score", "LANDMARK of single tokens",
                        "chunk_tokens of at least 2");
  }
  if (!profile.window || profile.window->commit != CommitPolicy::kBlock ||
      profile.window->block_tokens % knn.chunk_tokens != 0) {
    return InvalidField("profile.knn.chunk_score", "LANDMARK",
                        absl::StrCat("a window that commits by BLOCK, with "
                                     "block_tokens a multiple of ",
                                     knn.chunk_tokens));
  }
  return absl::OkStatus();
}

absl::Status CheckKnn(const Profile& profile) {
  if (!profile.knn) return absl::OkStatus();
  const KnnTier& knn = *profile.knn;
  RETURN_IF_ERROR(CheckPositions(profile, "knn", knn.positions));
  RETURN_IF_ERROR(CheckRange("knn.top_k", knn.top_k, 0, kTopKMax));
  RETURN_IF_ERROR(CheckChunks(profile));
  if (knn.dtype &&
      attention::SizeOf(*knn.dtype) > attention::SizeOf(profile.dtype)) {
    return InvalidField("profile.knn.data_type",
                        "a wider type than the profile's data_type",
                        "one that rounds it, or nothing");
  }
  if (knn.gate_logits.empty()) {
    if (knn.empty_memory == attention::EmptyMemory::kBypass) {
      return absl::OkStatus();
    }
    return InvalidField("profile.knn.empty_memory", "STRICT without a gate",
                        "gate_logits, or nothing");
  }
  return CheckPerHead(profile, "knn.gate_logits", knn.gate_logits);
}

absl::Status CheckCompressive(const Profile& profile) {
  if (!profile.compressive) return absl::OkStatus();
  const CompressiveTier& tier = *profile.compressive;
  RETURN_IF_ERROR(CheckRange("compressive.segment_tokens", tier.segment_tokens,
                             1, kTierTokensMax));
  if (tier.performer) {
    RETURN_IF_ERROR(CheckRange("compressive.performer.count",
                               tier.performer->count, 1, kFeaturesMax));
    if (tier.update == UpdateRule::kDelta) {
      return InvalidField("profile.compressive.update", "DELTA with performer",
                          "LINEAR, or elu + 1 features");
    }
    const uint64_t steps =
        uint64_t{tier.performer->count} * profile.key_dim * profile.key_dim;
    if (steps > kProjectionStepsMax) {
      return InvalidField(
          "profile.compressive.performer.count",
          absl::StrCat(tier.performer->count),
          absl::StrCat("count * key_dim^2 of at most ", kProjectionStepsMax));
    }
  }
  const size_t state_bytes = profile.bank_count() * profile.feature_count() *
                             (profile.value_dim + size_t{1}) * sizeof(float);
  if (state_bytes > kStateBytesMax) {
    return InvalidField(
        "profile.compressive", absl::StrCat(state_bytes, " bytes of state"),
        absl::StrCat("layers * kv_heads * features * (value_dim + 1) * 4 of at "
                     "most ",
                     kStateBytesMax, ", with key_dim features of elu + 1"));
  }
  if (tier.update == UpdateRule::kDelta &&
      state_bytes > tier.segment_tokens * kDeltaCopyBytesMax) {
    return InvalidField(
        "profile.compressive.segment_tokens", absl::StrCat(tier.segment_tokens),
        absl::StrCat(
            "with DELTA, at least ",
            (state_bytes + kDeltaCopyBytesMax - 1) / kDeltaCopyBytesMax,
            ", as the state has ", state_bytes, " bytes"));
  }
  return CheckPerHead(profile, "compressive.gate_logits", tier.gate_logits);
}

absl::Status CheckLogits(const Profile& profile) {
  if (!(profile.logit_scale > 0 && profile.logit_scale <= kLogitScaleMax)) {
    return InvalidField("profile.logit_scale",
                        absl::StrCat(profile.logit_scale),
                        absl::StrCat("above 0, at most ", kLogitScaleMax));
  }
  if (!profile.head_scales.empty()) {
    RETURN_IF_ERROR(CheckPerHead(profile, "head_scales", profile.head_scales));
    for (const float scale : profile.head_scales) {
      if (!(scale > 0 && scale <= kLogitScaleMax)) {
        return InvalidField("profile.head_scales", absl::StrCat(scale),
                            absl::StrCat("above 0, at most ", kLogitScaleMax));
      }
    }
  }
  if (!(profile.logit_softcap >= 0 &&
        profile.logit_softcap <= kLogitScaleMax)) {
    return InvalidField(
        "profile.logit_softcap", absl::StrCat(profile.logit_softcap),
        absl::StrCat("above 0, at most ", kLogitScaleMax, ", or nothing"));
  }
  return absl::OkStatus();
}

absl::Status CheckPosition(Profile& profile) {
  attention::PositionConfig& position = profile.position;
  if (position.rotary_dim == 0) {
    position.rotary_dim = static_cast<int>(profile.key_dim);
  }
  const absl::Status valid =
      attention::Validate(position, static_cast<int>(profile.key_dim));
  if (!valid.ok()) {
    base::ErrorDetail detail = base::DetailOf(valid);
    detail.field = absl::StrCat("profile.", detail.field);
    return base::Error(valid.code(),
                       absl::StrCat("profile.", std::string(valid.message())),
                       detail);
  }
  const size_t biases = position.relative_bias.biases.size();
  if (position.family == attention::PositionFamily::kRelativeBias &&
      biases % profile.query_heads != 0) {
    return InvalidField("profile.position.relative_bias.biases",
                        absl::StrCat(biases, " numbers"),
                        absl::StrCat("[query_heads, distances] with ",
                                     profile.query_heads, " query heads"));
  }
  return absl::OkStatus();
}

absl::Status CheckTextEncoder(const Profile& profile) {
  if (profile.text_encoder.empty()) return absl::OkStatus();
  if (profile.text_encoder != HashEncoder::kName) {
    return InvalidField(
        "profile.text_encoder", base::Quoted(profile.text_encoder),
        absl::StrCat("absent or ", base::Quoted(HashEncoder::kName)));
  }
  // Recall ranks every passage by one softmax.
  if (!profile.knn || profile.knn->max_tokens > 0 ||
      !profile.knn->gate_logits.empty()) {
    return InvalidField("profile.knn",
                        !profile.knn                  ? "no kNN tier"
                        : profile.knn->max_tokens > 0 ? "max_tokens with text"
                                                      : "a gate with text",
                        "a kNN tier of all tokens, and one softmax, so that "
                        "all text is recalled");
  }
  if (profile.layers != 1 || profile.kv_heads != HashEncoder::kHeads ||
      profile.query_heads != HashEncoder::kHeads ||
      profile.key_dim != HashEncoder::kDim ||
      profile.value_dim != HashEncoder::kDim) {
    return InvalidField(
        "profile",
        absl::StrFormat("layers %d, query_heads %d, kv_heads %d, dims %d/%d",
                        profile.layers, profile.query_heads, profile.kv_heads,
                        profile.key_dim, profile.value_dim),
        absl::StrFormat("the encoder's geometry: layers 1, query_heads %d, "
                        "kv_heads %d, dims %d/%d",
                        HashEncoder::kHeads, HashEncoder::kHeads,
                        HashEncoder::kDim, HashEncoder::kDim));
  }
  return absl::OkStatus();
}

}  // namespace

float Profile::OfHead(const std::vector<float>& per_head, uint32_t layer,
                      uint32_t query_head) const {
  if (per_head.size() == 1) return per_head[0];
  // A model of one layer has as many numbers either way.
  const size_t first =
      per_head.size() > query_heads ? size_t{layer} * query_heads : 0;
  return per_head[first + query_head];
}

absl::StatusOr<Profile> Complete(Profile profile) {
  if (profile.name.empty()) profile.name = "custom";
  if (profile.layers == 0) profile.layers = 1;
  if (profile.kv_heads == 0) profile.kv_heads = 1;
  if (profile.query_heads == 0) profile.query_heads = profile.kv_heads;
  if (profile.value_dim == 0) profile.value_dim = profile.key_dim;
  if (profile.logit_scale == 0 && profile.key_dim > 0) {
    profile.logit_scale = 1 / std::sqrt(static_cast<double>(profile.key_dim));
  }
  if (profile.sink && profile.sink->tokens == 0) profile.sink.reset();
  if (profile.knn && profile.knn->chunk_tokens == 0) {
    profile.knn->chunk_tokens = 1;
  }
  RETURN_IF_ERROR(CheckName(profile.name));
  RETURN_IF_ERROR(CheckGeometry(profile));
  RETURN_IF_ERROR(CheckLogits(profile));
  RETURN_IF_ERROR(CheckPosition(profile));
  RETURN_IF_ERROR(CheckSink(profile));
  RETURN_IF_ERROR(CheckWindow(profile));
  RETURN_IF_ERROR(CheckKnn(profile));
  RETURN_IF_ERROR(CheckRanks(profile));
  RETURN_IF_ERROR(CheckCompressive(profile));
  if (!profile.window && !profile.knn && !profile.compressive) {
    return InvalidField("profile", "no tier",
                        "at least one of window, knn and compressive");
  }
  RETURN_IF_ERROR(CheckTextEncoder(profile));
  return profile;
}

}  // namespace mneme::memory
