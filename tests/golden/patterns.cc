// Patterns over whole sequences, by the library's functions.

#include "attention/patterns.h"

#include "base/status_macros.h"
#include "tests/golden/methods.h"

namespace mneme::golden {
namespace {

using attention::HeadRows;

constexpr int64_t kLengthMax = int64_t{1} << 32;

struct Pattern {
  Heads in;
  float scale;
};

absl::StatusOr<Pattern> ReadPattern(const Case& c) {
  ASSIGN_OR_RETURN(Heads in, ReadSelfAttention(c));
  ASSIGN_OR_RETURN(const double scale, Required(c, "scale"));
  return Pattern{std::move(in), static_cast<float>(scale)};
}

// Runs `attend(head, rows, out, lse)` for every query head of `in`.
template <typename Attend>
Outputs EachHead(const Pattern& pattern, const Attend& attend) {
  const Heads& in = pattern.in;
  Outputs outputs;
  auto& out = outputs["out"];
  std::vector<float> head_out(in.rows * in.value_dim);
  std::vector<float> lse(in.rows);
  for (int64_t h = 0; h < in.heads; ++h) {
    const int64_t kv = h / (in.heads / in.kv_heads);
    const HeadRows rows = {in.q.data() + h * in.rows * in.key_dim,
                           in.k.data() + kv * in.tokens * in.key_dim,
                           in.v.data() + kv * in.tokens * in.value_dim,
                           static_cast<size_t>(in.tokens),
                           static_cast<size_t>(in.key_dim),
                           static_cast<size_t>(in.value_dim),
                           pattern.scale};
    attend(h, rows, head_out.data(), lse.data());
    out.insert(out.end(), head_out.begin(), head_out.end());
  }
  return outputs;
}

absl::StatusOr<attention::PositionEncoder> Rope(const Case& c,
                                                int64_t key_dim) {
  ASSIGN_OR_RETURN(const double theta, Required(c, "rope_theta"));
  return attention::PositionEncoder::Create(
      {.family = attention::PositionFamily::kRope, .theta = theta},
      static_cast<int>(key_dim));
}

}  // namespace

absl::StatusOr<Outputs> Dilated(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(const bool causal, c.Flag("causal"));
  if (!causal) return absl::UnimplementedError("keys of padding");
  ASSIGN_OR_RETURN(const Pattern pattern, ReadPattern(c));
  ASSIGN_OR_RETURN(const auto segments, c.Numbers("segment_length"));
  ASSIGN_OR_RETURN(const auto ratios, c.Numbers("dilated_ratio"));
  std::vector<attention::Dilation> branches;
  if (segments.size() != ratios.size()) {
    return absl::InvalidArgumentError("as many segments as ratios are needed");
  }
  for (size_t b = 0; b < segments.size(); ++b) {
    if (!(segments[b] >= 1 && segments[b] <= kLengthMax && ratios[b] >= 1 &&
          ratios[b] <= kLengthMax)) {
      return absl::InvalidArgumentError("segments and ratios are positive");
    }
    branches.push_back(
        {static_cast<size_t>(segments[b]), static_cast<size_t>(ratios[b])});
  }
  return EachHead(
      pattern, [&](int64_t head, const HeadRows& rows, float* out, float* lse) {
        attention::DilatedAttention(rows, static_cast<size_t>(head),
                                    static_cast<size_t>(pattern.in.heads),
                                    branches, out, lse);
      });
}

absl::StatusOr<Outputs> ShiftedSparse(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(const std::string variant, c.Text("variant"));
  if (variant != "flash")
    return absl::UnimplementedError("groups that wrap around");
  ASSIGN_OR_RETURN(Pattern pattern, ReadPattern(c));
  ASSIGN_OR_RETURN(const int64_t group,
                   WholeNumber(c, "group_size", 2, kLengthMax));
  Heads& in = pattern.in;
  ASSIGN_OR_RETURN(const auto encoder, Rope(c, in.key_dim));
  std::vector<int64_t> positions(in.tokens);
  for (int64_t t = 0; t < in.tokens; ++t) positions[t] = t;
  std::vector<float> cos(in.tokens * in.key_dim / 2);
  std::vector<float> sin(cos.size());
  encoder.Angles(positions, cos.data(), sin.data());
  for (std::vector<float>* rows : {&in.q, &in.k}) {
    for (size_t h = 0; h < rows->size(); h += in.tokens * in.key_dim) {
      encoder.Rotate(rows->data() + h, in.tokens, in.key_dim, cos.data(),
                     sin.data());
    }
  }
  return EachHead(
      pattern, [&](int64_t head, const HeadRows& rows, float* out, float* lse) {
        const int64_t shift = head < in.heads / 2 ? 0 : group / 2;
        attention::ShiftedGroups(rows, group, shift, out, lse);
      });
}

}  // namespace mneme::golden
