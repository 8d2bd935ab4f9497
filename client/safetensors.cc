#include "client/safetensors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/strict_json.h"
#include "client/input_file.h"
#include "client/request_id.h"

namespace mneme::client {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr char kMetadata[] = "__metadata__";
// Header, tensor, shape: nothing well-formed is deeper.
constexpr int kDepthMax = 3;

absl::Status Malformed(const std::string& what) {
  return base::Error(absl::StatusCode::kInvalidArgument,
                     absl::StrCat("not a safetensors file: ", what),
                     {.reason = "BAD_SAFETENSORS",
                      .field = "",
                      .metadata = {},
                      .retry_after = std::nullopt});
}

absl::Status BadTensor(const std::string& name, const std::string& what) {
  return Malformed(absl::StrCat("tensor \"", name, "\": ", what));
}

// Bytes of one element; none for a type the format does not know.
std::optional<uint64_t> ElementBytes(const std::string& dtype) {
  static const auto* const bytes = new std::map<std::string, uint64_t>{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  const auto found = bytes->find(dtype);
  if (found == bytes->end()) return std::nullopt;
  return found->second;
}

// product(shape) * element size; none when that overflows.
std::optional<uint64_t> DataBytes(const std::vector<int64_t>& shape,
                                  uint64_t element_bytes) {
  uint64_t bytes = element_bytes;
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

absl::StatusOr<Json> ParseHeader(std::string_view bytes) {
  absl::StatusOr<Json> header = base::ParseStrictJson(bytes, kDepthMax);
  if (header.ok()) return header;
  return Malformed(
      absl::StrCat("its header: ", std::string(header.status().message())));
}

struct Range {
  uint64_t begin;
  uint64_t end;
  std::string name;
};

absl::StatusOr<std::pair<NamedTensor, Range>> ParseTensor(
    const std::string& name, const Json& json) {
  if (!json.is_object()) return BadTensor(name, "not a JSON object");
  for (const auto& [key, value] : json.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      return BadTensor(name, absl::StrCat("unknown key \"", key, "\""));
    }
  }
  const auto dtype = json.find("dtype");
  if (dtype == json.end() || !dtype->is_string()) {
    return BadTensor(name, "\"dtype\" is not a string");
  }
  NamedTensor tensor;
  tensor.dtype = dtype->get<std::string>();
  const auto element_bytes = ElementBytes(tensor.dtype);
  if (!element_bytes) {
    return BadTensor(name,
                     absl::StrCat("unknown dtype \"", tensor.dtype, "\""));
  }
  const auto shape = json.find("shape");
  if (shape == json.end() || !shape->is_array()) {
    return BadTensor(name, "\"shape\" is not an array");
  }
  for (const Json& extent : *shape) {
    if (!extent.is_number_unsigned() ||
        extent.get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
      return BadTensor(name, "an extent is not a number from 0 to 2^63 - 1");
    }
    tensor.shape.push_back(extent.get<int64_t>());
  }
  const auto offsets = json.find("data_offsets");
  if (offsets == json.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned()) {
    return BadTensor(name, "\"data_offsets\" is not [begin, end]");
  }
  const Range range{(*offsets)[0].get<uint64_t>(),
                    (*offsets)[1].get<uint64_t>(), name};
  if (range.begin > range.end)
    return BadTensor(name, "it ends before it begins");
  const auto bytes = DataBytes(tensor.shape, *element_bytes);
  if (!bytes) return BadTensor(name, "its size overflows");
  if (range.end - range.begin != *bytes) {
    return BadTensor(name,
                     absl::StrCat("its range holds ", range.end - range.begin,
                                  " bytes; dtype and shape need ", *bytes));
  }
  return std::make_pair(std::move(tensor), range);
}

// Ranges must tile [0, data_bytes): no overlap, no hole.
absl::Status CheckTiling(std::vector<Range> ranges, uint64_t data_bytes) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const Range& range : ranges) {
    if (range.begin < covered) {
      return BadTensor(range.name, "it overlaps another tensor");
    }
    if (range.begin > covered) {
      return BadTensor(
          range.name, absl::StrCat("there is a hole of ", range.begin - covered,
                                   " bytes before it"));
    }
    if (range.end > data_bytes) {
      return BadTensor(range.name,
                       absl::StrCat("it ends at byte ", range.end, " of ",
                                    data_bytes, " bytes of data"));
    }
    covered = range.end;
  }
  if (covered != data_bytes) {
    return Malformed(absl::StrCat(data_bytes - covered,
                                  " bytes at the end belong to no tensor"));
  }
  return absl::OkStatus();
}

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = kLengthBytes; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

