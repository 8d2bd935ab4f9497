#include "memory/key_reader.h"

#include "attention/dtype.h"

namespace mneme::memory {

KeyReader::KeyReader(const Profile& profile,
                     const attention::PositionEncoder& encoder)
    : profile_(profile),
      encoder_(encoder),
      keys_(kBlockTokens * profile.key_dim),
      values_(kBlockTokens * profile.value_dim),
      cos_(kBlockTokens * encoder.rotary_dim() / 2),
      sin_(cos_.size()) {}

const float* KeyReader::Keys(const BlockSlice& slice, size_t bank,
                             PositionPolicy policy) {
  attention::ToFloat(
      profile_.dtype,
      slice.block->keys(bank) + slice.first * profile_.key_bytes(),
      slice.count * profile_.key_dim, keys_.data());
  if (policy != PositionPolicy::kAbsolute || encoder_.rotary_dim() == 0) {
    return keys_.data();
  }
  if (angles_block_ != slice.block || angles_first_ != slice.first ||
      angles_count_ < slice.count) {
    encoder_.Angles(slice.block->positions().subspan(slice.first, slice.count),
                    cos_.data(), sin_.data());
    angles_block_ = slice.block;
    angles_first_ = slice.first;
    angles_count_ = slice.count;
  }
  encoder_.Rotate(keys_.data(), slice.count, profile_.key_dim, cos_.data(),
                  sin_.data());
  return keys_.data();
}

const float* KeyReader::Values(const BlockSlice& slice, size_t bank) {
  attention::ToFloat(
      profile_.dtype,
      slice.block->values(bank) + slice.first * profile_.value_bytes(),
      slice.count * profile_.value_dim, values_.data());
  return values_.data();
}

std::optional<attention::AlibiBias> BiasFor(const Profile& profile) {
  if (profile.position.family != attention::PositionFamily::kAlibi) return {};
  return attention::AlibiBias(profile.position.alibi,
                              static_cast<int>(profile.query_heads));
}

void PrepareQueries(const Profile& profile,
                    const attention::PositionEncoder& encoder,
                    PositionPolicy policy, int64_t distance,
                    std::span<const int64_t> positions,
                    std::vector<float>& queries) {
  const double m = encoder.attention_factor();
  const float scale = static_cast<float>(profile.logit_scale * m * m);
  for (float& number : queries) number *= scale;
  if (policy == PositionPolicy::kNone || encoder.rotary_dim() == 0) return;
  std::vector<int64_t> angles_at(positions.begin(), positions.end());
  if (policy == PositionPolicy::kConst) {
    angles_at.assign(positions.size(), distance);
  }
  std::vector<float> cos(positions.size() * encoder.rotary_dim() / 2);
  std::vector<float> sin(cos.size());
  encoder.Angles(angles_at, cos.data(), sin.data());
  const size_t head_floats = positions.size() * profile.key_dim;
  for (size_t head = 0; head < profile.query_heads; ++head) {
    encoder.Rotate(queries.data() + head * head_floats, positions.size(),
                   profile.key_dim, cos.data(), sin.data());
  }
}

}  // namespace mneme::memory
