#include "service/convert_profile.h"

#include <google/protobuf/text_format.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "service/convert_position.h"
#include "service/convert_tensor.h"
#include "service/enum_table.h"

namespace mneme::service {
namespace {

using attention::EmptyMemory;
using base::InvalidField;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;
using memory::ChunkScore;
using memory::CommitPolicy;
using memory::Normalization;
using memory::PositionPolicy;
using memory::SelectionScope;
using memory::UpdateRule;

constexpr EnumTable<v1::PositionPolicy, PositionPolicy, 6> kPolicies = {{
    {v1::POSITION_POLICY_ABSOLUTE, PositionPolicy::kAbsolute},
    {v1::POSITION_POLICY_CONST, PositionPolicy::kConst},
    {v1::POSITION_POLICY_NONE, PositionPolicy::kNone},
    {v1::POSITION_POLICY_CLAMP, PositionPolicy::kClamp},
    {v1::POSITION_POLICY_LOCAL_ORIGIN, PositionPolicy::kLocalOrigin},
    {v1::POSITION_POLICY_CACHE_RANK, PositionPolicy::kCacheRank},
}};

constexpr EnumTable<v1::Normalization, Normalization, 3> kNormalizations = {{
    {v1::NORMALIZATION_NONE, Normalization::kNone},
    {v1::NORMALIZATION_L2, Normalization::kL2},
    {v1::NORMALIZATION_L2_ADDED_EPSILON, Normalization::kL2AddedEpsilon},
}};

constexpr EnumTable<v1::CommitPolicy, CommitPolicy, 5> kCommits = {{
    {v1::COMMIT_POLICY_TOKEN, CommitPolicy::kToken},
    {v1::COMMIT_POLICY_BLOCK, CommitPolicy::kBlock},
    {v1::COMMIT_POLICY_SEGMENT, CommitPolicy::kSegment},
    {v1::COMMIT_POLICY_DUMP, CommitPolicy::kDump},
    {v1::COMMIT_POLICY_STEP, CommitPolicy::kStep},
}};

constexpr EnumTable<v1::ChunkScore, ChunkScore, 2> kChunkScores = {{
    {v1::CHUNK_SCORE_MEAN_KEY, ChunkScore::kMeanKey},
    {v1::CHUNK_SCORE_LANDMARK, ChunkScore::kLandmark},
}};

constexpr EnumTable<v1::SelectionScope, SelectionScope, 2> kScopes = {{
    {v1::SELECTION_SCOPE_QUERY_HEAD, SelectionScope::kQueryHead},
    {v1::SELECTION_SCOPE_KV_GROUP, SelectionScope::kKvGroup},
}};

constexpr EnumTable<v1::UpdateRule, UpdateRule, 2> kUpdates = {{
    {v1::UPDATE_RULE_LINEAR, UpdateRule::kLinear},
    {v1::UPDATE_RULE_DELTA, UpdateRule::kDelta},
}};

constexpr EnumTable<v1::EmptyMemory, EmptyMemory, 2> kEmptyMemories = {{
    {v1::EMPTY_MEMORY_BYPASS, EmptyMemory::kBypass},
    {v1::EMPTY_MEMORY_STRICT, EmptyMemory::kStrict},
}};

constexpr EnumTable<v1::PerformerKernel, attention::PerformerKernel, 2>
    kKernels = {{
        {v1::PERFORMER_KERNEL_SOFTMAX, attention::PerformerKernel::kSoftmax},
        {v1::PERFORMER_KERNEL_RELU, attention::PerformerKernel::kRelu},
    }};

// For numbers whose absence memory writes as 0.
absl::Status CheckAbove(std::string_view field, double given, double bound) {
  if (std::isfinite(given) && given > bound) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(given),
                      absl::StrCat("a finite number above ", bound));
}

absl::StatusOr<memory::PositionRule> RuleFromProto(
    const v1::PositionRule& proto, const std::string& tier) {
  memory::PositionRule rule;
  ASSIGN_OR_RETURN(
      rule.policy,
      kPolicies.FromProto(proto.policy(),
                          absl::StrCat("profile.", tier, ".positions.policy")));
  rule.distance = proto.distance();
  const bool needs_distance = rule.policy == PositionPolicy::kConst ||
                              rule.policy == PositionPolicy::kClamp;
  if (needs_distance && !proto.has_distance()) {
    return InvalidField(
        absl::StrCat("profile.", tier, ".positions.distance"), "nothing",
        absl::StrCat("a distance, 0 to ", memory::kPositionMax));
  }
  return rule;
}

void SetRule(const memory::PositionRule& rule, v1::PositionRule* proto) {
  proto->set_policy(kPolicies.ToProto(rule.policy));
  if (rule.policy == PositionPolicy::kConst ||
      rule.policy == PositionPolicy::kClamp) {
    proto->set_distance(rule.distance);
  }
}

std::vector<float> FloatsOf(
    const google::protobuf::RepeatedField<float>& numbers) {
  return {numbers.begin(), numbers.end()};
}

absl::StatusOr<memory::SinkTier> SinkFromProto(const v1::SinkTier& proto) {
  memory::SinkTier sink{.tokens = proto.tokens()};
  ASSIGN_OR_RETURN(sink.positions, RuleFromProto(proto.positions(), "sink"));
  return sink;
}

absl::StatusOr<memory::WindowTier> WindowFromProto(
    const v1::WindowTier& proto) {
  memory::WindowTier window{.tokens = proto.tokens(),
                            .block_tokens = proto.block_tokens()};
  ASSIGN_OR_RETURN(window.commit,
                   kCommits.FromProto(proto.commit(), "profile.window.commit"));
  ASSIGN_OR_RETURN(window.positions,
                   RuleFromProto(proto.positions(), "window"));
  return window;
}

absl::StatusOr<memory::KnnTier> KnnFromProto(const v1::KnnTier& proto) {
  memory::KnnTier knn{.top_k = proto.top_k(),
                      .chunk_tokens = proto.chunk_tokens(),
                      .max_tokens = proto.max_tokens(),
                      .gate_logits = FloatsOf(proto.gate_logits())};
  ASSIGN_OR_RETURN(knn.positions, RuleFromProto(proto.positions(), "knn"));
  if (proto.data_type() != v1::DATA_TYPE_UNSPECIFIED) {
    ASSIGN_OR_RETURN(
        knn.dtype, DTypeFromProto(proto.data_type(), "profile.knn.data_type"));
  }
  ASSIGN_OR_RETURN(
      knn.chunk_score,
      kChunkScores.FromProto(proto.chunk_score(), "profile.knn.chunk_score"));
  ASSIGN_OR_RETURN(knn.scope,
                   kScopes.FromProto(proto.scope(), "profile.knn.scope"));
  ASSIGN_OR_RETURN(knn.empty_memory,
                   kEmptyMemories.FromProto(proto.empty_memory(),
                                            "profile.knn.empty_memory"));
  return knn;
}

absl::StatusOr<memory::CompressiveTier> CompressiveFromProto(
    const v1::CompressiveTier& proto) {
  memory::CompressiveTier tier{.segment_tokens = proto.segment_tokens(),
                               .gate_logits = FloatsOf(proto.gate_logits())};
  ASSIGN_OR_RETURN(
      tier.update,
      kUpdates.FromProto(proto.update(), "profile.compressive.update"));
  ASSIGN_OR_RETURN(tier.empty_memory, kEmptyMemories.FromProto(
                                          proto.empty_memory(),
                                          "profile.compressive.empty_memory"));
  if (proto.has_performer()) {
    memory::PerformerTier performer{.count = proto.performer().count(),
                                    .seed = proto.performer().seed()};
    ASSIGN_OR_RETURN(
        performer.kernel,
        kKernels.FromProto(proto.performer().kernel(),
                           "profile.compressive.performer.kernel"));
    tier.performer = performer;
  }
  return tier;
}

void SetKnn(const memory::Profile& profile, v1::KnnTier* proto) {
  const memory::KnnTier& knn = *profile.knn;
  proto->set_top_k(knn.top_k);
  SetRule(knn.positions, proto->mutable_positions());
  if (knn.dtype) proto->set_data_type(DTypeToProto(*knn.dtype));
  proto->set_chunk_tokens(knn.chunk_tokens);
  if (knn.chunk_tokens > 1) {
    proto->set_chunk_score(kChunkScores.ToProto(knn.chunk_score));
  }
  proto->set_scope(kScopes.ToProto(knn.scope));
  proto->set_max_tokens(knn.max_tokens);
  proto->mutable_gate_logits()->Assign(knn.gate_logits.begin(),
                                       knn.gate_logits.end());
  if (!knn.gate_logits.empty()) {
    proto->set_empty_memory(kEmptyMemories.ToProto(knn.empty_memory));
  }
}

void SetCompressive(const memory::CompressiveTier& tier,
                    v1::CompressiveTier* proto) {
  proto->set_segment_tokens(tier.segment_tokens);
  proto->set_update(kUpdates.ToProto(tier.update));
  proto->mutable_gate_logits()->Assign(tier.gate_logits.begin(),
                                       tier.gate_logits.end());
  proto->set_empty_memory(kEmptyMemories.ToProto(tier.empty_memory));
  if (!tier.performer) return;
  proto->mutable_performer()->set_count(tier.performer->count);
  proto->mutable_performer()->set_seed(tier.performer->seed);
  proto->mutable_performer()->set_kernel(
      kKernels.ToProto(tier.performer->kernel));
}

// A preset's settings, with what `given` says in their place.
absl::StatusOr<v1::Profile> OverPreset(const v1::Profile& given) {
  ASSIGN_OR_RETURN(const memory::Preset* preset,
                   memory::FindPreset(given.preset(), "profile.preset"));
  v1::Profile merged = ProfileToProto(preset->profile);
  // What the preset leaves to be completed by the geometry.
  if (merged.logit_scale() == 0) merged.clear_logit_scale();
  if (merged.logit_softcap() == 0) merged.clear_logit_softcap();
  const auto* reflection = given.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(given, &fields);
  for (const FieldDescriptor* field : fields) {
    reflection->ClearField(&merged, field);
  }
  merged.MergeFrom(given);
  merged.clear_preset();
  return merged;
}

// The value of a field in words; "nothing" when it is absent.
std::string ValueOf(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  std::string text;
  if (field->is_repeated()) {
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      std::string one;
      TextFormat::PrintFieldValueToString(message, field, i, &one);
      absl::StrAppend(&text, i == 0 ? "" : " ", one);
    }
  } else if (!field->has_presence() || reflection->HasField(message, field)) {
    TextFormat::PrintFieldValueToString(message, field, -1, &text);
  }
  return text.empty() ? "nothing" : text;
}

