// attention/position_config.h: the parameters of each way to encode positions.

#ifndef MNEME_ATTENTION_POSITION_CONFIG_H_
#define MNEME_ATTENTION_POSITION_CONFIG_H_

#include "absl/status/status.h"
#include "attention/alibi.h"
#include "attention/interpolation.h"
#include "attention/llama3.h"
#include "attention/long_rope.h"
#include "attention/ntk.h"
#include "attention/relative_bias.h"
#include "attention/xpos.h"
#include "attention/yarn.h"

namespace mneme::attention {

// The numbers are stored; new ones go last.
enum class PositionFamily {
  kNone,
  kRope,
  kYarn,
  kLinear,
  kNtkAware,
  kNtkByParts,
  kDynamicNtk,
  kLongRope,
  kLlama3,
  kXpos,
  kAlibi,         // No rotation: see AlibiBias.
  kRelativeBias,  // No rotation: see RelativeBias.
  kLearned,       // Added to the hidden states, and so in the keys already.
};

// Whether queries and keys are turned by their positions.
bool Rotates(PositionFamily family);

// Which components form pair j of a rotary width n: (j, j + n/2), as in Llama's
// checkpoints, or (2j, 2j + 1), as in the RoPE paper.
enum class RotaryLayout { kHalfSplit, kInterleaved };

// Only the parameters of the family are read.
struct PositionConfig {
  PositionFamily family = PositionFamily::kNone;
  RotaryLayout layout = RotaryLayout::kHalfSplit;
  double theta = 10000;
  int rotary_dim = 0;  // Leading components that turn; 0: the whole head.
  YarnConfig yarn = {};
  LinearConfig linear = {};
  NtkAwareConfig ntk_aware = {};
  NtkByPartsConfig ntk_by_parts = {};
  DynamicNtkConfig dynamic_ntk = {};
  LongRopeConfig long_rope = {};
  Llama3Config llama3 = {};
  XposConfig xpos = {};
  AlibiConfig alibi = {};
  RelativeBiasConfig relative_bias = {};

  friend bool operator==(const PositionConfig&,
                         const PositionConfig&) = default;
};

// Whether keys of `key_dim` components can be encoded so; names the field that
// stands in the way ("position.theta"). Fields the family does not read are not
// looked at.
absl::Status Validate(const PositionConfig& config, int key_dim);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_POSITION_CONFIG_H_
