// tests/memory/text/random_text.h: seeded texts of every kind of character.

#ifndef MNEME_TESTS_MEMORY_TEXT_RANDOM_TEXT_H_
#define MNEME_TESTS_MEMORY_TEXT_RANDOM_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/testing/random.h"

namespace mneme::memory {

// Failures in its scope print the seed.
class RandomText {
 public:
  explicit RandomText(uint64_t seed) : random_(seed) {}

  // In [0, bound).
  size_t Below(size_t bound) {
    return static_cast<size_t>(random_.Int(0, static_cast<int64_t>(bound) - 1));
  }

  double Uniform() { return random_.Uniform(0, 1); }

  // `pieces` words, marks, blanks and line breaks of many scripts.
  std::string Text(size_t pieces) {
    static constexpr std::string_view kPieces[] = {"a",
                                                   "It",
                                                   "was",
                                                   "Mr",
                                                   "naïve",
                                                   "Straße",
                                                   "день",
                                                   "東京都",
                                                   "มหาวิทยาลัย",
                                                   "مرحبا",
                                                   "नमस्ते",
                                                   "3.14",
                                                   "42",
                                                   "don't",
                                                   ".",
                                                   ".",
                                                   "!",
                                                   "?",
                                                   ",",
                                                   "…",
                                                   "。",
                                                   " ",
                                                   " ",
                                                   " ",
                                                   " ",
                                                   " ",
                                                   " ",
                                                   "\n",
                                                   "\n\n",
                                                   "\r\n",
                                                   "\t",
                                                   "\u00a0",
                                                   "\u2029",
                                                   "👩‍👩‍👧",
                                                   "🎉",
                                                   "❤️",
                                                   "e\u0301",
                                                   "-",
                                                   "\"",
                                                   "(",
                                                   ")",
                                                   "😀",
                                                   "internationalisation"};
    std::string text;
    for (size_t i = 0; i < pieces; ++i)
      text += kPieces[Below(std::size(kPieces))];
    if (Below(8) == 0) text += '\0';
    return text;
  }

  // Bytes that are mostly not UTF-8.
  std::string Bytes(size_t size) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(Below(256));
    return bytes;
  }

 private:
  testing::Random random_;
};

}  // namespace mneme::memory

#endif  // MNEME_TESTS_MEMORY_TEXT_RANDOM_TEXT_H_