std::string LengthOf(const Message& message, const FieldDescriptor* field) {
  return absl::StrCat(message.GetReflection()->FieldSize(message, field),
                      " numbers");
}

ProfileDifference DifferenceIn(const Message& given, const Message& existing,
                               const std::string& prefix) {
  const auto* type = given.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string path = absl::StrCat(prefix, field->name());
    const bool is_message =
        field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (is_message && given.GetReflection()->HasField(given, field) &&
        existing.GetReflection()->HasField(existing, field)) {
      ProfileDifference inside =
          DifferenceIn(given.GetReflection()->GetMessage(given, field),
                       existing.GetReflection()->GetMessage(existing, field),
                       absl::StrCat(path, "."));
      if (!inside.field.empty()) return inside;
      continue;
    }
    ProfileDifference difference{path, ValueOf(given, field),
                                 ValueOf(existing, field)};
    if (difference.given == difference.existing) continue;
    // A list may be longer than what an error can say.
    if (field->is_repeated()) {
      difference.given = LengthOf(given, field);
      difference.existing = LengthOf(existing, field);
      if (difference.given == difference.existing) {
        difference.given = "other numbers";
      }
    }
    return difference;
  }
  return {};
}

}  // namespace

absl::StatusOr<memory::Profile> ProfileFromProto(const v1::Profile& given) {
  if (!given.preset().empty()) {
    ASSIGN_OR_RETURN(const v1::Profile merged, OverPreset(given));
    return ProfileFromProto(merged);
  }
  memory::Profile profile;
  profile.name = given.name();
  profile.layers = given.layers();
  profile.query_heads = given.query_heads();
  profile.kv_heads = given.kv_heads();
  profile.key_dim = given.key_dim();
  profile.value_dim = given.value_dim();
  if (given.data_type() != v1::DATA_TYPE_UNSPECIFIED) {
    ASSIGN_OR_RETURN(profile.dtype,
                     DTypeFromProto(given.data_type(), "profile.data_type"));
  }
  if (given.has_logit_scale()) {
    RETURN_IF_ERROR(CheckAbove("profile.logit_scale", given.logit_scale(), 0));
    profile.logit_scale = given.logit_scale();
  }
  profile.head_scales = FloatsOf(given.head_scales());
  if (given.has_logit_softcap()) {
    RETURN_IF_ERROR(
        CheckAbove("profile.logit_softcap", given.logit_softcap(), 0));
    profile.logit_softcap = given.logit_softcap();
  }
  ASSIGN_OR_RETURN(profile.normalization,
                   kNormalizations.FromProto(given.normalization(),
                                             "profile.normalization"));
  if (given.has_position()) {
    ASSIGN_OR_RETURN(profile.position, PositionFromProto(given.position()));
  }
  if (given.has_sink()) {
    ASSIGN_OR_RETURN(profile.sink, SinkFromProto(given.sink()));
  }
  if (given.has_window()) {
    ASSIGN_OR_RETURN(profile.window, WindowFromProto(given.window()));
  }
  if (given.has_knn()) {
    ASSIGN_OR_RETURN(profile.knn, KnnFromProto(given.knn()));
  }
  if (given.has_compressive()) {
    ASSIGN_OR_RETURN(profile.compressive,
                     CompressiveFromProto(given.compressive()));
  }
  profile.text_encoder = given.text_encoder();
  return profile;
}

