// Any bytes as text: passages, words, tokens and keys are what they promise.
// Input: one byte that sets the limit, two that say where to cut, the text.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"
#include "memory/text/encoder.h"
#include "memory/text/passages.h"
#include "memory/text/terms.h"

namespace mneme::memory {
namespace {

void CheckUtf8(std::string_view text) {
  const auto invalid = base::FirstInvalidUtf8(text);
  CHECK(!invalid || *invalid < text.size());
  if (invalid) CHECK(!base::FirstInvalidUtf8(text.substr(0, *invalid)));
  CHECK(base::CodePointCount(text) <= text.size());
}

// In bounds and in order; between sentences there is white space only, and
// none at their ends.
void CheckPassages(std::string_view text, size_t characters_max) {
  const bool valid = !base::FirstInvalidUtf8(text);
  const auto passages = CutPassages(text, {.characters_max = characters_max});
  uint32_t at = 0;
  for (const Passage& passage : passages) {
    CHECK(!passage.sentences.empty());
    CHECK(passage.bytes.begin == passage.sentences.front().begin);
    CHECK(passage.bytes.end == passage.sentences.back().end);
    for (const Span& sentence : passage.sentences) {
      CHECK(at <= sentence.begin && sentence.begin < sentence.end);
      CHECK(sentence.end <= text.size());
      if (valid) {
        CHECK(base::IsBlank(text.substr(at, sentence.begin - at)));
        CHECK(base::IsCodePointBoundary(text, sentence.begin));
        CHECK(base::IsCodePointBoundary(text, sentence.end));
      }
      at = sentence.end;
    }
    const Span bytes = passage.bytes;
    CHECK(!valid ||
          base::CodePointCount(text.substr(
              bytes.begin, bytes.end - bytes.begin)) <= characters_max);
  }
  if (valid) {
    CHECK(base::IsBlank(text.substr(at)));
    CHECK(passages.empty() == base::IsBlank(text));
  }
}

void CheckTerms(std::string_view text) {
  const std::vector<TermCount> terms = TermsOf(text);
  uint64_t counted = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    CHECK(terms[i].count > 0);
    CHECK(i == 0 || terms[i - 1].term < terms[i].term);
    counted += terms[i].count;
  }
  const std::vector<WordAt> words = WordsOf(text);
  CHECK(words.size() == counted);
  uint32_t at = 0;
  for (const WordAt& word : words) {
    CHECK(at <= word.bytes.begin && word.bytes.begin < word.bytes.end);
    CHECK(word.bytes.end <= text.size());
    CHECK(std::any_of(
        terms.begin(), terms.end(),
        [&word](const TermCount& term) { return term.term == word.term; }));
    at = word.bytes.end;
  }
}

void CheckTokens(std::string_view text, size_t cut) {
  cut = std::min(cut, text.size());
  CHECK(TokenCount(text) <=
        TokenCount(text.substr(0, cut)) + TokenCount(text.substr(cut)));
  CHECK(TokenCount(text) <= text.size());
}

// Of length 1, or all zeros.
void CheckKeys(std::string_view text) {
  const HashEncoder encoder;
  std::array<float, HashEncoder::kHeads * HashEncoder::kDim> keys;
  keys.fill(std::nanf(""));
  encoder.Encode(text, keys);
  for (int head = 0; head < HashEncoder::kHeads; ++head) {
    double square = 0;
    for (int i = 0; i < HashEncoder::kDim; ++i) {
      const double x = keys[head * HashEncoder::kDim + i];
      square += x * x;
    }
    // Each of the squares is off by two roundings, relative to itself.
    CHECK(square == 0 || std::abs(square - 1) < 4 * 1.2e-7);
  }
}

}  // namespace
}  // namespace mneme::memory

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mneme::memory;
  mneme::base::ByteReader in({reinterpret_cast<const char*>(data), size});
  const size_t characters_max = in.Number<uint8_t>() + size_t{1};
  const size_t cut = in.Number<uint16_t>();
  const std::string_view text = in.Raw(in.left());
  CheckUtf8(text);
  CheckPassages(text, characters_max);
  CheckTerms(text);
  CheckTokens(text, cut);
  CheckKeys(text);
  return 0;
}
