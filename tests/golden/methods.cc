#include "tests/golden/methods.h"

#include <map>

namespace mneme::golden {

Method FindMethod(const std::string& name) {
  static const std::map<std::string, Method> methods = {
      {"attention", Attention},
      {"infini", Infini},
      {"linear_attention", LinearAttention},
      {"rope_default", RopeDefault},
      {"rope_yarn", RopeYarn},
  };
  const auto found = methods.find(name);
  return found == methods.end() ? nullptr : found->second;
}

}  // namespace mneme::golden