v1::Profile ProfileToProto(const memory::Profile& profile) {
  v1::Profile proto;
  proto.set_name(profile.name);
  proto.set_layers(profile.layers);
  proto.set_query_heads(profile.query_heads);
  proto.set_kv_heads(profile.kv_heads);
  proto.set_key_dim(profile.key_dim);
  proto.set_value_dim(profile.value_dim);
  proto.set_data_type(DTypeToProto(profile.dtype));
  proto.set_logit_scale(profile.logit_scale);
  proto.mutable_head_scales()->Assign(profile.head_scales.begin(),
                                      profile.head_scales.end());
  if (profile.logit_softcap > 0) {
    proto.set_logit_softcap(profile.logit_softcap);
  }
  proto.set_normalization(kNormalizations.ToProto(profile.normalization));
  SetPosition(profile.position, proto.mutable_position());
  if (profile.sink) {
    proto.mutable_sink()->set_tokens(profile.sink->tokens);
    SetRule(profile.sink->positions, proto.mutable_sink()->mutable_positions());
  }
  if (profile.window) {
    v1::WindowTier* window = proto.mutable_window();
    window->set_tokens(profile.window->tokens);
    window->set_commit(kCommits.ToProto(profile.window->commit));
    window->set_block_tokens(profile.window->block_tokens);
    SetRule(profile.window->positions, window->mutable_positions());
  }
  if (profile.knn) SetKnn(profile, proto.mutable_knn());
  if (profile.compressive) {
    SetCompressive(*profile.compressive, proto.mutable_compressive());
  }
  proto.set_text_encoder(profile.text_encoder);
  return proto;
}

ProfileDifference FirstDifference(const memory::Profile& given,
                                  const memory::Profile& existing) {
  // The name last: it says the least about what differs.
  v1::Profile ours = ProfileToProto(given);
  v1::Profile theirs = ProfileToProto(existing);
  ours.clear_name();
  theirs.clear_name();
  ProfileDifference difference = DifferenceIn(ours, theirs, "");
  if (difference.field.empty() && given.name != existing.name) {
    difference = {"name", given.name, existing.name};
  }
  return difference;
}

absl::Status SetPreset(const memory::Preset& preset, v1::ProfilePreset* proto) {
  ASSIGN_OR_RETURN(const memory::Profile profile,
                   memory::Complete(preset.profile));
  *proto->mutable_profile() = ProfileToProto(profile);
  proto->set_summary(std::string(preset.summary));
  proto->set_source(std::string(preset.source));
  proto->set_differences(std::string(preset.differences));
  return absl::OkStatus();
}

}  // namespace mneme::service
