#include "tests/bench/data.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_format.h"

namespace mneme::bench {
namespace {

constexpr size_t kVocabulary = 20'000;  // Of a novel.

std::vector<std::string> MakeVocabulary(std::mt19937_64& random) {
  constexpr std::string_view kConsonants = "bcdfghklmnprstvw";
  constexpr std::string_view kVowels = "aeiou";
  std::vector<std::string> words;
  words.reserve(kVocabulary);
  for (size_t rank = 0; rank < kVocabulary; ++rank) {
    std::string word;
    // Frequent words are short.
    const size_t syllables = 1 + (rank > 50) + random() % 2 + (rank > 5000);
    for (size_t i = 0; i < syllables; ++i) {
      word += kConsonants[random() % kConsonants.size()];
      word += kVowels[random() % kVowels.size()];
      if (random() % 2 == 0) word += kConsonants[random() % kConsonants.size()];
    }
    words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

uint64_t Seed() {
  const char* given = std::getenv("MNEME_SEED");
  const uint64_t seed =
      given == nullptr ? 20240731 : std::strtoull(given, nullptr, 10);
  absl::FPrintF(stderr, "MNEME_SEED=%d\n", seed);
  return seed;
}

std::vector<float> Normals(size_t count, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = normal(random);
  return numbers;
}

std::string Narrow(attention::DType dtype, const std::vector<float>& numbers) {
  std::string bytes(numbers.size() * attention::SizeOf(dtype), '\0');
  attention::FromFloat(dtype, numbers.data(), numbers.size(),
                       reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

std::vector<float> ClusteredKeys(size_t count, size_t dim, size_t centres,
                                 std::mt19937_64& random) {
  constexpr float kNoise = 0.3F;  // Of a centre's own standard deviation.
  const std::vector<float> centre = Normals(centres * dim, random);
  std::vector<float> keys = Normals(count * dim, random);
  for (size_t row = 0; row < count; ++row) {
    const float* nearest = centre.data() + random() % centres * dim;
    for (size_t i = 0; i < dim; ++i) {
      keys[row * dim + i] = nearest[i] + kNoise * keys[row * dim + i];
    }
  }
  return keys;
}

std::string Prose(size_t bytes, std::mt19937_64& random) {
  const std::vector<std::string> words = MakeVocabulary(random);
  // The inverse of the distribution function of 1 / rank, which is its log.
  std::uniform_real_distribution<double> log_rank(
      0, std::log(static_cast<double>(kVocabulary)));
  std::string text;
  text.reserve(bytes + 200);
  while (text.size() < bytes) {
    const size_t length = 5 + random() % 16;
    for (size_t i = 0; i < length; ++i) {
      const auto rank = static_cast<size_t>(std::exp(log_rank(random))) - 1;
      std::string word = words[std::min(rank, kVocabulary - 1)];
      if (i == 0) word[0] = static_cast<char>(word[0] - 'a' + 'A');
      text += word;
      text += i + 1 < length ? (random() % 12 == 0 ? ", " : " ") : ". ";
    }
    if (random() % 6 == 0) text.back() = '\n', text += '\n';
  }
  return text;
}

}  // namespace mneme::bench
