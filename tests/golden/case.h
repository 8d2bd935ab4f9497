// tests/golden/case.h: one golden case: inputs, parameters and the outputs that
// a published implementation gave for them, in a safetensors file.

#ifndef MNEME_TESTS_GOLDEN_CASE_H_
#define MNEME_TESTS_GOLDEN_CASE_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace mneme::golden {

// A tensor of any data type of the format: double holds them all exactly (I64
// up to 2^53, which is checked).
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;  // Row-major, product(shape) of them.

  std::vector<float> Floats() const {
    return std::vector<float>(values.begin(), values.end());
  }
  std::vector<int64_t> Integers() const {
    return std::vector<int64_t>(values.begin(), values.end());
  }
};

struct Tolerance {
  double atol = 0;  // |got - expected| <= atol + rtol * |expected|.
  double rtol = 0;
  bool exact = false;  // got == expected.
};

class Case {
 public:
  // Errors: what is wrong with the file, in words; never a crash.
  static absl::StatusOr<Case> Load(const std::string& path);

  // Errors: INVALID_ARGUMENT when absent, not of `rank`, or not of a data type
  // that the format defines here (F32, F64, I64).
  absl::StatusOr<Array> Tensor(const std::string& name, size_t rank) const;
  absl::StatusOr<Array> Tensor(const std::string& name) const;

  // Parameters; absent and null are the same.
  // Errors: INVALID_ARGUMENT when it is something else.
  absl::StatusOr<std::optional<double>> Number(const std::string& name) const;
  absl::StatusOr<std::string> Text(const std::string& name) const;  // Or "".
  absl::StatusOr<bool> Flag(const std::string& name) const;         // Or false.
  absl::StatusOr<std::vector<double>> Numbers(
      const std::string& name) const;  // Or none.

  // The parameter as it is; null when absent.
  nlohmann::json Json(const std::string& name) const {
    return params_.value(name, nlohmann::json());
  }

  // Outputs to compare: those listed, without the informative *_ref32.
  const std::vector<std::string>& outputs() const { return outputs_; }
  bool Wants(const std::string& output) const;
  // REQUIRES: `output` is one of outputs().
  const Tolerance& ToleranceOf(const std::string& output) const {
    return tolerances_.at(output);
  }

 private:
  std::map<std::string, Array> tensors_;
  nlohmann::json params_;
  std::vector<std::string> outputs_;
  std::map<std::string, Tolerance> tolerances_;
};

// The inputs that every attention method has.
struct Heads {
  int64_t heads, kv_heads, rows, tokens, key_dim, value_dim;
  std::vector<float> q;  // [heads, rows, key_dim]
  std::vector<float> k;  // [kv_heads, tokens, key_dim]
  std::vector<float> v;  // [kv_heads, tokens, value_dim]
};

// Errors: INVALID_ARGUMENT when q, k and v do not fit each other or are empty.
absl::StatusOr<Heads> ReadHeads(const Case& c);

// Likewise where every token is also a query.
absl::StatusOr<Heads> ReadSelfAttention(const Case& c);

// Errors: INVALID_ARGUMENT when the parameter is absent or no number.
absl::StatusOr<double> Required(const Case& c, const std::string& name);

// Token counts of the calls that a sequence of `tokens` came in.
// Errors: INVALID_ARGUMENT when they are not positive or do not add up.
absl::StatusOr<std::vector<int64_t>> Chunks(const Case& c, int64_t tokens);

// The parameter `name` as an integer from `low` to `high`.
// Errors: INVALID_ARGUMENT when it is absent or something else.
absl::StatusOr<int64_t> WholeNumber(const Case& c, const std::string& name,
                                    int64_t low, int64_t high);

}  // namespace mneme::golden

#endif  // MNEME_TESTS_GOLDEN_CASE_H_
