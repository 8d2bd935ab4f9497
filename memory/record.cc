#include "memory/record.h"

#include <xxhash.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/error.h"

namespace mneme::memory {
namespace {

constexpr char kMagic = 'M';
constexpr uint8_t kVersion = 1;
constexpr size_t kEnvelopeBytes = 16;

uint64_t Checksum(RecordKind kind, uint8_t version, std::string_view key,
                  std::string_view payload) {
  const uint64_t seed = XXH3_64bits(key.data(), key.size()) ^
                        (static_cast<uint64_t>(kind) << 8 | version);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), seed);
}

absl::Status Lost(std::string_view reason, RecordKind kind,
                  std::string_view key, std::string_view what) {
  const std::string name = absl::CHexEscape(std::string(key));
  return base::Error(
      absl::StatusCode::kDataLoss,
      absl::StrCat("record '", std::string(1, static_cast<char>(kind)), "' at ",
                   name, ": ", std::string(what)),
      {.reason = std::string(reason), .metadata = {{"record", name}}});
}

absl::Status Corrupt(RecordKind kind, std::string_view key,
                     std::string_view what) {
  return Lost("RECORD_CORRUPT", kind, key, what);
}

}  // namespace

std::string SealRecord(RecordKind kind, std::string_view key,
                       std::string_view payload) {
  base::ByteWriter out;
  out.Number(kMagic);
  out.Number(kVersion);
  out.Number(static_cast<char>(kind));
  out.Number(uint8_t{0});
  out.Number(static_cast<uint32_t>(payload.size()));
  out.Number(Checksum(kind, kVersion, key, payload));
  out.Raw(payload);
  return out.Take();
}

absl::StatusOr<std::string_view> OpenRecord(RecordKind kind,
                                            std::string_view key,
                                            std::string_view record) {
  if (record.size() < kEnvelopeBytes) return Corrupt(kind, key, "cut short");
  base::ByteReader in(record);
  const char magic = in.Number<char>();
  const auto version = in.Number<uint8_t>();
  const char found_kind = in.Number<char>();
  const auto zero = in.Number<uint8_t>();
  const auto length = in.Number<uint32_t>();
  const auto checksum = in.Number<uint64_t>();
  if (magic != kMagic || zero != 0) return Corrupt(kind, key, "not a record");
  if (found_kind != static_cast<char>(kind)) {
    return Corrupt(kind, key, "of another kind");
  }
  if (length != in.left()) return Corrupt(kind, key, "of the wrong length");
  const std::string_view payload = in.Raw(length);
  if (checksum != Checksum(kind, version, key, payload)) {
    return Corrupt(kind, key, "checksum mismatch");
  }
  if (version > kVersion) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("written by a later release (record version ", version,
                     "; this one reads up to ", kVersion, ")"),
        {.reason = "FORMAT_TOO_NEW"});
  }
  return payload;
}

absl::Status MissingRecord(RecordKind kind, std::string_view key) {
  return Lost("RECORD_MISSING", kind, key, "missing");
}

absl::Status MalformedRecord(RecordKind kind, std::string_view key) {
  return Corrupt(kind, key, "sound but not understood");
}

}  // namespace mneme::memory
