// base/suggest.h: what a mistyped word was probably meant to be.

#ifndef MNEME_BASE_SUGGEST_H_
#define MNEME_BASE_SUGGEST_H_

#include <string>
#include <string_view>
#include <vector>

namespace mneme::base {

// Insertions, deletions, replacements and swaps of neighbours that turn `a`
// into `b`, no place edited twice (optimal string alignment).
int EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, the first of equals; empty when even that
// one is further than a third of the word's length (at least 1, at most 3).
std::string Closest(std::string_view word,
                    const std::vector<std::string>& candidates);

// ` (did you mean "X"?)`, or nothing.
std::string DidYouMean(std::string_view word,
                       const std::vector<std::string>& candidates);

}  // namespace mneme::base

#endif  // MNEME_BASE_SUGGEST_H_
