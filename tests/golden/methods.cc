#include "tests/golden/methods.h"

#include <map>

namespace mneme::golden {

Method FindMethod(const std::string& name) {
  static const std::map<std::string, Method> methods = {
      {"alibi", Alibi},
      {"attention", Attention},
      {"dilated", Dilated},
      {"infini", Infini},
      {"landmark", Landmark},
      {"linear_attention", LinearAttention},
      {"lm_infinite", LmInfinite},
      {"longllama", LongLlama},
      {"longmem", LongMem},
      {"memorizing_joint", MemorizingJoint},
      {"performer", Performer},
      {"rope_default", RopeDefault},
      {"rope_dynamic_ntk", RopeDynamicNtk},
      {"rope_linear", RopeLinear},
      {"rope_llama3", RopeLlama3},
      {"rope_longrope", RopeLongRope},
      {"rope_ntk_aware", RopeNtkAware},
      {"rope_ntk_by_parts", RopeNtkByParts},
      {"rope_yarn", RopeYarn},
      {"s2_attn", ShiftedSparse},
      {"streaming_llm", StreamingLlm},
      {"xpos", Xpos},
  };
  const auto found = methods.find(name);
  return found == methods.end() ? nullptr : found->second;
}

}  // namespace mneme::golden
