// Infini-attention, through the server's segment window and compressive tier.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "attention/compressive.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

struct Setting {
  int64_t segment = 0;        // Tokens a segment.
  int64_t step = 0;           // Tokens appended and attended at a time.
  bool tail_written = false;  // A short last segment enters the state too.
  v1::Profile profile;
};

absl::StatusOr<Setting> ReadSetting(const Case& c, const Heads& in) {
  Setting setting;
  ASSIGN_OR_RETURN(const std::string update, c.Text("update"));
  ASSIGN_OR_RETURN(const std::string map, c.Text("gqa_memory_map"));
  if (map == "tile" && in.heads != in.kv_heads) {
    return absl::UnimplementedError("memory heads mapped by tile");
  }
  ASSIGN_OR_RETURN(const auto segment, c.Number("segment_length"));
  ASSIGN_OR_RETURN(const auto scale, c.Number("scale"));
  ASSIGN_OR_RETURN(const auto theta, c.Number("rope_theta"));
  ASSIGN_OR_RETURN(const std::string rope, c.Text("rope"));
  ASSIGN_OR_RETURN(const std::string gate_on, c.Text("gate_on"));
  ASSIGN_OR_RETURN(const std::string first, c.Text("first_segment"));
  ASSIGN_OR_RETURN(const std::string variant, c.Text("variant"));
  ASSIGN_OR_RETURN(const bool decode, c.Flag("decode"));
  ASSIGN_OR_RETURN(const Array gate, c.Tensor("gate", 1));
  if (!segment || *segment < 1 || *segment > 1 << 20 || !scale || !theta ||
      gate.shape[0] != in.heads || in.rows != in.tokens ||
      (update != "linear" && update != "delta")) {
    return absl::InvalidArgumentError(
        "segment_length, scale, rope_theta, a gate per head, as many queries "
        "as keys and a linear or delta update are required");
  }
  setting.segment = static_cast<int64_t>(*segment);
  setting.step = decode ? 1 : setting.segment;
  setting.tail_written = variant == "beomi";

  setting.profile = PresetFor("infini", in, *scale);
  v1::PositionEncoding& position = *setting.profile.mutable_position();
  position = RopeOf(*theta);
  if (rope == "interleaved") {
    position.set_layout(v1::ROTARY_LAYOUT_INTERLEAVED);
  }
  v1::CompressiveTier& tier = *setting.profile.mutable_compressive();
  tier.set_segment_tokens(static_cast<uint32_t>(setting.segment));
  tier.set_update(update == "delta" ? v1::UPDATE_RULE_DELTA
                                    : v1::UPDATE_RULE_LINEAR);
  tier.set_empty_memory(first == "memory_is_zero" ? v1::EMPTY_MEMORY_STRICT
                                                  : v1::EMPTY_MEMORY_BYPASS);
  for (const float logit : gate.Floats()) {
    tier.add_gate_logits(gate_on == "local" ? -logit : logit);
  }
  return setting;
}

// Adds the tail of `in` to `state` by the library's kernel: the server absorbs
// a segment only when a token follows a full one.
void AbsorbTail(const Heads& in, int64_t begin, WireSession::State& state) {
  const int64_t matrix_size = in.key_dim * in.value_dim;
  state.matrix.resize(in.kv_heads * matrix_size);
  state.normalizer.resize(in.kv_heads * in.key_dim);
  for (int64_t kv = 0; kv < in.kv_heads; ++kv) {
    attention::CompressiveState bank(static_cast<int>(in.key_dim),
                                     static_cast<int>(in.value_dim));
    attention::Absorb(in.k.data() + (kv * in.tokens + begin) * in.key_dim,
                      in.v.data() + (kv * in.tokens + begin) * in.value_dim,
                      in.tokens - begin, bank);
    for (int64_t i = 0; i < matrix_size; ++i) {
      state.matrix[kv * matrix_size + i] += bank.matrix[i];
    }
    for (int64_t i = 0; i < in.key_dim; ++i) {
      state.normalizer[kv * in.key_dim + i] += bank.normalizer[i];
    }
  }
}

// Plays a case through a session, step by step.
class Player {
 public:
  Player(const Case& c, const Heads& in, const Setting& setting,
         WireSession& session)
      : in_(in),
        setting_(setting),
        session_(session),
        wants_lse_(c.Wants("local_lse")) {}

  absl::StatusOr<Outputs> Play() {
    for (int64_t begin = 0; begin < in_.tokens; begin += setting_.step) {
      RETURN_IF_ERROR(Step(begin, std::min(in_.tokens, begin + setting_.step)));
    }
    const int64_t tail = in_.tokens % setting_.segment;
    if (tail == 0) {
      // Any token makes the state absorb the last segment.
      RETURN_IF_ERROR(session_.Append(in_, 0, 1, {in_.tokens}));
      RETURN_IF_ERROR(RecordState(in_.tokens));
    } else if (setting_.tail_written) {
      AbsorbTail(in_, in_.tokens - tail, state_);
      AddState();
    }
    return std::move(outputs_);
  }

 private:
  absl::Status Step(int64_t begin, int64_t end) {
    const std::vector<int64_t> positions = Positions(begin, end);
    RETURN_IF_ERROR(session_.Append(in_, begin, end, positions));
    if (begin > 0 && begin % setting_.segment == 0) {
      RETURN_IF_ERROR(RecordState(begin));
    }
    ASSIGN_OR_RETURN(const WireSession::Answer mixed,
                     session_.Attend(in_, begin, end, positions, {}));
    PlaceRows(mixed.out, in_.heads, in_.rows, in_.value_dim, begin,
              outputs_["out"]);
    if (!wants_lse_) return absl::OkStatus();
    ASSIGN_OR_RETURN(const WireSession::Answer local,
                     session_.Attend(in_, begin, end, positions,
                                     {.tiers = {v1::TIER_WINDOW}}));
    PlaceRows(local.lse, in_.heads, in_.rows, 1, begin, outputs_["local_lse"]);
    return absl::OkStatus();
  }

  absl::Status RecordState(int64_t absorbed) {
    ASSIGN_OR_RETURN(state_, session_.CompressiveState(absorbed));
    AddState();
    return absl::OkStatus();
  }

  void AddState() {
    std::vector<double>& m = outputs_["M"];
    m.insert(m.end(), state_.matrix.begin(), state_.matrix.end());
    std::vector<double>& z = outputs_["z"];
    z.insert(z.end(), state_.normalizer.begin(), state_.normalizer.end());
  }

  const Heads& in_;
  const Setting& setting_;
  WireSession& session_;
  const bool wants_lse_;
  WireSession::State state_;
  Outputs outputs_;
};

}  // namespace

absl::StatusOr<Outputs> Infini(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const Heads in, ReadHeads(c));
  ASSIGN_OR_RETURN(const Setting setting, ReadSetting(c, in));
  ASSIGN_OR_RETURN(const auto session,
                   WireSession::Create(client, setting.profile));
  return Player(c, in, setting, *session).Play();
}

}  // namespace mneme::golden