absl::Status FileError(const std::string& doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", doing, " ", path));
}

absl::Status WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ErrnoToStatus(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Names of the tensors by falling element size, so that each is aligned.
std::vector<std::string> LayOut(const Safetensors& content) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : content.tensors) names.push_back(name);
  const auto element_bytes = [&](const std::string& name) {
    return *ElementBytes(content.tensors.at(name).dtype);
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) {
                     return element_bytes(a) > element_bytes(b);
                   });
  return names;
}

absl::Status CheckWritable(const Safetensors& content) {
  for (const auto& [name, tensor] : content.tensors) {
    const auto element_bytes = ElementBytes(tensor.dtype);
    const bool natural =
        std::all_of(tensor.shape.begin(), tensor.shape.end(),
                    [](int64_t extent) { return extent >= 0; });
    if (name == kMetadata || !element_bytes || !natural ||
        DataBytes(tensor.shape, *element_bytes) != tensor.data.size()) {
      return BadTensor(name, "name, dtype, shape and data do not agree");
    }
  }
  return absl::OkStatus();
}

std::string HeaderOf(const Safetensors& content,
                     const std::vector<std::string>& names) {
  Json header = Json::object();
  uint64_t offset = 0;
  for (const std::string& name : names) {
    const NamedTensor& tensor = content.tensors.at(name);
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
  }
  if (!content.metadata.empty()) header[kMetadata] = content.metadata;
  std::string text =
      header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // Data starts aligned.
  std::string bytes;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    bytes += static_cast<char>(uint64_t{text.size()} >> (8 * i));
  }
  return bytes + text;
}

}  // namespace

absl::StatusOr<Safetensors> ParseSafetensors(std::string_view bytes) {
  if (bytes.size() < kLengthBytes) {
    return Malformed(absl::StrCat("it has ", bytes.size(),
                                  " bytes; the header's length alone has 8"));
  }
  const uint64_t header_bytes = LittleEndian(bytes);
  bytes.remove_prefix(kLengthBytes);
  if (header_bytes > kHeaderBytesMax) {
    return Malformed(absl::StrCat("its header would have ", header_bytes,
                                  " bytes; at most ", kHeaderBytesMax));
  }
  if (header_bytes > bytes.size()) {
    return Malformed(absl::StrCat("its header of ", header_bytes,
                                  " bytes is cut off after ", bytes.size()));
  }
  ASSIGN_OR_RETURN(const Json header,
                   ParseHeader(bytes.substr(0, header_bytes)));
  const std::string_view data = bytes.substr(header_bytes);

  Safetensors content;
  std::vector<Range> ranges;
  for (const auto& [name, json] : header.items()) {
    if (name == kMetadata) {
      if (!json.is_object()) return Malformed("its metadata is not an object");
      for (const auto& [key, value] : json.items()) {
        if (!value.is_string()) {
          return Malformed(
              absl::StrCat("metadata \"", key, "\" is not a string"));
        }
        content.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    ASSIGN_OR_RETURN(auto parsed, ParseTensor(name, json));
    content.tensors[name] = std::move(parsed.first);
    ranges.push_back(std::move(parsed.second));
  }
  RETURN_IF_ERROR(CheckTiling(ranges, data.size()));
  for (const Range& range : ranges) {
    content.tensors[range.name].data =
        data.substr(range.begin, range.end - range.begin);
  }
  return content;
}

absl::StatusOr<Safetensors> ReadSafetensors(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  auto content = ParseSafetensors(bytes);
  if (!content.ok()) return base::Annotate(content.status(), path);
  return content;
}

absl::StatusOr<std::string> EncodeSafetensors(const Safetensors& content) {
  RETURN_IF_ERROR(CheckWritable(content));
  const std::vector<std::string> names = LayOut(content);
  std::string bytes = HeaderOf(content, names);
  for (const std::string& name : names) {
    bytes += content.tensors.at(name).data;
  }
  return bytes;
}

absl::Status WriteSafetensors(const Safetensors& content,
                              const std::string& path) {
  RETURN_IF_ERROR(CheckWritable(content));
  const std::vector<std::string> names = LayOut(content);
  const std::string temporary = absl::StrCat(path, ".", RandomRequestId());
  const int file =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return FileError("write beside", path);
  absl::Status status = WriteAll(file, HeaderOf(content, names));
  for (const std::string& name : names) {
    if (status.ok()) status = WriteAll(file, content.tensors.at(name).data);
  }
  if (status.ok() && ::fsync(file) != 0) status = FileError("sync", path);
  if (::close(file) != 0 && status.ok()) status = FileError("close", path);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = FileError("replace", path);
  }
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

}  // namespace mneme::client
