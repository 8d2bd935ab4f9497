#include "tests/golden/compare.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mneme::golden {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string Element(const std::string& name, const std::vector<int64_t>& shape,
                    size_t flat) {
  std::vector<int64_t> index(shape.size());
  auto rest = static_cast<int64_t>(flat);
  for (size_t i = shape.size(); i-- > 0;) {
    index[i] = rest % shape[i];
    rest /= shape[i];
  }
  return absl::StrCat(name, "[", absl::StrJoin(index, ","), "]");
}

}  // namespace

Verdict Compare(const Case& c, const Outputs& got) {
  Verdict verdict;
  double worst = 1;  // Error over what is allowed: above 1 is a failure.
  for (const std::string& name : c.outputs()) {
    const Array expected = *c.Tensor(name);
    const auto found = got.find(name);
    const size_t count = found == got.end() ? 0 : found->second.size();
    if (found == got.end() || count != expected.values.size()) {
      return {false, kInfinity,
              absl::StrCat(name, ": got ", count, " elements; expected ",
                           expected.values.size())};
    }
    const Tolerance& tolerance = c.ToleranceOf(name);
    for (size_t i = 0; i < count; ++i) {
      const double want = expected.values[i];
      const double is = found->second[i];
      // Equal infinities do not differ; a NaN differs from everything.
      double error = is == want ? 0 : std::abs(is - want);
      if (std::isnan(error)) error = kInfinity;
      verdict.max_abs_err = std::max(verdict.max_abs_err, error);
      const double allowed =
          tolerance.exact ? 0
                          : tolerance.atol + tolerance.rtol * std::abs(want);
      if (error == 0 || error <= allowed) continue;
      verdict.pass = false;
      const double excess = allowed == 0 ? kInfinity : error / allowed;
      if (excess <= worst) continue;
      worst = excess;
      verdict.why = absl::StrCat(Element(name, expected.shape, i), ": got ", is,
                                 "; expected ", want, " +- ", allowed);
    }
  }
  return verdict;
}

}  // namespace mneme::golden
