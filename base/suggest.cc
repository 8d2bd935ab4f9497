#include "base/suggest.h"

#include <algorithm>

namespace mneme::base {

int EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> cost(a.size() + 1,
                                     std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::string Closest(std::string_view word,
                    const std::vector<std::string>& candidates) {
  // A whole file given where a word was expected is no typo, and long.
  constexpr size_t kWordBytesMax = 64;
  if (word.size() > kWordBytesMax) return "";
  int distance = std::clamp(static_cast<int>(word.size()) / 3, 1, 3) + 1;
  std::string closest;
  for (const std::string& candidate : candidates) {
    const int d = EditDistance(word, candidate);
    if (d < distance) {
      distance = d;
      closest = candidate;
    }
  }
  return closest;
}

std::string DidYouMean(std::string_view word,
                       const std::vector<std::string>& candidates) {
  const std::string closest = Closest(word, candidates);
  return closest.empty() ? "" : " (did you mean \"" + closest + "\"?)";
}

}  // namespace mneme::base
