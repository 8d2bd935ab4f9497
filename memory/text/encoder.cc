#include "memory/text/encoder.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "memory/text/words.h"

namespace mneme::memory {
namespace {

using Sums = std::array<int64_t, HashEncoder::kDim>;

// One repetition of a word weighs kUnit; all n of them kUnit * sqrt(n).
constexpr int64_t kUnit = 256;

// What a function word weighs against another: enough to tell apart texts that
// have nothing else, too little to make "what did you" resemble "what did she".
constexpr int64_t kStopDivisor = 10;

// The length of one word's vector of n-grams, before its weight.
constexpr int64_t kGramsLength = 1024;

// Below this, 128 squares fit into 63 bits.
constexpr int64_t kSumMax = int64_t{1} << 27;

constexpr uint64_t kGramSeed = 1;  // An n-gram is not the word it spells.

// Adds `weight` with a sign at four places; places may coincide.
void AddFeature(uint64_t hash, int64_t weight, Sums& sums) {
  for (int i = 0; i < 4; ++i) {
    const uint64_t byte = hash >> (8 * i) & 0xff;  // 7 bits place, 1 bit sign.
    sums[byte & 0x7f] += (byte & 0x80) != 0 ? weight : -weight;
  }
}

int64_t SumOfSquares(const Sums& sums) {
  int64_t squares = 0;
  for (const int64_t sum : sums) squares += sum * sum;
  return squares;
}

// The sum of the features of `word`'s n-grams, of length kGramsLength; "^" and
// "$" stand for the ends. N-grams are of bytes cut at code points.
Sums GramsOf(std::string_view word) {
  std::array<char, kWordBytesMax + 2> bytes;
  bytes[0] = '^';
  std::copy(word.begin(), word.end(), bytes.begin() + 1);
  bytes[word.size() + 1] = '$';
  std::array<size_t, kWordBytesMax + 3> starts;  // Of code points, and the end.
  size_t count = 0;
  for (size_t i = 0; i < word.size() + 2; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) starts[count++] = i;
  }
  starts[count] = word.size() + 2;
  Sums sums = {};
  for (size_t n = 3; n <= 5; ++n) {
    for (size_t i = 0; i + n <= count; ++i) {
      const size_t size = starts[i + n] - starts[i];
      AddFeature(XXH3_64bits_withSeed(&bytes[starts[i]], size, kGramSeed), 1,
                 sums);
    }
  }
  const double length = std::sqrt(static_cast<double>(SumOfSquares(sums)));
  if (length == 0) return sums;
  for (int64_t& sum : sums) {
    sum =
        static_cast<int64_t>(static_cast<double>(sum * kGramsLength) / length);
  }
  return sums;
}

void WriteUnit(Sums& sums, std::span<float> key) {
  int64_t largest = 0;
  for (const int64_t sum : sums) largest = std::max(largest, std::abs(sum));
  for (; largest >= kSumMax; largest /= 2) {
    for (int64_t& sum : sums) sum /= 2;
  }
  const double length = std::sqrt(static_cast<double>(SumOfSquares(sums)));
  for (size_t i = 0; i < sums.size(); ++i) {
    key[i] = length == 0
                 ? 0.0f
                 : static_cast<float>(static_cast<double>(sums[i]) / length);
  }
}

int64_t WeightOf(uint64_t term, size_t count) {
  const int64_t weight = static_cast<int64_t>(
      std::sqrt(static_cast<double>(count)) * static_cast<double>(kUnit));
  return IsStopTerm(term) ? weight / kStopDivisor : weight;
}

struct Word {
  uint64_t term = 0;
  std::string folded;
  friend auto operator<=>(const Word&, const Word&) = default;
};

}  // namespace

void HashEncoder::Encode(std::string_view text, std::span<float> keys) const {
  CHECK(keys.size() == size_t{kHeads} * kDim);
  std::vector<Word> words;
  ForEachWord(text, [&](Span, std::string_view folded) {
    words.push_back({TermOf(folded), std::string(folded)});
  });
  std::sort(words.begin(), words.end());
  Sums stems = {};
  Sums grams = {};
  for (auto term = words.begin(); term != words.end();) {
    const auto term_end = std::find_if(
        term, words.end(), [&](const Word& w) { return w.term != term->term; });
    AddFeature(term->term,
               WeightOf(term->term, static_cast<size_t>(term_end - term)),
               stems);
    while (term != term_end) {
      const auto form_end = std::find_if(
          term, term_end, [&](const Word& w) { return w != *term; });
      const int64_t weight =
          WeightOf(term->term, static_cast<size_t>(form_end - term));
      const Sums word = GramsOf(term->folded);
      for (size_t i = 0; i < word.size(); ++i) grams[i] += weight * word[i];
      term = form_end;
    }
  }
  WriteUnit(stems, keys.first(kDim));
  WriteUnit(grams, keys.last(kDim));
}

}  // namespace mneme::memory
