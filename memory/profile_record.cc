// One list of fields for both directions: what is written is what is read.

#include "memory/profile_record.h"

#include <optional>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"

namespace mneme::memory {
namespace {

class Writer {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void operator()(const T& number) { out_.Number(number); }
  template <typename E>
  void Enum(const E& value, E /*last*/) {
    out_.Number(static_cast<uint8_t>(value));
  }
  void operator()(const std::string& text) { out_.Text(text); }
  template <typename T>
  void operator()(const std::vector<T>& numbers) {
    out_.Number(static_cast<uint32_t>(numbers.size()));
    for (const T number : numbers) out_.Number(number);
  }
  // What `visit` writes of the value, if there is one.
  template <typename T, typename Visit>
  void Optional(const std::optional<T>& value, Visit visit) {
    out_.Number(static_cast<uint8_t>(value.has_value()));
    if (value) visit(*value);
  }
  std::string Take() { return out_.Take(); }

 private:
  base::ByteWriter out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}

  template <typename T>
  requires std::is_arithmetic_v<T>
  void operator()(T& number) { number = in_.Number<T>(); }
  void operator()(bool& value) {
    const auto number = in_.Number<uint8_t>();
    sound_ = sound_ && number <= 1;
    value = number == 1;
  }
  template <typename E>
  void Enum(E& value, E last) {
    const auto number = in_.Number<uint8_t>();
    sound_ = sound_ && number <= static_cast<uint8_t>(last);
    if (sound_) value = static_cast<E>(number);
  }
  void operator()(std::string& text) { text = in_.Text(); }
  template <typename T>
  void operator()(std::vector<T>& numbers) {
    const auto count = in_.Number<uint32_t>();
    for (uint32_t i = 0; i < count && in_.ok(); ++i) {
      numbers.push_back(in_.Number<T>());
    }
  }
  template <typename T, typename Visit>
  void Optional(std::optional<T>& value, Visit visit) {
    if (in_.Number<uint8_t>() != 0) visit(value.emplace());
  }
  bool done() const { return in_.done() && sound_; }

 private:
  base::ByteReader in_;
  bool sound_ = true;
};

template <typename Io, typename Position>
void VisitPosition(Io& io, Position& position) {
  using attention::PositionFamily;
  using attention::RotaryLayout;
  const auto number = [&](auto& value) { io(value); };
  io.Enum(position.family, PositionFamily::kLearned);
  io.Enum(position.layout, RotaryLayout::kInterleaved);
  io(position.theta);
  io(position.rotary_dim);
  io(position.yarn.factor);
  io(position.yarn.original_length);
  io(position.yarn.beta_fast);
  io(position.yarn.beta_slow);
  io.Optional(position.yarn.attention_factor, number);
  io(position.yarn.attn_factor);
  io(position.yarn.extrapolation_factor);
  io(position.yarn.truncate);
  io(position.yarn.mscale);
  io(position.yarn.mscale_all_dim);
  io(position.linear.factor);
  io(position.ntk_aware.alpha);
  io(position.ntk_by_parts.factor);
  io(position.ntk_by_parts.original_length);
  io(position.ntk_by_parts.beta_fast);
  io(position.ntk_by_parts.beta_slow);
  io(position.ntk_by_parts.gamma_fast);
  io(position.ntk_by_parts.gamma_slow);
  io(position.ntk_by_parts.ntk_factor);
  io(position.ntk_by_parts.extrapolation_factor);
  io(position.dynamic_ntk.factor);
  io(position.dynamic_ntk.max_position);
  io(position.long_rope.short_factors);
  io(position.long_rope.long_factors);
  io(position.long_rope.original_length);
  io(position.long_rope.max_position);
  io.Optional(position.long_rope.attention_factor, number);
  io(position.llama3.factor);
  io(position.llama3.original_length);
  io(position.llama3.low_freq_factor);
  io(position.llama3.high_freq_factor);
  io(position.xpos.scale_base);
  io(position.alibi.bias_max);
  io.Optional(position.alibi.clip_distance, number);
  io(position.relative_bias.biases);
}

template <typename Io, typename Rule>
void VisitRule(Io& io, Rule& rule) {
  io.Enum(rule.policy, PositionPolicy::kCacheRank);
  io(rule.distance);
}

template <typename Io, typename AnyProfile>
void VisitProfile(Io& io, AnyProfile& profile) {
  using attention::DType;
  using attention::EmptyMemory;
  io(profile.name);
  io(profile.layers);
  io(profile.query_heads);
  io(profile.kv_heads);
  io(profile.key_dim);
  io(profile.value_dim);
  io.Enum(profile.dtype, DType::kBF16);
  io(profile.logit_scale);
  io(profile.head_scales);
  io(profile.logit_softcap);
  io.Enum(profile.normalization, Normalization::kL2AddedEpsilon);
  VisitPosition(io, profile.position);
  io.Optional(profile.sink, [&](auto& sink) {
    io(sink.tokens);
    VisitRule(io, sink.positions);
  });
  io.Optional(profile.window, [&](auto& window) {
    io(window.tokens);
    io.Enum(window.commit, CommitPolicy::kStep);
    io(window.block_tokens);
    VisitRule(io, window.positions);
  });
  io.Optional(profile.knn, [&](auto& knn) {
    io(knn.top_k);
    VisitRule(io, knn.positions);
    io.Optional(knn.dtype, [&](auto& dtype) { io.Enum(dtype, DType::kBF16); });
    io(knn.chunk_tokens);
    io.Enum(knn.chunk_score, ChunkScore::kLandmark);
    io.Enum(knn.scope, SelectionScope::kKvGroup);
    io(knn.max_tokens);
    io(knn.gate_logits);
    io.Enum(knn.empty_memory, EmptyMemory::kStrict);
  });
  io.Optional(profile.compressive, [&](auto& tier) {
    io(tier.segment_tokens);
    io.Enum(tier.update, UpdateRule::kDelta);
    io(tier.gate_logits);
    io.Enum(tier.empty_memory, EmptyMemory::kStrict);
    io.Optional(tier.performer, [&](auto& performer) {
      io(performer.count);
      io(performer.seed);
      io.Enum(performer.kernel, attention::PerformerKernel::kRelu);
    });
  });
  io(profile.text_encoder);
}

}  // namespace

std::string EncodeProfile(const Profile& profile) {
  Writer writer;
  VisitProfile(writer, profile);
  return writer.Take();
}

absl::StatusOr<Profile> DecodeProfile(std::string_view bytes) {
  Reader reader(bytes);
  Profile profile;
  VisitProfile(reader, profile);
  if (!reader.done()) {
    return absl::DataLossError("a profile record is malformed");
  }
  // A record that passed its checksum holds what Complete once returned; what
  // does not pass again was not written by us.
  absl::StatusOr<Profile> checked = Complete(profile);
  if (!checked.ok()) {
    return absl::DataLossError(absl::StrCat("a profile record is not sound: ",
                                            checked.status().message()));
  }
  return checked;
}

}  // namespace mneme::memory
