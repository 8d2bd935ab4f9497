#include "client/token_file.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/token_rows.h"

namespace mneme::client {
namespace {

constexpr char kKeys[] = "keys";
constexpr char kValues[] = "values";
constexpr char kPositions[] = "positions";
constexpr char kForgotten[] = "forgotten";
constexpr char kSeqFirst[] = "seq_first";
constexpr int kTokens = 2;  // Of [layers, kv_heads, tokens, dim].

absl::Status BadParts(std::string_view what) {
  return base::Error(absl::StatusCode::kDataLoss,
                     absl::StrCat("the server gave tokens ", std::string(what)),
                     {.reason = "BAD_PART"});
}

std::string TypeName(v1::DataType type) {
  switch (type) {
    case v1::DATA_TYPE_FLOAT32:
      return "F32";
    case v1::DATA_TYPE_FLOAT16:
      return "F16";
    case v1::DATA_TYPE_BFLOAT16:
      return "BF16";
    default:
      return "";
  }
}

uint64_t ElementBytes(const v1::Tensor& tensor) {
  return tensor.data_type() == v1::DATA_TYPE_FLOAT32 ? 4 : 2;
}

// Whether shape and bytes agree; extents are bounded by the bytes.
bool IsSound(const v1::Tensor& tensor) {
  if (tensor.shape_size() != 4 || TypeName(tensor.data_type()).empty()) {
    return false;
  }
  uint64_t bytes = ElementBytes(tensor);
  for (const int64_t extent : tensor.shape()) {
    if (extent < 1 ||
        __builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) {
      return false;
    }
  }
  return bytes == tensor.data().size();
}

// Equal but for the number of tokens.
bool IsLike(const v1::Tensor& a, const v1::Tensor& b) {
  return a.data_type() == b.data_type() && a.shape(0) == b.shape(0) &&
         a.shape(1) == b.shape(1) && a.shape(3) == b.shape(3);
}

absl::Status CheckParts(const std::vector<v1::ExportedTokens>& parts) {
  const v1::TokenRows& first = parts.front().rows();
  uint64_t seq = parts.front().seq_first();
  for (const v1::ExportedTokens& part : parts) {
    const v1::TokenRows& rows = part.rows();
    if (!IsSound(rows.keys()) || !IsSound(rows.values()) ||
        !IsLike(rows.keys(), first.keys()) ||
        !IsLike(rows.values(), first.values())) {
      return BadParts("whose shapes do not agree");
    }
    const int64_t count = rows.keys().shape(kTokens);
    if (rows.values().shape(kTokens) != count ||
        rows.positions_size() != count) {
      return BadParts("that are not as many as their positions");
    }
    if (part.seq_first() != seq) return BadParts("that do not follow");
    for (const v1::SeqRange& range : part.forgotten()) {
      if (range.begin() < seq || range.end() < range.begin() ||
          range.end() - seq > static_cast<uint64_t>(count)) {
        return BadParts("and says that others were forgotten");
      }
    }
    seq += count;
  }
  return absl::OkStatus();
}

// The parts' rows as one tensor.
template <typename TensorOf>
NamedTensor Joined(const std::vector<v1::ExportedTokens>& parts,
                   TensorOf tensor_of) {
  const v1::Tensor& first = tensor_of(parts.front());
  NamedTensor joined;
  joined.dtype = TypeName(first.data_type());
  joined.shape.assign(first.shape().begin(), first.shape().end());
  joined.shape[kTokens] = 0;
  for (const auto& part : parts) {
    joined.shape[kTokens] += tensor_of(part).shape(kTokens);
  }
  const uint64_t banks = first.shape(0) * first.shape(1);
  for (uint64_t bank = 0; bank < banks; ++bank) {
    for (const auto& part : parts) {
      const std::string& data = tensor_of(part).data();
      const size_t bytes = data.size() / banks;
      joined.data.append(data, bank * bytes, bytes);
    }
  }
  return joined;
}

absl::Status CheckRows(const Safetensors& file, const char* name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) {
    return base::InvalidField(name, "no such tensor in the file",
                              "[layers, kv_heads, tokens, dim]");
  }
  const NamedTensor& tensor = found->second;
  const bool is_float =
      tensor.dtype == "F32" || tensor.dtype == "F16" || tensor.dtype == "BF16";
  if (!is_float || tensor.shape.size() != 4 || tensor.data.empty()) {
    return base::InvalidField(
        name, absl::StrCat(tensor.dtype, ", ", tensor.shape.size(), " axes"),
        "F32, F16 or BF16 [layers, kv_heads, tokens, dim], not empty");
  }
  return absl::OkStatus();
}

// Tokens [begin, end) of a tensor of the file.
v1::Tensor Cut(const NamedTensor& tensor, uint64_t begin, uint64_t end) {
  const uint64_t banks = tensor.shape[0] * tensor.shape[1];
  const size_t bank_bytes = tensor.data.size() / banks;
  const size_t row_bytes = bank_bytes / tensor.shape[kTokens];
  v1::Tensor cut;
  cut.set_data_type(tensor.dtype == "F32"   ? v1::DATA_TYPE_FLOAT32
                    : tensor.dtype == "F16" ? v1::DATA_TYPE_FLOAT16
                                            : v1::DATA_TYPE_BFLOAT16);
  for (const int64_t extent : tensor.shape) cut.add_shape(extent);
  cut.set_shape(kTokens, static_cast<int64_t>(end - begin));
  std::string& data = *cut.mutable_data();
  data.reserve(banks * (end - begin) * row_bytes);
  for (uint64_t bank = 0; bank < banks; ++bank) {
    data.append(tensor.data, bank * bank_bytes + begin * row_bytes,
                (end - begin) * row_bytes);
  }
  return cut;
}

}  // namespace

