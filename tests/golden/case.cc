#include "tests/golden/case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/safetensors.h"

namespace mneme::golden {
namespace {

using nlohmann::json;

absl::Status Bad(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

template <typename T>
std::vector<double> Decode(const std::string& data) {
  std::vector<double> values(data.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
  return values;
}

absl::StatusOr<Array> Decoded(const std::string& name,
                              const client::NamedTensor& tensor) {
  Array array{tensor.shape, {}};
  if (tensor.dtype == "F32") {
    array.values = Decode<float>(tensor.data);
  } else if (tensor.dtype == "F64") {
    array.values = Decode<double>(tensor.data);
  } else if (tensor.dtype == "I64") {
    array.values = Decode<int64_t>(tensor.data);
    for (const double value : array.values) {
      if (std::abs(value) > 0x1p53) {
        return Bad(absl::StrCat(name, " holds an integer beyond 2^53"));
      }
    }
  } else {
    return Bad(absl::StrCat(name, " has data type ", tensor.dtype,
                            "; expected F32, F64 or I64"));
  }
  return array;
}

// The JSON document that metadata holds under `key`.
absl::StatusOr<json> MetadataJson(const client::Safetensors& file,
                                  const std::string& key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) return Bad("no metadata " + key);
  json value = json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return Bad("metadata " + key + " is not JSON");
  return value;
}

absl::StatusOr<Tolerance> ParseTolerance(const std::string& output,
                                         const json& all) {
  const absl::Status bad = Bad("no tolerance for " + output);
  if (!all.is_object() || !all.contains(output)) return bad;
  const json& value = all[output];
  if (!value.is_object()) return bad;
  Tolerance tolerance;
  if (value.contains("exact")) {
    if (value["exact"] != true) return bad;
    tolerance.exact = true;
    return tolerance;
  }
  if (!value.contains("atol") || !value["atol"].is_number() ||
      !value.contains("rtol") || !value["rtol"].is_number()) {
    return bad;
  }
  tolerance.atol = value["atol"].get<double>();
  tolerance.rtol = value["rtol"].get<double>();
  return tolerance;
}

}  // namespace

absl::StatusOr<Case> Case::Load(const std::string& path) {
  ASSIGN_OR_RETURN(const client::Safetensors file,
                   client::ReadSafetensors(path));
  Case c;
  for (const auto& [name, tensor] : file.tensors) {
    ASSIGN_OR_RETURN(c.tensors_[name], Decoded(name, tensor));
  }
  ASSIGN_OR_RETURN(c.params_, MetadataJson(file, "params"));
  if (!c.params_.is_object()) return Bad("params is not an object");
  ASSIGN_OR_RETURN(const json outputs, MetadataJson(file, "outputs"));
  ASSIGN_OR_RETURN(const json tolerances, MetadataJson(file, "tolerance"));
  if (!outputs.is_array()) return Bad("outputs is not a list");
  for (const json& output : outputs) {
    if (!output.is_string()) return Bad("outputs is not a list of names");
    const auto name = output.get<std::string>();
    if (absl::EndsWith(name, "_ref32")) continue;
    if (!c.tensors_.contains(name)) return Bad("no expected output " + name);
    c.outputs_.push_back(name);
    ASSIGN_OR_RETURN(c.tolerances_[name], ParseTolerance(name, tolerances));
  }
  if (c.outputs_.empty()) return Bad("lists no output to compare");
  return c;
}

absl::StatusOr<Array> Case::Tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return Bad("no tensor " + name);
  return found->second;
}

absl::StatusOr<Array> Case::Tensor(const std::string& name, size_t rank) const {
  ASSIGN_OR_RETURN(Array array, Tensor(name));
  if (array.shape.size() != rank) {
    return Bad(absl::StrCat(name, " has shape [",
                            absl::StrJoin(array.shape, ","), "]; expected ",
                            rank, " dimensions"));
  }
  return array;
}

absl::StatusOr<std::optional<double>> Case::Number(
    const std::string& name) const {
  const auto found = params_.find(name);
  if (found == params_.end() || found->is_null()) return std::nullopt;
  if (!found->is_number()) return Bad("param " + name + " is not a number");
  return found->get<double>();
}

absl::StatusOr<std::string> Case::Text(const std::string& name) const {
  const auto found = params_.find(name);
  if (found == params_.end() || found->is_null()) return "";
  if (!found->is_string()) return Bad("param " + name + " is not a string");
  return found->get<std::string>();
}

absl::StatusOr<bool> Case::Flag(const std::string& name) const {
  const auto found = params_.find(name);
  if (found == params_.end() || found->is_null()) return false;
  if (!found->is_boolean()) return Bad("param " + name + " is not a boolean");
  return found->get<bool>();
}

absl::StatusOr<std::vector<double>> Case::Numbers(
    const std::string& name) const {
  std::vector<double> numbers;
  const auto found = params_.find(name);
  if (found == params_.end() || found->is_null()) return numbers;
  if (!found->is_array()) return Bad("param " + name + " is not a list");
  for (const json& number : *found) {
    if (!number.is_number()) return Bad("param " + name + " holds no number");
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

bool Case::Wants(const std::string& output) const {
  return std::find(outputs_.begin(), outputs_.end(), output) != outputs_.end();
}

absl::StatusOr<Heads> ReadHeads(const Case& c) {
  ASSIGN_OR_RETURN(const Array q, c.Tensor("q", 3));
  ASSIGN_OR_RETURN(const Array k, c.Tensor("k", 3));
  ASSIGN_OR_RETURN(const Array v, c.Tensor("v", 3));
  const bool fit = !q.values.empty() && !k.values.empty() &&
                   !v.values.empty() && q.shape[2] == k.shape[2] &&
                   k.shape[0] == v.shape[0] && k.shape[1] == v.shape[1] &&
                   q.shape[0] % k.shape[0] == 0;
  if (!fit) {
    return Bad(absl::StrCat("q [", absl::StrJoin(q.shape, ","), "], k [",
                            absl::StrJoin(k.shape, ","), "] and v [",
                            absl::StrJoin(v.shape, ","), "] do not fit"));
  }
  return Heads{q.shape[0], k.shape[0], q.shape[1], k.shape[1], q.shape[2],
               v.shape[2], q.Floats(), k.Floats(), v.Floats()};
}

absl::StatusOr<Heads> ReadSelfAttention(const Case& c) {
  ASSIGN_OR_RETURN(Heads in, ReadHeads(c));
  if (in.rows != in.tokens) {
    return Bad(absl::StrCat(in.rows, " queries and ", in.tokens,
                            " keys; expected as many"));
  }
  return in;
}

absl::StatusOr<double> Required(const Case& c, const std::string& name) {
  ASSIGN_OR_RETURN(const auto number, c.Number(name));
  if (!number) return Bad("param " + name + " is required");
  return *number;
}

absl::StatusOr<std::vector<int64_t>> Chunks(const Case& c, int64_t tokens) {
  ASSIGN_OR_RETURN(const std::vector<double> numbers, c.Numbers("chunks"));
  std::vector<int64_t> chunks;
  int64_t left = tokens;
  for (const double number : numbers) {
    if (!(number >= 1 && number <= static_cast<double>(left))) break;
    chunks.push_back(static_cast<int64_t>(number));
    left -= chunks.back();
  }
  if (left != 0 || chunks.size() != numbers.size()) {
    return Bad(absl::StrCat("chunks do not add up to ", tokens, " tokens"));
  }
  return chunks;
}

absl::StatusOr<int64_t> WholeNumber(const Case& c, const std::string& name,
                                    int64_t low, int64_t high) {
  ASSIGN_OR_RETURN(const auto number, c.Number(name));
  if (!number || *number != std::floor(*number) ||
      *number < static_cast<double>(low) ||
      *number > static_cast<double>(high)) {
    return Bad(absl::StrCat("param ", name, " is not an integer from ", low,
                            " to ", high));
  }
  return static_cast<int64_t>(*number);
}

}  // namespace mneme::golden
