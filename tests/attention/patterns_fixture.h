// tests/attention/patterns_fixture.h: one head of random rows, and how close a
// pattern must come to the reference.

#ifndef MNEME_TESTS_ATTENTION_PATTERNS_FIXTURE_H_
#define MNEME_TESTS_ATTENTION_PATTERNS_FIXTURE_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/patterns.h"
#include "gtest/gtest.h"
#include "tests/reference/patterns.h"
#include "tests/testing/random.h"

namespace mneme::attention {

struct RandomHead {
  RandomHead(testing::Random& random, size_t tokens, size_t key_dim,
             size_t value_dim)
      : queries(random.Normals(tokens * key_dim)),
        keys(random.Normals(tokens * key_dim)),
        values(random.Normals(tokens * value_dim)),
        rows{queries.data(),
             keys.data(),
             values.data(),
             tokens,
             key_dim,
             value_dim,
             static_cast<float>(1 / std::sqrt(key_dim))},
        out(tokens * value_dim, 99.0f),
        lse(tokens, 99.0f) {}
  RandomHead(const RandomHead&) = delete;

  double Logit(size_t i, size_t j) const {
    return rows.scale * reference::Dot(&queries[i * rows.key_dim],
                                       &keys[j * rows.key_dim], rows.key_dim);
  }

  // Logits carry at most key_dim + 3 roundings of their products' magnitudes
  // and 10 of a rotation of both sides; a weight twice a logit's error. Tiles
  // of 128 keys are summed in float.
  double Tolerance() const {
    double largest = 0;
    const auto unit = 0x1p-24;
    for (size_t i = 0; i < rows.tokens; ++i) {
      for (size_t j = 0; j < rows.tokens; ++j) {
        const float* query = &queries[i * rows.key_dim];
        const float* key = &keys[j * rows.key_dim];
        const double norms =
            std::sqrt(reference::Dot(query, query, rows.key_dim) *
                      reference::Dot(key, key, rows.key_dim));
        largest = std::max(largest, norms * rows.scale);
      }
    }
    const double logit_error =
        static_cast<double>(rows.key_dim + 13) * unit * largest;
    return 2 * logit_error + 132 * unit;
  }

  void Expect(const std::vector<reference::Attended>& expected) const {
    const double tolerance = Tolerance();
    for (size_t i = 0; i < rows.tokens; ++i) {
      if (std::isinf(expected[i].lse)) {
        ASSERT_EQ(lse[i], expected[i].lse) << "token " << i;
      } else {
        ASSERT_NEAR(lse[i], expected[i].lse, tolerance) << "token " << i;
      }
      for (size_t d = 0; d < rows.value_dim; ++d) {
        ASSERT_NEAR(out[i * rows.value_dim + d], expected[i].out[d],
                    tolerance * expected[i].magnitude[d])
            << "token " << i;
      }
    }
  }

  std::vector<float> queries;
  std::vector<float> keys;
  std::vector<float> values;
  HeadRows rows;
  std::vector<float> out;
  std::vector<float> lse;
};

}  // namespace mneme::attention

#endif  // MNEME_TESTS_ATTENTION_PATTERNS_FIXTURE_H_
