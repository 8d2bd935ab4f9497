// tests/eval/characters.h: from bytes, which the wire counts, to Unicode
// characters, which the sets count.

#ifndef MNEME_TESTS_EVAL_CHARACTERS_H_
#define MNEME_TESTS_EVAL_CHARACTERS_H_

#include <cstddef>
#include <string_view>
#include <vector>

namespace mneme::eval {

// The character index of any byte of one text, in a step of constant size.
// Lifetime: `text` outlives it.
class Characters {
 public:
  explicit Characters(std::string_view text);

  // Characters that begin before byte `offset`; beyond the end, all of them.
  size_t Before(size_t offset) const;

 private:
  static constexpr size_t kStep = 256;

  std::string_view text_;
  std::vector<size_t> before_step_;  // Characters before byte i * kStep.
};

}  // namespace mneme::eval

#endif  // MNEME_TESTS_EVAL_CHARACTERS_H_