absl::StatusOr<Safetensors> TokenFileOf(
    const std::vector<v1::ExportedTokens>& parts) {
  RETURN_IF_ERROR(CheckParts(parts));
  Safetensors file;
  file.tensors[kKeys] = Joined(
      parts,
      [](const auto& part) -> const auto& { return part.rows().keys(); });
  file.tensors[kValues] = Joined(
      parts,
      [](const auto& part) -> const auto& { return part.rows().values(); });
  NamedTensor& positions = file.tensors[kPositions];
  NamedTensor& forgotten = file.tensors[kForgotten];
  positions.dtype = "I64";
  forgotten.dtype = "BOOL";
  for (const v1::ExportedTokens& part : parts) {
    const auto& some = part.rows().positions();
    positions.data.append(reinterpret_cast<const char*>(some.data()),
                          some.size() * sizeof(int64_t));
    std::string flags(some.size(), '\0');
    for (const v1::SeqRange& range : part.forgotten()) {
      std::fill(flags.begin() + (range.begin() - part.seq_first()),
                flags.begin() + (range.end() - part.seq_first()), '\1');
    }
    forgotten.data += flags;
  }
  const auto count = static_cast<int64_t>(forgotten.data.size());
  positions.shape = {count};
  forgotten.shape = {count};
  file.metadata[kSeqFirst] = absl::StrCat(parts.front().seq_first());
  return file;
}

absl::StatusOr<TokenFile> TokenFile::Create(Safetensors file) {
  TokenFile tokens;
  for (const char* name : {kKeys, kValues}) {
    RETURN_IF_ERROR(CheckRows(file, name));
  }
  const int64_t count = file.tensors[kKeys].shape[kTokens];
  if (file.tensors[kValues].shape[kTokens] != count) {
    return base::InvalidField(
        kValues, absl::StrCat(file.tensors[kValues].shape[kTokens], " tokens"),
        absl::StrCat(count, ", as of the keys"));
  }
  ASSIGN_OR_RETURN(tokens.positions_, PositionsOf(file, kPositions, count));
  if (tokens.positions_.empty()) {
    return base::InvalidField(kPositions, "no such tensor in the file",
                              "I64 [tokens]");
  }
  const NamedTensor& flags = file.tensors[kForgotten];
  if (flags.dtype != "BOOL" || flags.shape != std::vector<int64_t>{count} ||
      flags.data.find_first_not_of(std::string("\0\1", 2)) !=
          std::string::npos) {
    return base::InvalidField(kForgotten, "something else",
                              absl::StrCat("BOOL [", count, "]"));
  }
  const std::string first = file.metadata[kSeqFirst];
  if (!absl::SimpleAtoi(first, &tokens.seq_first_)) {
    return base::InvalidField("metadata seq_first", base::Quoted(first),
                              "the seq of the first token");
  }
  tokens.count_ = static_cast<uint64_t>(count);
  tokens.forgotten_ = std::count(flags.data.begin(), flags.data.end(), '\1');
  tokens.file_ = std::move(file);
  return tokens;
}

v1::ExportedTokens TokenFile::Next(size_t bytes_max) {
  const NamedTensor& keys = file_.tensors.at(kKeys);
  const NamedTensor& values = file_.tensors.at(kValues);
  const std::string& flags = file_.tensors.at(kForgotten).data;
  const size_t token_bytes =
      (keys.data.size() + values.data.size()) / count_ + sizeof(int64_t);
  const uint64_t end = std::min<uint64_t>(
      count_, at_ + std::max<uint64_t>(bytes_max / token_bytes, 1));
  v1::ExportedTokens part;
  part.set_seq_first(seq_first_ + at_);
  *part.mutable_rows()->mutable_keys() = Cut(keys, at_, end);
  *part.mutable_rows()->mutable_values() = Cut(values, at_, end);
  part.mutable_rows()->mutable_positions()->Add(positions_.begin() + at_,
                                                positions_.begin() + end);
  while (at_ < end) {
    const uint64_t begin =
        std::min<uint64_t>(std::min(flags.find('\1', at_), flags.size()), end);
    at_ = std::min<uint64_t>(std::min(flags.find('\0', begin), flags.size()),
                             end);
    if (begin == at_) continue;
    v1::SeqRange& range = *part.add_forgotten();
    range.set_begin(seq_first_ + begin);
    range.set_end(seq_first_ + at_);
  }
  return part;
}

}  // namespace mneme::client
