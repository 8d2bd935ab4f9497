// tests/golden/compare.h: is what was computed what was expected?

#ifndef MNEME_TESTS_GOLDEN_COMPARE_H_
#define MNEME_TESTS_GOLDEN_COMPARE_H_

#include <map>
#include <string>
#include <vector>

#include "tests/golden/case.h"

namespace mneme::golden {

// Row-major values of each output, by name.
using Outputs = std::map<std::string, std::vector<double>>;

struct Verdict {
  bool pass = true;
  double max_abs_err = 0;  // Over every element of every output.
  std::string why;         // The element furthest out, when not `pass`.
};

// Compares every output that the case wants; `got` may hold more.
Verdict Compare(const Case& c, const Outputs& got);

}  // namespace mneme::golden

#endif  // MNEME_TESTS_GOLDEN_COMPARE_H_
