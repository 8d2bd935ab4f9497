#include "memory/text/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/memory/text/random_text.h"

namespace mneme::memory {
namespace {

using ::testing::Each;

constexpr size_t kDim = HashEncoder::kDim;

std::vector<float> Encode(std::string_view text) {
  std::vector<float> keys(HashEncoder::kHeads * kDim, 7.0f);
  HashEncoder().Encode(text, keys);
  return keys;
}

double Dot(std::span<const float> a, std::span<const float> b) {
  double dot = 0;
  for (size_t i = 0; i < a.size(); ++i) dot += double{a[i]} * double{b[i]};
  return dot;
}

double Cosine(std::string_view a, std::string_view b, size_t head) {
  const std::vector<float> x = Encode(a);
  const std::vector<float> y = Encode(b);
  return Dot(std::span(x).subspan(head * kDim, kDim),
             std::span(y).subspan(head * kDim, kDim));
}

// 128 squares of floats, each within half a unit in the last place.
constexpr double kUnitTolerance = 1e-6;

TEST(Encoder, KeysHaveUnitLengthOrAreZero) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 300; ++round) {
    const std::vector<float> keys = Encode("w " + random.Text(40));
    for (size_t head = 0; head < 2; ++head) {
      const auto key = std::span(keys).subspan(head * kDim, kDim);
      EXPECT_NEAR(Dot(key, key), 1.0, kUnitTolerance);
    }
  }
  EXPECT_THAT(Encode(""), Each(0.0f));
  EXPECT_THAT(Encode("🎉 ... !"), Each(0.0f));
}

TEST(Encoder, TheOrderAndCaseOfWordsDoNotMatter) {
  EXPECT_EQ(Encode("Melanie painted a sunrise"),
            Encode("a sunrise; painted MELANIE?"));
}

TEST(Encoder, AnInflectionIsTheSameWordAndNearlyTheSameLetters) {
  EXPECT_NEAR(Cosine("painted", "painting", 0), 1.0, kUnitTolerance);
  EXPECT_GT(Cosine("painted", "painting", 1), 0.3);
}

TEST(Encoder, ATypingErrorIsAnotherWordButSimilarLetters) {
  const std::string_view text = "Melanie painted the sunrise";
  EXPECT_LT(Cosine("sunrsie", text, 0), 0.3);
  EXPECT_GT(Cosine("sunirse", "sunrise", 1), Cosine("carpet", "sunrise", 1));
}

TEST(Encoder, FunctionWordsWeighLittle) {
  for (size_t head = 0; head < 2; ++head) {
    // Three words of a tenth each: 1 / sqrt(1.03), less what hashes collide.
    EXPECT_GT(Cosine("what did the dentist", "dentist", head), 0.9);
  }
}

TEST(Encoder, AnEndlessTextDoesNotOverflow) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) {
    text += "w" + std::to_string(i) + " again again ";
  }
  const std::vector<float> keys = Encode(text);
  for (size_t head = 0; head < 2; ++head) {
    const auto key = std::span(keys).subspan(head * kDim, kDim);
    EXPECT_NEAR(Dot(key, key), 1.0, kUnitTolerance);
  }
}

// Keys are stored and compared with queries of other machines.
TEST(Encoder, KeysAreWhatTheyWereToTheBit) {
  const std::vector<float> keys =
      Encode("When did Melanie paint the sunrise? In 2022, день, 東京.");
  EXPECT_EQ(XXH3_64bits(keys.data(), keys.size() * sizeof(float)),
            6561751511753399772u);
}

}  // namespace
}  // namespace mneme::memory
