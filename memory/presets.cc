#include "memory/presets.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/text/encoder.h"
#include "memory/text/fusion.h"

namespace mneme::memory {
namespace {

using attention::DType;
using attention::PositionFamily;

// A head's learned temperature, where cosines are logits: what public code
// starts from. A trained model brings its own.
constexpr float kCosineScale = 20;

Profile Model(std::string name, uint32_t layers, uint32_t query_heads,
              uint32_t kv_heads, uint32_t key_dim) {
  Profile profile;
  profile.name = std::move(name);
  profile.layers = layers;
  profile.query_heads = query_heads;
  profile.kv_heads = kv_heads;
  profile.key_dim = key_dim;
  return profile;
}

PositionRule At(PositionPolicy policy, int64_t distance = 0) {
  return {.policy = policy, .distance = distance};
}

Preset Fot() {
  Profile profile = Model("fot", 1, 8, 8, 128);
  profile.logit_scale = 1;
  profile.head_scales = {kCosineScale};
  profile.normalization = Normalization::kL2;
  profile.window = WindowTier{
      .tokens = 1, .commit = CommitPolicy::kBlock, .block_tokens = 2048};
  profile.knn = KnnTier{.top_k = 128, .positions = At(PositionPolicy::kNone)};
  return {std::move(profile),
          "Focused Transformer: one softmax over the local context and the 128 "
          "nearest keys of memory, by cosine with a learned temperature, "
          "without positions.",
          "Tworkowski et al., arXiv 2307.03170, section 3.1",
          "The search is exact. The local context is the current 2048 tokens. "
          "head_scales are a model's own."};
}

Preset Infini() {
  Profile profile = Model("infini", 12, 8, 8, 128);
  profile.position.family = PositionFamily::kRope;
  profile.window = WindowTier{.commit = CommitPolicy::kSegment};
  profile.compressive =
      CompressiveTier{.segment_tokens = 2048, .gate_logits = {0}};
  return {std::move(profile),
          "Infini-attention: attention inside a segment of 2048 tokens, and a "
          "matrix per head that has absorbed all segments before it, mixed by "
          "a gate.",
          "Munkhdalai et al., arXiv 2404.07143, equations 3 to 6",
          "The gate weighs memory, as in the paper; lucidrains' code weighs "
          "the local part, so its logits change their sign. The first segment "
          "passes ungated (BYPASS); the paper's formula divides by zero there, "
          "Beomi's code scales by 1 - g (STRICT). gate_logits are a model's "
          "own."};
}

Preset InfLlm() {
  Profile profile = Model("infllm", 32, 32, 8, 128);
  profile.position.family = PositionFamily::kRope;
  profile.position.theta = 1e6;
  profile.sink =
      SinkTier{.tokens = 128, .positions = At(PositionPolicy::kConst, 4096)};
  profile.window = WindowTier{
      .tokens = 4096, .commit = CommitPolicy::kBlock, .block_tokens = 128};
  profile.knn = KnnTier{.top_k = 2048,
                        .positions = At(PositionPolicy::kConst, 4096),
                        .chunk_tokens = 128,
                        .scope = SelectionScope::kKvGroup};
  return {std::move(profile),
          "InfLLM: 16 blocks of 128 tokens out of memory, as if all stood just "
          "beyond a window of 4096 tokens, with 128 initial tokens.",
          "Xiao et al., arXiv 2402.04617, section 3",
          "A block is scored by the mean of its keys, not by the four that "
          "local queries looked at most, and blocks are chosen by each group "
          "of heads for each query row, not by a layer for 512 rows."};
}

Preset Landmark() {
  Profile profile = Model("landmark", 32, 32, 32, 128);
  profile.position.family = PositionFamily::kRope;
  profile.window = WindowTier{
      .tokens = 1, .commit = CommitPolicy::kBlock, .block_tokens = 51};
  profile.knn = KnnTier{.top_k = 5 * 51,
                        .chunk_tokens = 51,
                        .chunk_score = ChunkScore::kLandmark};
  return {std::move(profile),
          "Landmark attention: every 51st token weighs the 50 before it; five "
          "blocks are read per query row and head, and the current one.",
          "Mohtashami and Jaggi, arXiv 2305.16300, section 3",
          "Retrieved blocks keep their true positions: the code packs them "
          "just before the local context. The landmark is a token that the "
          "client appends."};
}

Preset LmInfinite() {
  Profile profile = Model("lm_infinite", 32, 32, 32, 128);
  profile.position.family = PositionFamily::kRope;
  profile.sink =
      SinkTier{.tokens = 100, .positions = At(PositionPolicy::kClamp, 4096)};
  profile.window = WindowTier{.tokens = 4096};
  return {std::move(profile),
          "LM-Infinite: the first 100 tokens at a distance of at most 4096, "
          "and the last 4096 tokens.",
          "Han et al., arXiv 2308.16137, section 3",
          "The window is that of the newest token: append and attend token by "
          "token for the mask of the paper. Without the five tokens that may "
          "be fetched back (a kNN tier with top_k 5 and CONST 2048)."};
}

Preset LongLlama() {
  Profile profile = Model("longllama", 3, 32, 32, 100);
  profile.position.family = PositionFamily::kRope;
  profile.window = WindowTier{.tokens = 2048, .commit = CommitPolicy::kDump};
  profile.knn = KnnTier{.positions = At(PositionPolicy::kLocalOrigin),
                        .dtype = DType::kBF16};
  return {std::move(profile),
          "LongLLaMA: one softmax over the local context and all of memory, "
          "whose keys stand where the local context begins; a full local "
          "context goes to memory whole.",
          "Tworkowski et al., arXiv 2307.03170, section 3.3, and its inference "
          "code",
          "Memory stays when the local context is committed by hand "
          "(CommitWindow), as the code does with use_cache false."};
}

Preset LongMem() {
  Profile profile = Model("longmem", 1, 16, 16, 64);
  profile.position.family = PositionFamily::kAlibi;
  profile.window = WindowTier{
      .tokens = 1, .commit = CommitPolicy::kBlock, .block_tokens = 1024};
  profile.knn = KnnTier{.top_k = 64,
                        .positions = At(PositionPolicy::kNone),
                        .dtype = DType::kF16,
                        .chunk_tokens = 4,
                        .max_tokens = 65536,
                        .gate_logits = {0}};
  return {std::move(profile),
          "LongMem: 16 chunks of 4 tokens by their mean keys, read by a "
          "softmax of their own without positions, mixed by a gate with local "
          "attention under ALiBi.",
          "Wang et al., arXiv 2306.07174, section 2",
          "Eviction is by the token, first in, first out, not by twice what "
          "comes in; a memory shorter than k gives what it has, not zero rows. "
          "Chunks are counted from the first token of the session. "
          "gate_logits are a model's own."};
}

Preset Memorizing() {
  Profile profile = Model("memorizing", 1, 8, 8, 128);
  profile.logit_scale = 1;
  profile.head_scales = {kCosineScale};
  profile.normalization = Normalization::kL2AddedEpsilon;
  profile.window = WindowTier{
      .tokens = 1, .commit = CommitPolicy::kBlock, .block_tokens = 512};
  profile.knn = KnnTier{.top_k = 32,
                        .positions = At(PositionPolicy::kNone),
                        .max_tokens = 262144,
                        .gate_logits = {0}};
  return {std::move(profile),
          "Memorizing Transformer: the 32 nearest keys of each head by cosine, "
          "read by a softmax of their own, mixed by a gate with local "
          "attention.",
          "Wu et al., arXiv 2203.08913, section 3",
          "A token attends to itself; the search is exact, and never deals "
          "keys into buckets. For the paper's local bias give the model's as "
          "position.relative_bias; gate_logits and head_scales are a model's "
          "own. lucidrains' code is this with NORMALIZATION_L2, one kv head "
          "and no gate_logits."};
}

Preset Retrieval() {
  Profile profile = Model("retrieval", 32, 32, 8, 128);
  profile.position.family = PositionFamily::kRope;
  profile.position.theta = 500000;
  profile.sink = SinkTier{.tokens = 128};
  profile.window = WindowTier{
      .tokens = 512, .commit = CommitPolicy::kBlock, .block_tokens = 128};
  profile.knn = KnnTier{.top_k = 100};
  return {std::move(profile),
          "RetrievalAttention: the 100 largest logits of each query head at "
          "their true positions, with 128 initial and 512 recent tokens.",
          "Liu et al., arXiv 2409.10516, section 3",
          "The choice is exact, and appended tokens can be found at once."};
}

Preset StreamingLlm() {
  Profile profile = Model("streaming_llm", 32, 32, 32, 128);
  profile.position.family = PositionFamily::kRope;
  profile.sink =
      SinkTier{.tokens = 4, .positions = At(PositionPolicy::kCacheRank)};
  profile.window = WindowTier{.tokens = 1020,
                              .commit = CommitPolicy::kStep,
                              .positions = At(PositionPolicy::kCacheRank)};
  return {std::move(profile),
          "StreamingLLM: 4 attention sinks and the last 1020 tokens, at their "
          "places in the cache.",
          "Xiao et al., arXiv 2309.17453, section 3.2",
          "What leaves the cache is not lost: it stays in the log."};
}

Preset Text() {
  Profile profile = Model("text", 1, HashEncoder::kHeads, HashEncoder::kHeads,
                          HashEncoder::kDim);
  // Keys have length 1, so a logit is this temperature times a cosine: an
  // identical sentence outweighs an unrelated one by a factor of e^16.
  profile.logit_scale = kSemanticScale;
  // About one screen of conversation.
  profile.window = WindowTier{.tokens = 64};
  profile.knn = KnnTier{.top_k = 1024, .positions = At(PositionPolicy::kNone)};
  // The gist of everything gets a tenth of the attention: g = sigmoid(-2.2).
  profile.compressive =
      CompressiveTier{.segment_tokens = 64, .gate_logits = {-2.2F}};
  profile.text_encoder = HashEncoder::kName;
  return {std::move(profile),
          "Text: sentences as tokens, found by their words, and by the words "
          "that are like them.",
          "Mneme's own", ""};
}

Preset YarnWindow() {
  Profile profile = Model("yarn_window", 32, 32, 32, 128);
  profile.position.family = PositionFamily::kYarn;
  profile.position.yarn.factor = 16;
  profile.position.yarn.original_length = 4096;
  profile.window = WindowTier{.tokens = 65536, .commit = CommitPolicy::kStep};
  return {
      std::move(profile),
      "YaRN: full attention over the last 65,536 tokens of a model that was "
      "trained at 4096.",
      "Peng et al., arXiv 2309.00071, section 3.4",
      "The ramp is linear in the index of a pair, as in every public "
      "checkpoint; the paper has it linear in the number of turns."};
}

}  // namespace

const std::vector<Preset>& Presets() {
  static const auto& presets = *new std::vector<Preset>{
      Fot(),        Infini(),       InfLlm(),  Landmark(),
      LmInfinite(), LongLlama(),    LongMem(), Memorizing(),
      Retrieval(),  StreamingLlm(), Text(),    YarnWindow()};
  return presets;
}

absl::StatusOr<const Preset*> FindPreset(std::string_view name,
                                         std::string_view field) {
  std::string known;
  for (const Preset& preset : Presets()) {
    if (preset.profile.name == name) return &preset;
    absl::StrAppend(&known, known.empty() ? "" : ", ", preset.profile.name);
  }
  return base::Error(
      absl::StatusCode::kNotFound,
      absl::StrCat(std::string(field), ": no profile ", base::Quoted(name),
                   "; known: ", known),
      {.reason = "PROFILE_NOT_FOUND", .field = std::string(field)});
}

absl::StatusOr<Profile> ProfileByName(std::string_view name) {
  ASSIGN_OR_RETURN(const Preset* preset, FindPreset(name, "profile_name"));
  return Complete(preset->profile);
}

}  // namespace mneme::memory
