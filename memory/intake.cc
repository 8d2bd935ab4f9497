#include "memory/intake.h"

#include <xxhash.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "attention/dtype.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "memory/fold.h"
#include "memory/text/passages.h"
#include "memory/text/terms.h"

namespace mneme::memory {
namespace {

// Rows a passage has at most. A passage of 800 characters with more sentences
// is a list or noise; its last row takes the rest, so that a hostile text of
// dots cannot become a thousand times its size.
constexpr size_t kPassageRowsMax = 16;

class Fingerprint {
 public:
  Fingerprint& Add(std::string_view bytes) {
    hash_ = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash_ + 1);
    return *this;
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

}  // namespace

uint64_t FingerprintOf(const TextEntry& entry) {
  Fingerprint print;
  print.Add(entry.text).Add(entry.role).Add(entry.source);
  print.Add(absl::StrCat(entry.source_offset, "/",
                         entry.time_us ? absl::StrCat(*entry.time_us) : "now"));
  for (const auto& [key, value] : entry.metadata) print.Add(key).Add(value);
  return print.value();
}

uint64_t FingerprintOf(const TokenRows& rows) {
  return Fingerprint()
      .Add(rows.keys)
      .Add(rows.values)
      .Add({reinterpret_cast<const char*>(rows.positions.data()),
            rows.positions.size_bytes()})
      .value();
}

namespace {

// Role and source stand in headings of context blocks, on terminals and in
// logs: a line break in one could pass for another passage.
absl::Status CheckLabel(std::string_view field, std::string_view label,
                        size_t bytes_max) {
  if (label.size() > bytes_max) {
    return base::InvalidField(field, absl::StrCat(label.size(), " bytes"),
                              absl::StrCat("at most ", bytes_max));
  }
  for (const char c : label) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return base::InvalidField(field, base::Quoted(label),
                                "no control characters");
    }
  }
  return absl::OkStatus();
}

bool IsFinite(attention::DType dtype, std::string_view bytes) {
  return attention::AllFinite(dtype,
                              reinterpret_cast<const std::byte*>(bytes.data()),
                              bytes.size() / attention::SizeOf(dtype));
}

// Whether numbers of type `from` stay finite when they are rounded to `to`.
bool IsFiniteAs(attention::DType to, attention::DType from,
                std::string_view bytes) {
  constexpr size_t kPiece = 4096;
  std::vector<float> numbers(kPiece);
  std::vector<std::byte> rounded(kPiece * attention::SizeOf(to));
  const size_t count = bytes.size() / attention::SizeOf(from);
  for (size_t first = 0; first < count; first += kPiece) {
    const size_t size = std::min(kPiece, count - first);
    attention::ToFloat(from,
                       reinterpret_cast<const std::byte*>(bytes.data()) +
                           first * attention::SizeOf(from),
                       size, numbers.data());
    attention::FromFloat(to, numbers.data(), size, rounded.data());
    if (!attention::AllFinite(to, rounded.data(), size)) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckSource(std::string_view source) {
  return CheckLabel("text.source", source, kSourceBytesMax);
}

absl::Status CheckText(const TextEntry& entry) {
  if (entry.text.empty()) {
    return base::InvalidField("text.text", "nothing", "at least one word");
  }
  if (entry.text.size() > kTextBytesMax) {
    return base::InvalidField(
        "text.text", absl::StrCat(entry.text.size(), " bytes"),
        absl::StrCat("at most ", kTextBytesMax,
                     "; send longer documents in parts with source_offset"));
  }
  if (const auto bad = base::FirstInvalidUtf8(entry.text)) {
    return base::InvalidField(
        "text.text", absl::StrCat("invalid UTF-8 at byte ", *bad), "UTF-8");
  }
  RETURN_IF_ERROR(CheckLabel("text.role", entry.role, kRoleBytesMax));
  RETURN_IF_ERROR(CheckSource(entry.source));
  size_t metadata_bytes = 0;
  for (const auto& [key, value] : entry.metadata) {
    metadata_bytes += key.size() + value.size();
  }
  if (entry.metadata.size() > kMetadataPairsMax ||
      metadata_bytes > kMetadataBytesMax) {
    return base::InvalidField(
        "text.metadata",
        absl::StrCat(entry.metadata.size(), " pairs of ", metadata_bytes,
                     " bytes"),
        absl::StrCat("at most ", kMetadataPairsMax, " pairs and ",
                     kMetadataBytesMax, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const Profile& profile, const TokenRows& rows) {
  if (rows.count == 0) {
    return base::InvalidField("tokens.keys", "no tokens", "at least one");
  }
  // First, as the product below wraps around for a count without rows.
  if (rows.count > rows.keys.size()) {
    return base::InvalidField("tokens.keys",
                              absl::StrCat(rows.keys.size(), " bytes"),
                              absl::StrCat("those of ", rows.count, " tokens"));
  }
  const uint64_t tokens = rows.count * profile.bank_count();
  if (rows.keys.size() != tokens * profile.key_bytes()) {
    return base::InvalidField("tokens.keys",
                              absl::StrCat(rows.keys.size(), " bytes"),
                              absl::StrCat(tokens * profile.key_bytes(),
                                           " for ", rows.count, " tokens"));
  }
  if (rows.values.size() != tokens * profile.value_bytes()) {
    return base::InvalidField("tokens.values",
                              absl::StrCat(rows.values.size(), " bytes"),
                              absl::StrCat(tokens * profile.value_bytes(),
                                           " for ", rows.count, " tokens"));
  }
  for (const auto& [field, bytes] : {std::pair("tokens.keys", rows.keys),
                                     std::pair("tokens.values", rows.values)}) {
    if (!IsFinite(profile.dtype, bytes)) {
      return base::InvalidField(field, "NaN or infinity", "finite numbers");
    }
    if (profile.knn && profile.knn->dtype &&
        !IsFiniteAs(*profile.knn->dtype, profile.dtype, bytes)) {
      return base::InvalidField(
          field, "a number too large for the kNN tier",
          absl::StrCat("numbers that ",
                       std::string(attention::NameOf(*profile.knn->dtype)),
                       " can hold, to which the tier rounds"));
    }
  }
  const uint64_t most =
      kAbsorbStepsMax / std::max<uint64_t>(AbsorbSteps(profile), 1);
  if (rows.count > most) {
    return base::InvalidField(
        "tokens.keys", absl::StrCat(rows.count, " tokens"),
        absl::StrCat("at most ", most,
                     " at once, as the profile's compressive memory is large"));
  }
  if (!rows.positions.empty() && rows.positions.size() != rows.count) {
    return base::InvalidField(
        "tokens.positions", absl::StrCat(rows.positions.size(), " positions"),
        absl::StrCat("none, or one for each of ", rows.count, " tokens"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> PositionsFor(
    std::span<const int64_t> given, uint64_t count, int64_t position_next) {
  std::vector<int64_t> positions(given.begin(), given.end());
  if (positions.empty()) {
    for (uint64_t i = 0; i < count; ++i) {
      positions.push_back(position_next + static_cast<int64_t>(i));
    }
  }
  int64_t least = position_next;
  for (const int64_t position : positions) {
    if (position < least || position > kPositionMax) {
      return base::InvalidField(
          "tokens.positions", absl::StrCat(position),
          least > kPositionMax
              ? std::string("nothing: the session has a token at 2^53, the "
                            "last position")
              : absl::StrCat(least, " to 2^53: positions ascend"));
    }
    least = position + 1;
  }
  return positions;
}

std::vector<TermCount> PassageTerms(std::string_view role,
                                    std::string_view words) {
  return TermsOf(absl::StrCat(std::string(role), "\n", std::string(words)));
}

PreparedText PrepareText(const Profile& profile, const Encoder& encoder,
                         const TextEntry& entry) {
  PreparedText prepared;
  std::vector<std::vector<Span>> rows;
  for (const Passage& passage : CutPassages(entry.text)) {
    std::vector<Span> sentences = passage.sentences;
    if (sentences.size() > kPassageRowsMax) {
      sentences[kPassageRowsMax - 1].end = sentences.back().end;
      sentences.resize(kPassageRowsMax);
    }
    const std::string_view words = entry.text.substr(
        passage.bytes.begin, passage.bytes.end - passage.bytes.begin);
    prepared.terms.passages.push_back(
        {.bytes = passage.bytes,
         .tokens = static_cast<uint32_t>(sentences.size())});
    // Who speaks is searchable like what is said.
    prepared.terms.terms.push_back(PassageTerms(entry.role, words));
    prepared.rows += sentences.size();
    rows.push_back(std::move(sentences));
  }
  const size_t heads = profile.kv_heads;
  prepared.keys.resize(heads * prepared.rows * profile.key_bytes());
  std::vector<float> encoded(heads * profile.key_dim);
  uint64_t row = 0;
  for (const std::vector<Span>& sentences : rows) {
    for (const Span& sentence : sentences) {
      encoder.Encode(
          entry.text.substr(sentence.begin, sentence.end - sentence.begin),
          encoded);
      for (size_t head = 0; head < heads; ++head) {
        attention::FromFloat(
            profile.dtype, encoded.data() + head * profile.key_dim,
            profile.key_dim,
            reinterpret_cast<std::byte*>(prepared.keys.data()) +
                (head * prepared.rows + row) * profile.key_bytes());
      }
      ++row;
    }
  }
  return prepared;
}

}  // namespace mneme::memory
